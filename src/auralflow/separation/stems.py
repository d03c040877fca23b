"""Turns blocks into the samples of the stem files, and measures how well these sum to the original.

Shape letters: ``S`` source, ``K`` channel, ``n`` sample.
"""

import math
from dataclasses import dataclass

import numpy as np

from auralflow.audio import Audio
from auralflow.audio.encoding import Encoding
from auralflow.separation.stream import SeparatedBlock

__all__ = ["NullTest", "StemMaker"]


@dataclass
class NullTest:
    """Measures what is left of a song after subtracting its files.

    Attributes:
        original: Energy of the original.
        residual: Energy of the original minus the targets.
        left: Energy of the original minus all other files.
        count: Number of samples, over all channels.
    """

    original: float = 0.0
    residual: float = 0.0
    left: float = 0.0
    count: int = 0

    def add(self, original: Audio, residual: Audio, left: Audio) -> None:
        """Add the energies of blocks ``[K, n]``."""
        self.original += _energy(original)
        self.residual += _energy(residual)
        self.left += _energy(left)
        self.count += original.size

    @property
    def residual_db(self) -> float | None:
        """Level of the residual in dB relative to the original; None if either is silent.

        Example:
            >>> NullTest(original=100.0, residual=1.0).residual_db
            -20.0
        """
        if self.residual <= 0 or self.original <= 0:
            return None
        return 10 * math.log10(self.residual / self.original)

    @property
    def null_db(self) -> float | None:
        """Level of the difference in dBFS; None if it is exactly zero."""
        return 10 * math.log10(self.left / self.count) if self.left > 0 else None


def _energy(audio: Audio) -> float:
    # Not the dot product: BLAS starts threads that compete with those of the net.
    return float(np.square(audio, dtype=np.float64).sum())


class StemMaker:
    """Turns blocks of a song into the samples of its files.

    Rounding to integers preserves sums: the residual is the difference between the rounded original and the
    rounded targets, and targets that sum to the original still do so after rounding.

    Args:
        encoding: Format of the files.
        residual: Whether to write the residual.
        consistent: Whether the targets sum to the original.
        gain: Gain of all files.
    """

    def __init__(self, encoding: Encoding, *, residual: bool, consistent: bool, gain: float = 1.0) -> None:
        self.encoding = encoding
        self.residual = residual
        self.consistent = consistent
        self.gain = gain
        self.null_test = NullTest()

    def excess(self, block: SeparatedBlock) -> float:
        """Peak of a block relative to the range of the files: above 1, a file would clip."""
        original, targets = self._scaled(block)
        parts = [original, targets]
        if self.residual:
            parts.append(original - targets.sum(axis=0, dtype=np.float64))
        excess = max(self.encoding.excess(part) for part in parts)
        if excess > 1.0 or excess <= 1.0 - self.headroom(len(targets)):
            return excess
        return max(excess, self._rounding_excess(block))

    def headroom(self, num_targets: int) -> float:
        """How much rounding can add to a sample, relative to full scale.

        The residual is the difference of rounded files: half a step for the original and for each target.
        Targets that sum to the original are off by at most one step. Doubled, to allow for float arithmetic.
        """
        return (num_targets + 1) * 2.0 ** (1 - self.encoding.bits) + 1e-6 if self.encoding.bits else 0.0

    def _rounding_excess(self, block: SeparatedBlock) -> float:
        """Like `excess`, for samples derived from rounded ones, where clipping would break the sum."""
        if self.encoding.bits is None:
            return 0.0
        original, targets = self._rounded(block)
        derived = [targets] if self.consistent else []
        if self.residual:
            derived.append(original - targets.sum(axis=0))
        top = 1.0 - 2.0 ** (1 - self.encoding.bits)
        return max((max(part.max() / top, -part.min()) for part in derived if part.size), default=0.0)

    def make(self, block: SeparatedBlock) -> list[Audio]:
        """The samples of a block in each file: the original, the targets and, if requested, the residual."""
        original, targets = self._rounded(block)
        # In double precision, so that the difference is rounded at most once.
        difference = original - targets.sum(axis=0, dtype=np.float64)
        left = difference
        stems = [original, *targets]
        if self.residual:
            rest = self.encoding.rounded(difference)
            rest = rest if self.encoding.subtype != "FLOAT" else rest.astype(np.float32)
            stems.append(rest)
            left = difference - rest
        self.null_test.add(original, difference, left)
        return stems

    def _scaled(self, block: SeparatedBlock) -> tuple[Audio, Audio]:
        original, targets = block
        if self.gain == 1.0:
            return original, targets
        return self.gain * original, self.gain * targets

    def _rounded(self, block: SeparatedBlock) -> tuple[Audio, Audio]:
        original, targets = self._scaled(block)
        if self.encoding.bits is None:
            return original, self._completed(original, targets) if self.consistent else targets
        original = self.encoding.rounded(original)
        if not self.consistent:
            return original, self.encoding.rounded(targets)
        # Rounding the cumulative sum instead of the targets keeps every target within a step of its value and
        # the last sum equal to the original.
        sums = np.cumsum(targets, axis=0, dtype=np.float64)
        sums[-1] = original
        step = 2.0 ** (1 - self.encoding.bits)
        sums = np.rint(sums / step) * step
        return original, np.diff(sums, axis=0, prepend=0.0)

    def _completed(self, original: Audio, targets: Audio) -> Audio:
        """Replace the last target by the original minus the others."""
        last = original - targets[:-1].sum(axis=0, dtype=np.float64)
        kind = np.float32 if self.encoding.subtype == "FLOAT" else np.float64
        return np.concatenate((targets[:-1], last[None])).astype(kind)
