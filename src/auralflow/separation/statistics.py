"""Mean and standard deviation of songs, for nets that expect standardised input.

Shape letters: ``K`` channel, ``n`` sample.
"""

import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import tee, zip_longest

import numpy as np

from auralflow.audio import Audio, resample_stream
from auralflow.separation.pipeline import take

__all__ = ["Level", "LevelSoFar", "Levels", "measure"]

LEAST_DEVIATION = 1e-8
"""Added to the standard deviation, as in Demucs, to avoid dividing silence by zero."""


@dataclass(frozen=True)
class Level:
    """Mean and standard deviation, by which a song is standardised and its estimates are restored.

    Attributes:
        mean: Mean of the mono mixture.
        deviation: Standard deviation of the mono mixture, with Bessel's correction, plus a small constant.
    """

    mean: float = 0.0
    deviation: float = 1.0


Levels = Mapping[int, Level]
"""Levels of an entire song by sample rate; empty if no net needs them."""


class _Sums:
    """Running count, mean and sum of squared differences of samples (Chan et al., 1983)."""

    def __init__(self) -> None:
        self.count, self.mean, self.squares = 0, 0.0, 0.0

    def add(self, samples: Audio) -> None:
        """Add samples ``[n]``."""
        count = len(samples)
        if not count:
            return
        mean = float(samples.mean(dtype=np.float64))
        squares = float(np.square(samples - mean, dtype=np.float64).sum())
        total = self.count + count
        difference = mean - self.mean
        self.squares += squares + difference**2 * self.count * count / total
        self.mean += difference * count / total
        self.count = total

    @property
    def level(self) -> Level:
        """Level of all samples so far."""
        deviation = math.sqrt(self.squares / (self.count - 1)) if self.count > 1 else 0.0
        return Level(self.mean, deviation + LEAST_DEVIATION)


def measure(blocks: Iterable[Audio], sample_rate: int, channels: int, rates: Iterable[int]) -> Levels:
    """Measure the level of an entire song at the sample rates of nets.

    Args:
        blocks: The song as blocks ``[K, n]``.
        sample_rate: Sample rate of the song in hertz.
        channels: Number of channels ``K``.
        rates: Sample rates of the nets in hertz.

    Returns:
        The level at each rate.

    Example:
        >>> song = np.array([[1.0, 2.0, 3.0], [3.0, 4.0, 5.0]], dtype=np.float32)
        >>> level = measure([song[:, :2], song[:, 2:]], 8000, 2, [8000])[8000]
        >>> round(level.mean, 6), round(level.deviation, 6)
        (3.0, 1.0)
    """
    sums = {rate: _Sums() for rate in rates}
    streams = [
        resample_stream(same, sample_rate, rate, channels)
        for same, rate in zip(tee(blocks, len(sums)), sums, strict=True)
    ]
    for parts in zip_longest(*streams):
        for each, part in zip(sums.values(), parts, strict=True):
            if part is not None:
                each.add(part.mean(axis=0))
    return {rate: each.level for rate, each in sums.items()}


class LevelSoFar:
    """Level of a stream up to a given position, independent of how it is divided into blocks."""

    def __init__(self) -> None:
        self.sums = _Sums()
        self.waiting: deque[Audio] = deque()

    def recorded(self, blocks: Iterable[Audio]) -> Iterator[Audio]:
        """Pass on blocks ``[K, n]``, and remember their mono mixture."""
        for block in blocks:
            self.waiting.append(block.mean(axis=0))
            yield block

    def level(self, position: int) -> Level:
        """Level of the first ``position`` samples, or of as many as have been read."""
        self.sums.add(take(self.waiting, position - self.sums.count).reshape(-1))
        return self.sums.level
