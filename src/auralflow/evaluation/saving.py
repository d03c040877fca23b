"""Saves a report as JSON, CSV, Markdown, museval's JSON and a web page."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from auralflow.evaluation.examples import Example
from auralflow.evaluation.headline import headline, verdict
from auralflow.evaluation.museval import write_museval
from auralflow.evaluation.page import report_page
from auralflow.evaluation.results import BOUNDS, Comparison
from auralflow.evaluation.scores import METRICS
from auralflow.evaluation.tables import Table, pair_tables, summary_tables
from auralflow.storage import write_json, write_text

__all__ = ["report_json", "save_report"]


def save_report(
    comparison: Comparison, folder: str | Path, *, subset: str = "test", examples: Sequence[Example] = ()
) -> list[Path]:
    """Write a report to a folder.

    ``report.json`` contains everything, ``scores.csv`` one score per line, ``report.md`` the tables,
    ``report.html`` tables, plots and players in one self-contained file, and ``museval/<system>/`` the
    framewise scores for museval's tools.

    Args:
        comparison: The scores.
        folder: The output folder.
        subset: Split of the dataset. Default: ``"test"``.
        examples: Excerpts to plot and play on the page. Default: none.

    Returns:
        The four main files.

    Example:
        >>> import tempfile
        >>> from auralflow.evaluation import Report, Score, TrackScores
        >>> report = Report([TrackScores("song", 3.0, {"bass": Score(si_sdr=2.0)})], ("bass",), {}, "model")
        >>> [path.name for path in save_report(Comparison([report]), tempfile.mkdtemp())]
        ['report.html', 'report.md', 'scores.csv', 'report.json']
    """
    folder = Path(folder)
    files = [folder / name for name in ("report.html", "report.md", "scores.csv", "report.json")]
    write_text(files[0], report_page(comparison, examples))
    write_text(files[1], _markdown(comparison))
    write_text(files[2], _lines(comparison))
    write_json(files[3], report_json(comparison))
    for report in comparison.reports:
        # Bounds have fixed names; other systems' names must not collide with them.
        name = report.name.replace(" ", "_") if report.name in BOUNDS else _file_name(report.name)
        write_museval(report, folder / "museval" / name, subset=subset)
    return files


def report_json(comparison: Comparison) -> dict[str, Any]:
    """The verdict and all scores as JSON values."""
    return {"verdict": verdict(comparison), **comparison.to_json()}


def _file_name(name: str) -> str:
    return (
        "".join(letter if letter.isalnum() or letter in "-_. " else "_" for letter in name).strip(". ") or "_"
    )


def _lines(comparison: Comparison) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["system", "track", "target", "metric", "value"])
    for report in comparison.reports:
        for track in report.tracks:
            for target, score in track.scores.items():
                for metric in METRICS:
                    value = getattr(score, metric)
                    if value is not None:
                        writer.writerow([report.name, track.track, target, metric, f"{value:.6f}"])
    return text.getvalue()


def _markdown(comparison: Comparison) -> str:
    about = ", ".join(f"{key}: {value}" for key, value in dict(comparison.about).items())
    parts = ["# Evaluation", *filter(None, [verdict(comparison)]), about]
    tables = (headline(comparison), *summary_tables(comparison), *pair_tables(comparison))
    parts += [_markdown_table(table) for table in tables]
    parts += [f"- {line}" for line in _remarks(comparison)]
    return "\n\n".join(parts) + "\n"


def _markdown_table(table: Table) -> str:
    lines = [table.columns, ["---", *["---:"] * (len(table.columns) - 1)]]
    lines += [[str(cell) for cell in row] for row in table.rows]
    cells = ("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
    return "\n".join([f"## {table.title}", "", *cells, "", table.note])


def _remarks(comparison: Comparison) -> Iterator[str]:
    yield from comparison.fits
    for report in comparison.reports:
        for track, reason in report.skipped.items():
            yield f"{report.name}: '{track}' was left out: it {reason}"
    for track, error in comparison.failed.items():
        yield f"{track} failed: {error}"
