"""Tables of scores for the terminal, without broken words however narrow it is."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from rich import box
from rich.table import Table

from auralflow.cli.console import results
from auralflow.cli.plain import one_line
from auralflow.evaluation import BOUNDS, Comparison
from auralflow.evaluation.headline import headline, verdict
from auralflow.evaluation.tables import Cell, pair_tables, summary_tables, track_table
from auralflow.evaluation.tables import Table as Content
from auralflow.metrics import METRICS

__all__ = ["show_comparison"]

KINDS = {BOUNDS[0]: " (the floor)", BOUNDS[1]: " (an oracle)", BOUNDS[2]: " (an oracle)"}
NARROWEST = 8
"""Minimum width of the first column."""


def show_comparison(comparison: Comparison, *, details: bool) -> None:
    """Print the scores of an evaluation.

    Args:
        comparison: The scores.
        details: Also print all scores, the differences between pairs, and the tracks.
    """
    _show_headline(headline(comparison))
    sentence = verdict(comparison)
    if sentence:
        results.print()
        _paragraph(sentence)
    if not details:
        return
    several = max((len(report.tracks) for report in comparison.reports), default=0) > 1
    tables = [table for table in summary_tables(comparison) if METRICS[table.metric].shown]
    tables += [table for table in pair_tables(comparison) if METRICS[table.metric].shown]
    # The tables above already contain all scores of a single track.
    tables += [
        track_table(report, "si_sdr_improvement", note=comparison.where)
        for report in comparison.systems
        if several
    ]
    for content in tables:
        results.print()
        _show(content)


def _show_headline(content: Content) -> None:
    """Print the main table, with each system's name on its own line so that long names fit."""
    rows = [row[1:] for row in content.rows]
    for columns in _blocks(rows, content.columns[1:], results.width - 2, wraps=False):
        labels, *values = columns
        widths = {
            index: max(len(content.columns[1 + index]), *(len(row[index].main) for row in rows))
            for index in columns
        }
        margin = " " * (2 + widths[labels])
        heads = (f"{one_line(content.columns[1 + index]):>{widths[index]}}" for index in values)
        results.print(" ".join([margin, *heads]), style="bold")
        for name, group in groupby(content.rows, key=lambda row: row[0].main):
            results.print(one_line(name) + KINDS.get(name, ""), style="bold")
            for row in group:
                cells = (f"{row[1 + index].main:>{widths[index]}}" for index in values)
                results.print(" ".join([f"  {row[1].main:<{widths[labels]}}", *cells]))
        results.print()
    _paragraph(content.note)


def _show(content: Content) -> None:
    _paragraph(content.title, style="bold")
    for columns in _blocks(content.rows, content.columns, results.width):
        table = _new_table([content.columns[index] for index in columns])
        for row in content.rows:
            table.add_row(*("\n".join(one_line(part) for part in row[index] if part) for index in columns))
        table.columns[0].min_width = _longest_word(content.rows)
        others = sum(1 + _width(content.rows, content.columns[index], index) for index in columns[1:])
        table.columns[0].max_width = max(_longest_word(content.rows), results.width - others)
        table.columns[0].overflow = "fold"
        results.print(table)
    if content.note:
        _paragraph(content.note)


def _new_table(heads: Sequence[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False, show_edge=False)
    for index, head in enumerate(heads):
        table.add_column(one_line(head), justify="right" if index else "left", no_wrap=bool(index))
    return table


def _blocks(
    rows: Sequence[Sequence[Cell]], heads: Sequence[str], width: int, *, wraps: bool = True
) -> Iterator[list[int]]:
    """Split columns into blocks that fit the width, each starting with the first column."""
    widths = [_width(rows, head, index) for index, head in enumerate(heads)]
    first = min(widths[0], max(_longest_word(rows), NARROWEST)) if wraps and rows else widths[0]
    block, used = [0], first
    for index in range(1, len(heads)):
        if len(block) > 1 and used + 1 + widths[index] > width:
            yield block
            block, used = [0], first
        block.append(index)
        used += 1 + widths[index]
    yield block


def _width(rows: Sequence[Sequence[Cell]], head: str, index: int) -> int:
    return max(len(one_line(head)), *(len(one_line(part)) for row in rows for part in row[index]), 0)


def _longest_word(rows: Sequence[Sequence[Cell]]) -> int:
    return max((len(word) for row in rows for word in one_line(row[0].main).split()), default=0)


def _paragraph(text: str, style: str = "") -> None:
    """Print text that wraps between words."""
    results.print(one_line(text), style=style, soft_wrap=False)
