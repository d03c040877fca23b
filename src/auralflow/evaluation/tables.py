"""Scores as rows of text: for the terminal, Markdown and the page alike."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from auralflow.evaluation.results import BOUNDS, Comparison
from auralflow.evaluation.scores import Report
from auralflow.evaluation.statistics import Interval, PairedDifference, Summary

__all__ = ["HEADINGS", "Cell", "Table", "decibels", "pair_tables", "summary_tables", "track_table"]

HEADINGS = {
    "si_sdr": "SI-SDR, dB",
    "si_sdr_improvement": "SI-SDR improvement over the mixture, dB",
    "sdr": "SDR (uSDR), dB",
    "framewise_sdr": "SDR of museval (median of 1-s frames), dB",
    "si_snr": "SI-SNR, dB",
    "snr": "SNR, dB",
    "sd_sdr": "SD-SDR, dB",
    "isr": "ISR, dB",
    "sir": "SIR, dB",
    "sar": "SAR, dB",
    "log_spectral_distance": "Log-spectral distance, dB (low is good)",
    "stoi": "STOI, 0 to 1",
}
UNSIGNED = ("log_spectral_distance", "stoi")


class Cell(NamedTuple):
    """What stands in one place of a table.

    Attributes:
        main: The number.
        interval: Where it may lie.
        more: What else is to be said.
    """

    main: str
    interval: str = ""
    more: str = ""

    def __str__(self) -> str:
        """All of it in one line."""
        interval = f" [{self.interval}]" if self.interval else ""
        return f"{self.main}{interval}" + (f"; {self.more}" if self.more else "")


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes:
        title: Above it.
        columns: Its heads.
        rows: Its cells, the first of a row is its head.
        note: Below it.
        metric: What it shows.
    """

    title: str
    columns: list[str]
    rows: list[list[Cell]]
    note: str = ""
    metric: str = ""


def decibels(value: float | None, *, signed: bool = True) -> str:
    """A level to a tenth of a decibel with its sign, or a dash.

    Example:
        >>> decibels(3.14), decibels(None), decibels(0.87, signed=False)
        ('+3.1', '-', '0.87')
    """
    if value is None:
        return "-"
    return f"{value:+.1f}" if signed else f"{value:.2f}"


def summary_tables(comparison: Comparison) -> Iterator[Table]:
    """For each metric, a row for each system from floor to ceiling and a column for each target."""
    for metric, heading in HEADINGS.items():
        if not comparison.has(metric):
            continue
        summaries = comparison.summaries(metric)
        rows = [
            [Cell(name), *(_cell(summaries[name].get(target), metric) for target in comparison.targets)]
            for name in _from_floor_to_ceiling(comparison)
            if any(summary.count for summary in summaries[name].values())
            # Nothing improves on itself.
            and (metric, name) != ("si_sdr_improvement", BOUNDS[0])
        ]
        counts = sorted({s.count for name in summaries for s in summaries[name].values() if s.count})
        tracks = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else str(counts[0])
        yield Table(
            heading,
            ["system", *comparison.targets],
            rows,
            "1 track" if tracks == "1" else f"median over {tracks} tracks [95 % interval]; mean",
            metric,
        )


def _from_floor_to_ceiling(comparison: Comparison) -> list[str]:
    names = [report.name for report in comparison.reports]
    floor = [name for name in names if name == BOUNDS[0]]
    ceiling = [name for name in BOUNDS[1:] if name in names]
    return [*floor, *(name for name in names if name not in BOUNDS), *ceiling]


def _cell(summary: Summary | None, metric: str) -> Cell:
    if summary is None or not summary.count:
        return Cell("-")
    signed = metric not in UNSIGNED
    interval = _interval(summary.median_interval, signed=signed)
    return Cell(
        decibels(summary.median, signed=signed), interval, f"mean {decibels(summary.mean, signed=signed)}"
    )


def _interval(interval: Interval | None, *, signed: bool) -> str:
    return "…".join(decibels(bound, signed=signed) for bound in interval) if interval else ""


def pair_tables(comparison: Comparison) -> Iterator[Table]:
    """For each metric, a row for each pair of systems and a column for each target."""
    for metric, heading in HEADINGS.items():
        # The mixture is the same for both: the difference of the improvements is that of the scores.
        if metric == "si_sdr_improvement" or not comparison.has(metric):
            continue
        rows = [
            [
                Cell(pair),
                *(_pair_cell(columns[t], metric) if t in columns else Cell("-") for t in comparison.targets),
            ]
            for pair, columns in comparison.pairs(metric).items()
        ]
        if rows:
            yield Table(
                f"Difference: {heading}",
                ["pair", *comparison.targets],
                rows,
                "mean difference on the same tracks [95 % interval]; tracks won and lost by the first",
                metric,
            )


def _pair_cell(pair: PairedDifference, metric: str) -> Cell:
    found = pair.difference
    if not found.count:
        return Cell("-")
    signed = metric not in UNSIGNED
    interval = _interval(found.mean_interval, signed=signed)
    return Cell(decibels(found.mean, signed=signed), interval, f"won {pair.wins}, lost {pair.losses}")


def track_table(report: Report, metric: str) -> Table:
    """A row for each track and a column for each target; where there is no score, why."""
    rows = []
    for track in report.tracks:
        cells = []
        for target in report.targets:
            score = track.scores.get(target)
            value = getattr(score, metric, None)
            reason = track.reasons.get(target, "-") if score else "unknown"
            cells.append(Cell(reason if value is None else decibels(value, signed=metric not in UNSIGNED)))
        rows.append([Cell(track.track), *cells])
    return Table(f"{report.name}: {HEADINGS[metric]}", ["track", *report.targets], rows, metric=metric)
