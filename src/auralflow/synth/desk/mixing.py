"""From stems to a song: relative levels, mastering, and one gain for all."""

import numpy as np
from numpy.typing import NDArray

from auralflow.effects.dynamics import Compressor, active_rms, master
from auralflow.effects.signals import Signal
from auralflow.synth.score.composition import STEMS

__all__ = ["LEVEL_RANGE", "RELATIVE_LEVELS", "balance", "mastered"]

PEAK = 0.95
RELATIVE_LEVELS = {"vocals": -2.5, "drums": 0.0, "bass": -1.0, "other": -3.5}
"""Mean active RMS in dB relative to drums. Over the songs for training its medians are -5.0, 0.0, -0.3 and
-6.9 dB, in songs whose drums are unusually loud; by common practice voice and drums are equally loud and the
accompaniment little below. These values are the middles, rounded to half a decibel."""
LEVEL_SPREAD = 3.0  # dB of standard deviation; the songs for training spread by 3 to 5 dB
LEVEL_RANGE = 7.0  # largest deviation of a stem from its mean in dB
MASTERED = 0.6
"""Fraction of the songs with a compressor and a limiter on their sum, as on records."""


def balance(stems: dict[str, Signal], sample_rate: int, rng: np.random.Generator) -> dict[str, Signal]:
    """Set the relative levels of the stems, then one gain for all of them.

    Args:
        stems: Audio [2, N] by name.
        sample_rate: Samples per second.
        rng: Source of the randomness.

    Returns:
        The stems; neither one of them nor their sum exceeds 0.95.

    Example:
        >>> stems = {name: np.ones((2, 9), dtype=np.float32) for name in STEMS}
        >>> mixed = balance(stems, 8000, np.random.default_rng(0))
        >>> bool(sum(mixed.values()).max() <= 0.95)
        True
    """
    gains = {}
    for name in STEMS:
        spread = float(np.clip(rng.normal(0, LEVEL_SPREAD), -LEVEL_RANGE, LEVEL_RANGE))
        decibels = RELATIVE_LEVELS[name] + (spread if name != "drums" else 0.0)
        level = active_rms(stems[name], sample_rate)
        gains[name] = 10 ** (decibels / 20) / level if level > 0 else 0.0
    mixed = {name: stems[name] * np.float32(gains[name]) for name in STEMS}
    mixture: NDArray[np.float32] = np.sum(list(mixed.values()), axis=0, dtype=np.float32)
    peak = max(float(np.max(np.abs(signal))) for signal in (mixture, *mixed.values()))
    # A hair below the limit, because rounding may add to the sum. Masters differ in loudness.
    loudness = np.float32(0.999 * PEAK * rng.uniform(0.6, 1.0) / peak) if peak > 0 else np.float32(1.0)
    return {name: stem * loudness for name, stem in mixed.items()}


def mastered(stems: dict[str, Signal], sample_rate: int, rng: np.random.Generator) -> dict[str, Signal]:
    """Compress and limit a song as a whole; every stem gets the gain that its sum needs, so they still sum.

    Args:
        stems: Audio [2, N] by name.
        sample_rate: Samples per second.
        rng: Source of the randomness: whether, and how far.

    Returns:
        The stems; the loudest peak, of a stem or of their sum, is as high as before.

    Example:
        >>> stems = {name: np.ones((2, 9), dtype=np.float32) for name in STEMS}
        >>> sorted(mastered(stems, 8000, np.random.default_rng(0))) == sorted(STEMS)
        True
    """
    bus = Compressor(
        rng.uniform(-2, 4), rng.uniform(1.5, 3), rng.uniform(0.005, 0.03), rng.uniform(0.08, 0.3)
    )
    limiter = Compressor(rng.uniform(3, 9), 20.0, 0.001, rng.uniform(0.03, 0.1))
    if rng.random() >= MASTERED:
        return stems
    together = np.stack(list(stems.values()))
    before = _peak(together)
    for compressor in (bus, limiter):
        together = master(together, compressor, sample_rate)
    after = _peak(together)
    gain = np.float32(before / after) if after > 0 else np.float32(1)
    return dict(zip(stems, gain * together, strict=True))


def _peak(stems: Signal) -> float:
    return max(float(np.abs(stems).max(initial=0.0)), float(np.abs(stems.sum(axis=0)).max(initial=0.0)))
