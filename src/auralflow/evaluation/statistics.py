"""What may be said of all tracks from those that were scored."""

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
        count: How many tracks have a score.
        mean: Their mean, None without any.
        median: Their median, None without any.
        mean_interval: Where the mean lies with 95 % confidence; None with fewer than two tracks.
        median_interval: The same for the median.
    """

    count: int
    mean: float | None = None
    median: float | None = None
    mean_interval: Interval | None = None
    median_interval: Interval | None = None


@dataclass(frozen=True)
class PairedDifference:
    """How much one system beats another on the tracks that both have a score of.

    Attributes:
        difference: Mean, median and intervals of the differences, track by track.
        wins: Tracks on which the first is better.
        losses: Tracks on which the second is.
    """

    difference: Summary
    wins: int
    losses: int


def summarize(values: Sequence[float]) -> Summary:
    """Mean and median of scores, with 95 % intervals from a bootstrap over tracks.

    The tracks are drawn anew with replacement 4000 times, always the same way; the interval is the middle
    95 % of what the statistic then is. It tells how far other songs of the same kind could move the number.

    Args:
        values: Finite scores, one for each track.

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
    """Compare two systems on the tracks that both have a score of.

    Songs differ far more than systems do: a difference on the same songs says more than two means.

    Args:
        first: Scores by track.
        second: The other's scores.
        lower_is_better: Whether a small score is a good one.

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
