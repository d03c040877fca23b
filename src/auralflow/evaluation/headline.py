"""The summary of a comparison: one self-contained table, and a sentence that names the better system.

The table contains the SI-SDR improvement, how far it gets from the mixture to an oracle, and the SDR of
museval, in which most results on MUSDB18 are published.
"""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from auralflow.evaluation.results import BOUNDS, Comparison
from auralflow.evaluation.scores import ACCOMPANIMENT, RESIDUAL, Report
from auralflow.evaluation.statistics import PairedDifference, paired_difference, summarize
from auralflow.evaluation.tables import Cell, Table, counted, decibels
from auralflow.metrics import METRICS

__all__ = ["MEAN", "headline", "verdict"]

MEAN = "mean"
"""Name of the column with the mean over the targets."""
IMPROVEMENT, SDR = METRICS["si_sdr_improvement"], METRICS["framewise_sdr"]
FLOOR, ORACLE = BOUNDS[0], BOUNDS[-1]
ENOUGH_TRACKS = 5
"""Minimum number of tracks to state a confidence interval."""
LEFT_OVER = (ACCOMPANIMENT, RESIDUAL)
ROWS = ("SI-SDR improvement, dB", "share of oracle's", "SDR of museval, dB")


def headline(comparison: Comparison) -> Table:
    """Create the main table, with up to three rows for each system and a column for each target.

    Args:
        comparison: The scores.

    Returns:
        The table: floor, systems, oracle. Each row starts with the name of the system and of the score.
    """
    stems = [target for target in comparison.targets if target not in LEFT_OVER]
    others = [target for target in comparison.targets if target in LEFT_OVER]
    reports = {report.name: report for report in comparison.reports}
    oracle = reports.get(ORACLE)
    known = [reports.get(FLOOR), *comparison.systems, oracle]
    rows = []
    for report in filter(None, known):
        improvements, shares, levels = _values(report, oracle)
        for label, values, write in (
            (ROWS[0], improvements, decibels),
            (ROWS[1], shares, _percent),
            (ROWS[2], levels, decibels),
        ):
            if not values:
                continue
            mean = _mean([values[stem] for stem in stems if stem in values])
            if values is shares and oracle:
                mean = _share(report, oracle, stems)
            cells = [*map(values.get, stems), mean, *map(values.get, others)]
            rows.append([Cell(report.name), Cell(label), *(Cell(write(cell)) for cell in cells)])
    note = _note(comparison, has_oracle=oracle is not None)
    return Table("Scores", ["system", "score", *stems, MEAN, *others], rows, note)


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def _values(report: Report, oracle: Report | None) -> Iterator[dict[str, float]]:
    """Mean improvement, share and median SDR by target."""
    # The mixture cannot improve on itself.
    known = () if report.name == FLOOR else report.targets
    columns = {target: report.column(target, IMPROVEMENT.name).values() for target in known}
    yield {target: math.fsum(scores) / len(scores) for target, scores in columns.items() if scores}
    shares = {
        target: _share(report, oracle, [target]) for target in known if oracle and report.name != ORACLE
    }
    yield {target: share for target, share in shares.items() if share is not None}
    frames = {target: list(report.column(target, SDR.name).values()) for target in report.targets}
    yield {target: float(np.median(scores)) for target, scores in frames.items() if scores}


def _share(report: Report, oracle: Report, targets: Sequence[str]) -> float | None:
    """The improvement as a fraction of the oracle's, on tracks that have both."""
    if report.name == ORACLE:
        return None
    own = limit = 0.0
    for target in targets:
        mine, best = report.column(target, IMPROVEMENT.name), oracle.column(target, IMPROVEMENT.name)
        both = mine.keys() & best.keys()
        if both:
            own += math.fsum(mine[track] for track in both) / len(both)
            limit += math.fsum(best[track] for track in both) / len(both)
    return own / limit if limit > 0 else None


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:z.0f} %"


def _note(comparison: Comparison, *, has_oracle: bool) -> str:
    several = max((len(report.tracks) for report in comparison.reports), default=0) > 1
    parts = [f"{comparison.where}."]
    if comparison.has(IMPROVEMENT.name):
        parts.append(
            "SI-SDR improvement: SI-SDR of the estimate minus that of the mixture"
            + (", mean over tracks." if several else ".")
        )
    if has_oracle:
        parts.append(
            f"Share: from the mixture (0 %) to the {ORACLE} (100 %), an oracle that uses the references."
        )
    if comparison.has(SDR.name):
        parts.append(
            "SDR of museval, used for most results on MUSDB18: median of 1-s frames"
            + (", then of tracks." if several else ".")
        )
    return " ".join(parts)


def verdict(comparison: Comparison) -> str:
    """State in a sentence which system is better, by how much, and with what uncertainty.

    The two best systems are compared on the same tracks, by the mean over the targets that all systems
    estimate. With at least five tracks, a 95 % confidence interval from a bootstrap over tracks shows whether
    the difference may be due to chance.

    Args:
        comparison: The scores.

    Returns:
        One sentence; empty if no system has a score.
    """
    systems = [report for report in comparison.systems if report.tracks]
    by_improvement = all(_has(report, IMPROVEMENT.name) for report in systems)
    metric = IMPROVEMENT if by_improvement else SDR
    unit = "dB of SI-SDR" if by_improvement else "dB of museval's SDR"
    common = [
        target
        for target in (systems[0].targets if systems else ())
        if target not in LEFT_OVER and all(target in report.targets for report in systems)
    ]
    levels = {report.name: _by_track(report, common, metric.name) for report in systems}
    if not common or not all(levels.values()):
        return "" if len(systems) < 2 else "The systems cannot be compared: they have no target in common."
    if len(systems) == 1:
        return _alone(systems[0], comparison, common, unit, by_improvement=by_improvement)
    shared = set.intersection(*(set(values) for values in levels.values()))
    if not shared:
        return "The systems cannot be compared: they have no track in common."
    ranked = sorted(levels, key=lambda name: -math.fsum(levels[name][track] for track in sorted(shared)))
    first, second = ranked[:2]
    pair = paired_difference(levels[first], levels[second])
    return _of_two(first, second, pair, unit, _named(common))


def _has(report: Report, metric: str) -> bool:
    return any(report.column(target, metric) for target in report.targets)


def _by_track(report: Report, targets: Sequence[str], metric: str) -> dict[str, float]:
    """Mean over the targets, by track."""
    columns = [report.column(target, metric) for target in targets]
    tracks = {track: [column[track] for column in columns if track in column] for track in _tracks(columns)}
    return {track: math.fsum(scores) / len(scores) for track, scores in tracks.items()}


def _tracks(columns: Sequence[Mapping[str, float]]) -> list[str]:
    return list(dict.fromkeys(track for column in columns for track in column))


def _named(targets: Sequence[str]) -> str:
    return targets[0] if len(targets) == 1 else f"mean of {', '.join(targets)}"


def _of_two(first: str, second: str, pair: PairedDifference, unit: str, targets: str) -> str:
    found = pair.difference
    assert found.mean is not None
    tracks = counted(found.count, "track")
    score = f"{pair.wins} of {tracks}"
    lead = f"{abs(found.mean):.1f} {unit}"
    if found.count < ENOUGH_TRACKS or found.mean_interval is None:
        few = f"{tracks} {'is' if found.count == 1 else 'are'} too few to generalise to other songs"
        return f"{first} is ahead of {second} by {lead} ({targets}), better on {score}; {few}."
    low, high = found.mean_interval
    interval = f"95 % interval {low:+z.1f} to {high:+z.1f}"
    if low <= 0 <= high:
        return (
            f"{first} and {second} are not significantly different on {tracks}: {first} is ahead by {lead} "
            f"({targets}; {interval}), better on {score}."
        )
    return f"{first} is better than {second} by {lead} ({targets}; {interval}), on {score}."


def _alone(
    report: Report, comparison: Comparison, targets: Sequence[str], unit: str, *, by_improvement: bool
) -> str:
    """Compare a single system with the floor and the oracle."""
    metric = IMPROVEMENT if by_improvement else SDR
    found = summarize(list(_by_track(report, targets, metric.name).values()))
    assert found.mean is not None
    tracks = counted(found.count, "track")
    oracle = next((bound for bound in comparison.reports if bound.name == ORACLE), None)
    share = _share(report, oracle, targets) if oracle and by_improvement else None
    way = "" if share is None else f", {_percent(share)} of the improvement of the {ORACLE}"
    if found.count < ENOUGH_TRACKS or found.mean_interval is None:
        doubt = f"{tracks} {'is' if found.count == 1 else 'are'} too few to generalise to other songs"
    else:
        low, high = found.mean_interval
        doubt = f"95 % interval {low:+z.1f} to {high:+z.1f} over {tracks}"
    level = f"{abs(found.mean):.1f} {unit}"
    does = (
        f"is better than the mixture by {level}"
        if found.mean >= 0
        else f"is worse than the mixture by {level}"
    )
    if not by_improvement:
        does = f"reaches {found.mean:+z.1f} {unit}"
    return f"{report.name} {does} ({_named(targets)}){way}; {doubt}."
