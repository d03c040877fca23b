"""Stereo width."""

import numpy as np
from scipy.signal import butter

from auralflow.effects.equalizers import filtered
from auralflow.effects.signals import Signal

__all__ = ["widen"]

NARROW_BELOW = 200.0


def widen(sound: Signal, amount: float, sample_rate: int, rng: np.random.Generator) -> Signal:
    """Widen a sound without changing its mono sum.

    Args:
        sound: Audio [2, N].
        amount: Level of the side signal relative to the mid signal, above 200 Hz.
        sample_rate: Sample rate in hertz.
        rng: Random number generator for the delay of the side signal, 6 to 20 ms.

    Returns:
        Audio [2, N].

    Source:
        M. R. Schroeder, "An Artificial Stereophonic Effect Obtained from a Single Audio Signal", 1958.

    Example:
        >>> sound = np.random.default_rng(1).standard_normal((2, 800)).astype(np.float32)
        >>> wide = widen(sound, 0.5, 8000, np.random.default_rng(0))
        >>> bool(np.allclose(wide.sum(axis=0), sound.sum(axis=0), atol=1e-5))
        True
    """
    late = int(rng.uniform(0.006, 0.02) * sample_rate)
    middle = sound.mean(axis=0)
    side = np.zeros_like(middle)
    side[late:] = middle[: max(len(middle) - late, 0)]
    high = butter(2, min(NARROW_BELOW, 0.2 * sample_rate), "highpass", fs=sample_rate, output="sos")
    side = np.float32(amount) * filtered(high, side)
    return np.asarray(sound + np.stack([side, -side]), dtype=np.float32)
