"""Renders a report as one HTML file with embedded plots and audio, which makes no network requests."""

import base64
import html
import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import numpy as np
import soundfile
import torch
from matplotlib.figure import Figure

from auralflow.audio import Audio
from auralflow.evaluation.examples import Example
from auralflow.evaluation.headline import headline, verdict
from auralflow.evaluation.page_style import STYLE
from auralflow.evaluation.results import BOUNDS, Comparison
from auralflow.evaluation.scores import Report
from auralflow.evaluation.tables import (
    Cell,
    Table,
    decibels,
    pair_tables,
    summary_tables,
    track_table,
)
from auralflow.metrics import METRICS
from auralflow.visualizer import comparison as spectrograms
from auralflow.visualizer import score_boxes, scores_over_time

__all__ = ["report_page"]

DOTS_PER_INCH = 100
SOUND = {"format": "MP3", "type": "audio/mpeg"}
"""A format that every browser can play."""
KINDS = {BOUNDS[0]: "the floor", BOUNDS[1]: "an oracle", BOUNDS[2]: "an oracle"}
# The policy makes the browser block anything from outside.
HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Evaluation</title>
<style>
{style}</style></head><body>
"""


def report_page(comparison: Comparison, examples: Sequence[Example] = ()) -> str:
    """Render the page: the verdict, contents and main scores, then players, then everything else.

    Args:
        comparison: The scores.
        examples: Excerpts to plot and play. Default: none.

    Returns:
        The page as HTML.
    """
    pairs = list(pair_tables(comparison))
    sections = [
        ("scores", "Scores", [_headline(headline(comparison))]),
        ("listen", "Listen", [part for example in examples for part in _example(example)]),
        ("spread", "Spread over tracks", list(_boxes(comparison))),
        ("all", "All scores, from floor to ceiling", list(map(_table, summary_tables(comparison)))),
        ("pairs", "Pairs of systems", list(map(_table, pairs))),
        ("tracks", "Every track", list(_tracks(comparison))),
        ("definitions", "What the scores mean", [_definitions()]),
    ]
    shown = [section for section in sections if section[2]]
    links = "".join(f'<li><a href="#{name}">{title}</a></li>' for name, title, _ in shown)
    parts = [HEAD.replace("{style}", STYLE), f"<h1>Evaluation: {html.escape(comparison.where)}</h1>"]
    sentence = verdict(comparison)
    if sentence:
        parts.append(f'<p class="verdict">{html.escape(sentence)}</p>')
    parts += [_remarks(comparison), f'<nav aria-label="Contents"><ul>{links}</ul></nav>']
    for name, title, content in shown:
        parts += [f'<section id="{name}"><h2>{title}</h2>', *content, "</section>"]
    parts.append("</body></html>\n")
    return "\n".join(parts)


def _remarks(comparison: Comparison) -> str:
    facts = [
        f"{html.escape(str(key))}: {html.escape(str(value))}" for key, value in dict(comparison.about).items()
    ]
    lines = [f'<p class="note">{" &middot; ".join(facts)}</p>']
    lines += [f'<p class="note">{html.escape(sentence)}</p>' for sentence in comparison.fits]
    for report in comparison.reports:
        for track, reason in report.skipped.items():
            text = f"{report.name}: {track} was left out: it {reason}"
            lines.append(f'<p class="note">{html.escape(text)}</p>')
    lines += [
        f'<p class="failed">{html.escape(f"{key}: {error}")}</p>' for key, error in comparison.failed.items()
    ]
    return "\n".join(lines)


def _headline(table: Table) -> str:
    """Render the main table, with a group of rows for each system, under its name."""
    width = len(table.columns) - 1
    rows = []
    for name, group in groupby(table.rows, key=lambda row: row[0].main):
        kind = f" <small>({KINDS[name]})</small>" if name in KINDS else ""
        head = (
            f'<tr class="system"><th colspan="{width}" scope="rowgroup">{html.escape(name)}{kind}</th></tr>'
        )
        rows.append(head + "".join(f"<tr>{_cells(row[1:])}</tr>" for row in group))
    return _framed(["", *table.columns[2:]], rows, table.note)


def _table(table: Table) -> str:
    rows = [
        f'<tr class="bound">{_cells(row)}</tr>' if row[0].main in BOUNDS else f"<tr>{_cells(row)}</tr>"
        for row in table.rows
    ]
    return f"<h3>{html.escape(table.title)}</h3>" + _framed(table.columns, rows, table.note)


def _framed(columns: Sequence[str], rows: Iterable[str], note: str) -> str:
    head = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in columns)
    # Keep numbers together with their units.
    text = f'<p class="note">{html.escape(note).replace(" %", "&nbsp;%")}</p>' if note else ""
    return (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
        + text
    )


def _cells(row: Sequence[Cell]) -> str:
    return "".join(f"<td>{_cell(cell)}</td>" for cell in row)


def _cell(cell: Cell) -> str:
    small = [part for part in (cell.interval, cell.more) if part]
    lines = "".join(f"<small>{html.escape(part)}</small>" for part in small)
    return html.escape(cell.main) + lines


def _picture(figure: Figure, text: str) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<figure><img src="data:image/png;base64,{data}" alt="{html.escape(text)}"></figure>'


def _folded(title: str, content: str) -> str:
    return f"<details><summary>{html.escape(title)}</summary>{content}</details>"


def _boxes(comparison: Comparison) -> Iterator[str]:
    if max((len(report.tracks) for report in comparison.reports), default=0) <= 1:
        # There is no spread with one track.
        return
    for metric in METRICS.values():
        if not metric.pictured:
            continue
        scores = {
            report.name: {
                target: list(report.column(target, metric.name).values()) for target in report.targets
            }
            for report in comparison.reports
        }
        known = {name: columns for name, columns in scores.items() if any(columns.values())}
        if known:
            figure = score_boxes(known, label=f"{metric.title} / {metric.unit}")
            yield _folded(metric.heading, _picture(figure, f"Box plots of {metric.heading} over tracks"))


def _example(example: Example) -> Iterator[str]:
    track = example.scores.track
    kind = {"best": ", best track", "worst": ", worst track", "only": ""}[example.kind]
    yield f"<h3>{html.escape(example.system)}{kind}: {html.escape(track)}</h3>"
    stop = example.start + example.mixture.shape[-1] / example.sample_rate
    yield f'<p class="note">From {example.start:.1f} s to {stop:.1f} s.</p>'
    yield _players(example)
    yield from _pictures(example)


def _pictures(example: Example) -> Iterator[str]:
    track = example.scores.track
    for target, estimate in example.estimates.items():
        reference = example.truths[target]
        drawn = [
            ("mixture", _tensor(example.mixture)),
            (f"reference: {target}", _tensor(reference)),
            (f"estimate: {target}", _tensor(estimate)),
            (f"error: {target}", _tensor(estimate - reference)),
        ]
        figure = spectrograms(drawn, example.sample_rate, start=example.start, mel=True)
        text = f"Spectrograms of mixture, reference, estimate and error of {target} in {track}"
        yield _folded(f"Spectrograms of {target}", _picture(figure, text))
    frames = {
        target: [np.nan if value is None else value for value in columns["sdr"]]
        for target, columns in example.scores.frames.items()
        if "sdr" in columns
    }
    if any(np.isfinite(values).any() for values in frames.values()):
        figure = scores_over_time(frames, window=example.scores.window, label="SDR of museval / dB")
        yield _folded("SDR over time", _picture(figure, f"SDR of museval over time in {track}"))


def _tensor(audio: Audio) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(audio))


def _players(example: Example) -> str:
    rows = [f'<div class="players">{_player("mixture", example.mixture, example.sample_rate)}</div>']
    for target, estimate in example.estimates.items():
        reference = example.truths[target]
        level = example.scores.scores[target].si_sdr
        reason = example.scores.reasons.get(target, "no score")
        score = reason if level is None else f"SI-SDR {decibels(level)} dB in the whole track"
        sounds = {"reference": reference, "estimate": estimate, "error": estimate - reference}
        players = "".join(_player(name, audio, example.sample_rate) for name, audio in sounds.items())
        rows.append(
            f"<h4>{html.escape(target)} <small>{html.escape(score)}</small></h4>"
            f'<div class="players">{players}</div>'
        )
    return "".join(rows)


def _player(name: str, audio: Audio, sample_rate: int) -> str:
    buffer = io.BytesIO()
    # MP3 only supports two channels: play the first two.
    heard = np.clip(audio[:2].T, -1, 1)
    soundfile.write(buffer, heard, sample_rate, format=SOUND["format"])
    data = base64.b64encode(buffer.getvalue()).decode()
    return (
        f"<label>{name}"
        f'<audio controls preload="metadata" src="data:{SOUND["type"]};base64,{data}"></audio></label>'
    )


def _tracks(comparison: Comparison) -> Iterator[str]:
    for report in comparison.systems:
        metric = "si_sdr_improvement" if _improves(report) else "framewise_sdr"
        yield _table(track_table(report, metric, note=comparison.where))


def _improves(report: Report) -> bool:
    return any(report.column(target, "si_sdr_improvement") for target in report.targets)


def _definitions() -> str:
    items = "".join(
        f"<dt>{html.escape(metric.heading)}</dt><dd>{html.escape(metric.definition)} "
        f"({html.escape(metric.source)})</dd>"
        for metric in METRICS.values()
    )
    return f"<dl>{items}</dl>"
