"""Second-order filters of a mixing desk."""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.signal import sosfilt

from auralflow.effects.filters import Band, peak_section
from auralflow.effects.signals import Signal

__all__ = ["Sections", "filtered", "high_shelf", "low_shelf", "peak"]

Sections = NDArray[np.float64]
"""Second-order sections [sections, 6], as scipy takes them."""


def filtered(sections: Sections, sound: Signal) -> Signal:
    """Filter a sound.

    Args:
        sections: Second-order sections [sections, 6].
        sound: Audio [..., N].

    Returns:
        Audio [..., N]. Silence stays silence.

    Example:
        >>> bool(np.any(filtered(peak(1000.0, 6.0, 1.0, 8000), np.zeros(9, dtype=np.float32))))
        False
    """
    if not np.any(sound):
        return sound
    # In rests the state of a filter would decay to denormal numbers, which are many times slower.
    alive = sound + np.resize(_whisper(), sound.shape[-1])
    return np.asarray(sosfilt(sections, alive, axis=-1), dtype=np.float32)


@cache
def _whisper() -> NDArray[np.float64]:
    return 1e-12 * np.random.default_rng(0).standard_normal(65536)


def peak(frequency: float, gain: float, quality: float, sample_rate: int) -> Sections:
    """A peak filter.

    Args:
        frequency: Centre frequency in hertz.
        gain: Gain in dB.
        quality: Centre frequency over bandwidth.
        sample_rate: Sample rate in hertz.

    Returns:
        One section [1, 6].

    Source:
        R. Bristow-Johnson, "Cookbook formulae for audio EQ biquad filter coefficients".

    Example:
        >>> from scipy.signal import sosfreqz
        >>> _, response = sosfreqz(peak(1000.0, 6.0, 1.0, 8000), [1000.0], fs=8000)
        >>> round(float(20 * np.log10(abs(response[0]))), 6)
        6.0
    """
    return peak_section(Band(frequency, gain, quality), sample_rate)[np.newaxis]


def low_shelf(frequency: float, gain: float, sample_rate: int) -> Sections:
    """A low shelf filter.

    Args:
        frequency: Frequency in hertz of half the gain in dB.
        gain: Gain in dB.
        sample_rate: Sample rate in hertz.

    Returns:
        One section [1, 6].

    Source:
        As :func:`peak`, with a shelf slope of one.

    Example:
        >>> low_shelf(100.0, 6.0, 8000).shape
        (1, 6)
    """
    return _shelf(frequency, gain, sample_rate, -1.0)


def high_shelf(frequency: float, gain: float, sample_rate: int) -> Sections:
    """A high shelf filter.

    Args:
        frequency: Frequency in hertz of half the gain in dB.
        gain: Gain in dB.
        sample_rate: Sample rate in hertz.

    Returns:
        One section [1, 6].

    Source:
        As :func:`peak`, with a shelf slope of one.

    Example:
        >>> from scipy.signal import sosfreqz
        >>> _, response = sosfreqz(high_shelf(500.0, -12.0, 8000), [3999.0], fs=8000)
        >>> round(float(20 * np.log10(abs(response[0]))), 2)
        -12.0
    """
    return _shelf(frequency, gain, sample_rate, 1.0)


def _shelf(frequency: float, gain: float, sample_rate: int, side: float) -> Sections:
    """The cookbook's shelves differ in the sign of the cosine."""
    turn, level = 2 * np.pi * frequency / sample_rate, 10 ** (gain / 40)
    cosine = side * np.cos(turn)
    width = np.sqrt(2 * level) * np.sin(turn)
    above, below = level + 1, level - 1
    return _section(
        (
            level * (above + below * cosine + width),
            side * -2 * level * (below + above * cosine),
            level * (above + below * cosine - width),
        ),
        (above - below * cosine + width, side * 2 * (below - above * cosine), above - below * cosine - width),
    )


def _section(above: tuple[float, float, float], below: tuple[float, float, float]) -> Sections:
    return np.array([[*above, *below]]) / below[0]
