"""Tables of scores as text, for the terminal, Markdown and the web page."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from auralflow.evaluation.results import BOUNDS, Comparison
from auralflow.evaluation.scores import Report
from auralflow.evaluation.statistics import Interval, PairedDifference, Summary
from auralflow.metrics import METRICS, Metric

__all__ = ["Cell", "Table", "counted", "decibels", "pair_tables", "summary_tables", "track_table"]


class Cell(NamedTuple):
    """A cell of a table.

    Attributes:
        main: The number.
        interval: Its confidence interval.
        more: Additional information.
    """

    main: str
    interval: str = ""
    more: str = ""

    def __str__(self) -> str:
        """The entire cell on one line."""
        interval = f" [{self.interval}]" if self.interval else ""
        return f"{self.main}{interval}" + (f"; {self.more}" if self.more else "")


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes:
        title: Title above the table.
        columns: Headings of the columns.
        rows: Cells by row; the first cell of a row is its heading.
        note: Note below the table.
        metric: Name of the metric it shows, if any.
    """

    title: str
    columns: list[str]
    rows: list[list[Cell]]
    note: str = ""
    metric: str = ""


def decibels(value: float | None, *, signed: bool = True) -> str:
    """Format a level to a tenth of a decibel with its sign, or an unsigned score to two decimals.

    Example:
        >>> decibels(3.14), decibels(-0.04), decibels(None), decibels(0.87, signed=False)
        ('+3.1', '+0.0', '-', '0.87')
    """
    if value is None:
        return "-"
    return f"{value:+z.1f}" if signed else f"{value:z.2f}"


def counted(count: int, thing: str) -> str:
    """Format a number of things, in the singular or plural.

    Example:
        >>> counted(1, "track"), counted(2, "track")
        ('1 track', '2 tracks')
    """
    return f"{count} {thing}{'s' * (count != 1)}"


def summary_tables(comparison: Comparison) -> Iterator[Table]:
    """Create a table for each metric, with a row per system from floor to ceiling and a column per target."""
    for metric in METRICS.values():
        if not comparison.has(metric.name):
            continue
        summaries = comparison.summaries(metric.name)
        rows = [
            [Cell(name), *(_cell(summaries[name].get(target), metric) for target in comparison.targets)]
            for name in _from_floor_to_ceiling(comparison)
            if any(summary.count for summary in summaries[name].values())
            # The mixture cannot improve on itself.
            and (metric.name, name) != ("si_sdr_improvement", BOUNDS[0])
        ]
        counts = sorted({s.count for name in summaries for s in summaries[name].values() if s.count})
        tracks = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else str(counts[0])
        over = "" if tracks == "1" else f": median over {tracks} tracks [95 % interval]; mean"
        yield Table(
            metric.heading,
            ["system", *comparison.targets],
            rows,
            f"{comparison.where}{over}. {metric.title}: {metric.definition}",
            metric.name,
        )


def _from_floor_to_ceiling(comparison: Comparison) -> list[str]:
    names = [report.name for report in comparison.reports]
    floor = [name for name in names if name == BOUNDS[0]]
    ceiling = [name for name in BOUNDS[1:] if name in names]
    return [*floor, *(name for name in names if name not in BOUNDS), *ceiling]


def _cell(summary: Summary | None, metric: Metric) -> Cell:
    if summary is None or not summary.count:
        return Cell("-")
    signed = metric.signed
    if summary.count == 1:
        # Median and mean equal the number itself.
        return Cell(decibels(summary.median, signed=signed))
    interval = _interval(summary.median_interval, signed=signed)
    return Cell(
        decibels(summary.median, signed=signed), interval, f"mean {decibels(summary.mean, signed=signed)}"
    )


def _interval(interval: Interval | None, *, signed: bool) -> str:
    return "…".join(decibels(bound, signed=signed) for bound in interval) if interval else ""


def pair_tables(comparison: Comparison) -> Iterator[Table]:
    """Create a table for each metric, with a row per pair of systems and a column per target."""
    for metric in METRICS.values():
        if not metric.paired or not comparison.has(metric.name):
            continue
        rows = [
            [
                Cell(pair),
                *(_pair_cell(columns[t], metric) if t in columns else Cell("-") for t in comparison.targets),
            ]
            for pair, columns in comparison.pairs(metric.name).items()
        ]
        if rows:
            yield Table(
                f"Difference: {metric.heading}",
                ["pair", *comparison.targets],
                rows,
                f"{comparison.where}: mean difference on the same tracks [95 % interval]; tracks won and "
                f"lost by the first. {metric.title}: {metric.definition}",
                metric.name,
            )


def _pair_cell(pair: PairedDifference, metric: Metric) -> Cell:
    found = pair.difference
    if not found.count:
        return Cell("-")
    signed = metric.signed
    interval = _interval(found.mean_interval, signed=signed)
    return Cell(decibels(found.mean, signed=signed), interval, f"won {pair.wins}, lost {pair.losses}")


def track_table(report: Report, metric: str, *, note: str = "") -> Table:
    """Create a table with a row per track and a column per target; without a score, it states why."""
    rows = []
    for track in report.tracks:
        cells = []
        for target in report.targets:
            score = track.scores.get(target)
            value = getattr(score, metric, None)
            reason = track.reasons.get(target, "-") if score else "unknown"
            cells.append(Cell(reason if value is None else decibels(value, signed=METRICS[metric].signed)))
        rows.append([Cell(track.track), *cells])
    return Table(f"{report.name}: {METRICS[metric].heading}", ["track", *report.targets], rows, note, metric)
