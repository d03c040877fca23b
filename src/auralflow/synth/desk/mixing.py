"""From stems to a song: levels against each other, and one gain for all."""

import numpy as np
from numpy.typing import NDArray

from auralflow.synth.desk.dynamics import active_rms
from auralflow.synth.score.composition import STEMS
from auralflow.synth.signals import Signal

__all__ = ["LEVEL_RANGE", "RELATIVE_LEVELS", "balance"]

PEAK = 0.95
RELATIVE_LEVELS = {"vocals": -2.5, "drums": 0.0, "bass": -1.0, "other": -3.5}
"""Middle active RMS in dB against the drums. Over the songs for training its medians are -5.0, 0.0, -0.3 and
-6.9 dB, in songs whose drums are unusually loud; by common practice voice and drums are equally loud and the
accompaniment little below. These values are the middles, rounded to half a decibel."""
LEVEL_SPREAD = 3.0  # dB of standard deviation; the songs for training spread by 3 to 5 dB
LEVEL_RANGE = 7.0  # dB that a stem is away from its middle at most


def balance(stems: dict[str, Signal], sample_rate: int, rng: np.random.Generator) -> dict[str, Signal]:
    """Set the levels of the stems against each other, then one gain for all of them.

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
