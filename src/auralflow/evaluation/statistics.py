"""Statistics over tracks, with confidence intervals."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Interval", "PairedDifference", "Summary", "paired_difference", "summarize"]

Interval: TypeAlias = tuple[float, float]

RESAMPLES = 4000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Summary:
    """Mean and median of scores over tracks.

    Attributes:
        count: Number of tracks with a score.
        mean: Their mean, None if there are none.
        median: Their median, None if there are none.
        mean_interval: 95 % confidence interval of the mean, None with fewer than two tracks.
        median_interval: 95 % confidence interval of the median, likewise.
    """

    count: int
    mean: float | None = None
    median: float | None = None
    mean_interval: Interval | None = None
    median_interval: Interval | None = None


@dataclass(frozen=True)
class PairedDifference:
    """The difference between two systems on the tracks that both have scores for.

    Attributes:
        difference: Mean, median and intervals of the differences between tracks.
        wins: Number of tracks on which the first system is better.
        losses: Number of tracks on which the second system is better.
    """

    difference: Summary
    wins: int
    losses: int


def summarize(values: Sequence[float]) -> Summary:
    """Mean and median of scores, with 95 % confidence intervals from a bootstrap over tracks.

    Tracks are resampled with replacement 4000 times, with a fixed seed; the interval contains the middle 95 %
    of the resulting statistics. It indicates how much the number might change with other songs of the same
    kind.

    Args:
        values: Finite scores, one per track.

    Returns:
        The summary.

    Source:
        Efron, "Bootstrap methods: another look at the jackknife", Annals of Statistics 7(1), 1979; the
        percentile interval.

    Example:
        >>> summarize([1.0, 2.0, 6.0]).mean, summarize([1.0, 2.0, 6.0]).mean_interval
        (3.0, (1.0, 6.0))
    """
    scores = np.asarray(values, dtype=np.float64)
    if not scores.size:
        return Summary(0)
    mean, median = float(scores.mean()), float(np.median(scores))
    if scores.size == 1:
        return Summary(1, mean, median)
    drawn = scores[np.random.default_rng(0).integers(scores.size, size=(RESAMPLES, scores.size))]
    return Summary(int(scores.size), mean, median, _interval(drawn, np.mean), _interval(drawn, np.median))


def _interval(drawn: NDArray[np.float64], statistic: Callable[..., NDArray[np.float64]]) -> Interval:
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(statistic(drawn, axis=1), [tail, 1 - tail])
    return float(low), float(high)


def paired_difference(
    first: Mapping[str, float], second: Mapping[str, float], *, lower_is_better: bool = False
) -> PairedDifference:
    """Compare two systems on the tracks that both have scores for.

    Songs differ far more than systems do, so differences on the same songs are more precise than a difference
    between two means.

    Args:
        first: Scores of the first system by track.
        second: Scores of the second system by track.
        lower_is_better: Whether lower scores are better. Default: False.

    Returns:
        The difference, first minus second.

    Example:
        >>> pair = paired_difference({"a": 3.0, "b": 5.0, "c": 1.0}, {"a": 2.0, "b": 5.5})
        >>> pair.difference.mean, pair.wins, pair.losses
        (0.25, 1, 1)
    """
    differences = [first[track] - second[track] for track in first if track in second]
    above = sum(difference > 0 for difference in differences)
    below = sum(difference < 0 for difference in differences)
    wins, losses = (below, above) if lower_is_better else (above, below)
    return PairedDifference(summarize(differences), wins, losses)
