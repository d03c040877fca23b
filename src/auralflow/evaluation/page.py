"""A report as one HTML file, with its pictures and sounds inside: nothing is asked of the network."""

import base64
import html
import io
from collections.abc import Iterator, Sequence

import numpy as np
import soundfile
import torch
from matplotlib.figure import Figure

from auralflow.audio import Audio
from auralflow.evaluation.examples import Example
from auralflow.evaluation.results import BOUNDS, Comparison
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
"""Every browser plays it."""
# The policy makes the browser itself refuse anything from outside.
HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Evaluation</title>
<style>
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff;
 max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.7rem; margin-bottom: .2rem; } h2 { margin-top: 2.4rem; border-bottom: 1px solid #ddd; }
h3 { margin-top: 1.8rem; } .note { color: #555; font-size: .85rem; margin-top: .2rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .85rem; }
th, td { padding: .3rem .7rem; text-align: right; white-space: nowrap; border-bottom: 1px solid #e6e6e6; }
th:first-child, td:first-child { text-align: left; } thead th { border-bottom: 2px solid #999; }
tr.bound td { color: #666; font-style: italic; } img { max-width: 100%; height: auto; }
figure { margin: 1rem 0; } audio { width: 14rem; height: 2rem; vertical-align: middle; }
td.sound { padding: .2rem .4rem; } dt { font-weight: 600; } dd { margin: 0 0 .4rem 1rem; }
td small { display: block; color: #777; font-size: .72rem; }
td.left { text-align: left; } .failed { color: #a40000; }
</style></head><body>
"""


def report_page(comparison: Comparison, examples: Sequence[Example] = ()) -> str:
    """The page.

    Args:
        comparison: The scores.
        examples: Excerpts to be seen and heard.

    Returns:
        HTML.
    """
    parts = [HEAD, "<h1>Evaluation</h1>", _about(comparison), "<h2>Between floor and ceiling</h2>"]
    parts += map(_table, summary_tables(comparison))
    pairs = list(pair_tables(comparison))
    if pairs:
        parts += ["<h2>Pairs</h2>", *map(_table, pairs)]
    parts += ["<h2>Spread over tracks</h2>", *_boxes(comparison)]
    for example in examples:
        parts += _example(example)
    parts += ["<h2>Every track</h2>", *_tracks(comparison)]
    parts += ["<h2>What the scores mean</h2>", _definitions(), "</body></html>\n"]
    return "\n".join(parts)


def _about(comparison: Comparison) -> str:
    facts = [
        f"{html.escape(str(key))}: {html.escape(str(value))}" for key, value in dict(comparison.about).items()
    ]
    lines = [f'<p class="note">{" &middot; ".join(facts)}</p>']
    for report in comparison.reports:
        for track, reason in report.skipped.items():
            text = f"{report.name}: {track} was left out: it {reason}"
            lines.append(f'<p class="note">{html.escape(text)}</p>')
    lines += [
        f'<p class="failed">{html.escape(f"{key}: {error}")}</p>' for key, error in comparison.failed.items()
    ]
    return "\n".join(lines)


def _table(table: Table) -> str:
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in table.columns)
    rows = []
    for row in table.rows:
        cells = "".join(f"<td>{_cell(cell)}</td>" for cell in row)
        rows.append(f'<tr class="bound">{cells}</tr>' if row[0].main in BOUNDS else f"<tr>{cells}</tr>")
    return (
        f'<h3>{html.escape(table.title)}</h3><div class="wide"><table><thead><tr>{head}</tr></thead>'
        f'<tbody>{"".join(rows)}</tbody></table></div><p class="note">{html.escape(table.note)}</p>'
    )


def _cell(cell: Cell) -> str:
    small = [part for part in (cell.interval, cell.more) if part]
    lines = "".join(f"<small>{html.escape(part)}</small>" for part in small)
    return html.escape(cell.main) + lines


def _picture(figure: Figure, text: str) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<figure><img src="data:image/png;base64,{data}" alt="{html.escape(text)}"></figure>'


def _boxes(comparison: Comparison) -> Iterator[str]:
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
            yield _picture(figure, f"Box plots of {metric.heading} over tracks")


def _example(example: Example) -> Iterator[str]:
    track = example.scores.track
    kind = {"best": "Best track", "worst": "Worst track", "only": "The track"}[example.kind]
    yield f"<h2>{kind} of {html.escape(example.system)}: {html.escape(track)}</h2>"
    frames = {
        target: [np.nan if value is None else value for value in columns["sdr"]]
        for target, columns in example.scores.frames.items()
        if "sdr" in columns
    }
    if any(np.isfinite(values).any() for values in frames.values()):
        figure = scores_over_time(frames, window=example.scores.window, label="framewise SDR / dB")
        yield _picture(figure, f"Framewise SDR over time in {track}")
    stop = example.start + example.mixture.shape[-1] / example.sample_rate
    yield f'<p class="note">The excerpt is from {example.start:.1f} s to {stop:.1f} s.</p>'
    yield _players(example)
    for target, estimate in example.estimates.items():
        truth = example.truths[target]
        signals = {
            "mixture": example.mixture,
            "truth": truth,
            "estimate": estimate,
            "error": estimate - truth,
        }
        drawn = [
            (f"{name}: {target}" if name != "mixture" else name, _tensor(audio))
            for name, audio in signals.items()
        ]
        figure = spectrograms(drawn, example.sample_rate, start=example.start)
        level = example.scores.scores[target].si_sdr
        reason = example.scores.reasons.get(target, "no score")
        score = reason if level is None else f"SI-SDR {decibels(level)} dB"
        yield f"<h3>{html.escape(target)}: {score}</h3>"
        yield _picture(figure, f"Spectrograms of mixture, truth, estimate and error of {target} in {track}")


def _tensor(audio: Audio) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(audio))


def _players(example: Example) -> str:
    mixture = _player(example.mixture, example.sample_rate)
    rows = [f'<tr><td>mixture</td><td class="sound left" colspan="3">{mixture}</td></tr>']
    for target, estimate in example.estimates.items():
        truth = example.truths[target]
        sounds = (truth, estimate, estimate - truth)
        cells = "".join(f'<td class="sound">{_player(audio, example.sample_rate)}</td>' for audio in sounds)
        rows.append(f"<tr><td>{html.escape(target)}</td>{cells}</tr>")
    head = "<tr><th></th><th>truth</th><th>estimate</th><th>error</th></tr>"
    return f'<div class="wide"><table><thead>{head}</thead><tbody>{"".join(rows)}</tbody></table></div>'


def _player(audio: Audio, sample_rate: int) -> str:
    buffer = io.BytesIO()
    # Of more than two channels the first two are heard; MP3 knows no more.
    heard = np.clip(audio[:2].T, -1, 1)
    soundfile.write(buffer, heard, sample_rate, format=SOUND["format"])
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<audio controls preload="metadata" src="data:{SOUND["type"]};base64,{data}"></audio>'


def _tracks(comparison: Comparison) -> Iterator[str]:
    for report in comparison.systems:
        yield _table(track_table(report, "si_sdr"))


def _definitions() -> str:
    items = "".join(
        f"<dt>{html.escape(metric.title)}</dt><dd>{html.escape(metric.definition)}</dd>"
        for metric in METRICS.values()
    )
    return f"<dl>{items}</dl>"
