"""Building blocks of sound: band-limited oscillators, shaped noise, plucked strings and convolution.

Everything works on whole arrays, so that a song is made many times faster than it plays. Shapes: N samples.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auralflow.effects.signals import Signal

__all__ = [
    "Frequencies",
    "cycle_table",
    "exponential_decay",
    "pluck_string",
    "read_cycle",
    "shaped_noise",
    "smooth_noise",
]

Frequencies = NDArray[np.floating[Any]]
"""Frequencies in Hz, or gains at them."""

TABLE_SIZE = 4096
MAX_HARMONICS = 256


def exponential_decay(samples: int, time_constant: float, sample_rate: int) -> Signal:
    """Envelope that falls to 1/e in each time constant.

    Args:
        samples: Length N.
        time_constant: Seconds.
        sample_rate: Samples per second.

    Returns:
        Envelope [N] that begins at one.

    Example:
        >>> round(float(exponential_decay(101, 0.1, 1000)[100]), 3)
        0.368
    """
    exponent = np.arange(samples, dtype=np.float32) / np.float32(-time_constant * sample_rate)
    return np.asarray(np.exp(exponent), dtype=np.float32)


def cycle_table(harmonics: NDArray[np.floating], frequency: float, sample_rate: int) -> Signal:
    """One cycle of a periodic wave without the harmonics that would alias.

    Args:
        harmonics: Amplitudes of the harmonics, the fundamental first.
        frequency: Highest fundamental in Hz with which the table will be read.
        sample_rate: Samples per second.

    Returns:
        Table of 4096 samples plus a copy of the first, at an RMS of one; silent if nothing fits below
        Nyquist.

    Example:
        >>> round(float(cycle_table(np.ones(1), 100.0, 8000).max()), 3)
        1.414
    """
    kept = min(len(harmonics), MAX_HARMONICS, int(0.48 * sample_rate / frequency))
    spectrum = np.zeros(TABLE_SIZE // 2 + 1, dtype=np.complex128)
    order = np.arange(1, kept + 1)
    # Phases that grow with the square of the order keep the crest factor low (M. R. Schroeder, 1970).
    spectrum[1 : kept + 1] = harmonics[:kept] * np.exp(-1j * np.pi * order**2 / max(kept, 1))
    table = np.fft.irfft(spectrum)
    rms = np.sqrt(np.mean(table**2))
    table = table / rms if rms > 0 else table
    return np.append(table, table[0]).astype(np.float32)


def read_cycle(table: Signal, phase: NDArray[np.float64]) -> Signal:
    """Read a cycle table at any phase, with linear interpolation.

    Args:
        table: Table of :func:`cycle_table`.
        phase: Phase in cycles [N].

    Returns:
        Wave [N].

    Example:
        >>> table = cycle_table(np.ones(1), 100.0, 8000)
        >>> wave = read_cycle(table, np.arange(8000) * 100 / 8000)
        >>> int(np.argmax(np.abs(np.fft.rfft(wave))))
        100
    """
    position = (phase - np.floor(phase)) * TABLE_SIZE
    index = position.astype(np.int32)
    # A phase just below one can round up to the whole table.
    np.minimum(index, TABLE_SIZE - 1, out=index)
    low = table[index]
    return low + (table[index + 1] - low) * (position - index).astype(np.float32)


def shaped_noise(
    samples: int,
    sample_rate: int,
    rng: np.random.Generator,
    gain: Callable[[Frequencies], Frequencies],
) -> Signal:
    """Gaussian noise with a given magnitude response.

    Args:
        samples: Length N.
        sample_rate: Samples per second.
        rng: Source of the randomness.
        gain: Function from frequencies in Hz to gains.

    Returns:
        Noise [N] at an RMS of one.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> noise = shaped_noise(8192, 8192, rng, lambda frequency: (frequency > 2000) * 1.0)
        >>> bool(np.abs(np.fft.rfft(noise))[:1999].max() < 1e-2)
        True
    """
    # A length that the FFT factors well; the surplus is cut.
    size = 1 << max(samples - 1, 15).bit_length() if samples < 4096 else -(-samples // 1024) * 1024
    spectrum = np.fft.rfft(rng.standard_normal(size, dtype=np.float32))
    response = gain(np.fft.rfftfreq(size, 1 / sample_rate)).astype(np.float32)
    noise = np.fft.irfft(spectrum * response, size)[:samples].astype(np.float32)
    return noise / np.float32(np.sqrt(np.mean(noise**2)) + 1e-9)


def smooth_noise(points: int, width: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Slow random curve, for drift and jitter.

    Args:
        points: Length of the curve.
        width: Points over which the curve is smoothed.
        rng: Source of the randomness.

    Returns:
        Curve [points] with a deviation of about one.

    Example:
        >>> smooth_noise(50, 5, np.random.default_rng(0)).shape
        (50,)
    """
    window = np.hanning(width + 2)[1:-1]
    window /= np.sqrt(np.sum(window**2))
    return np.convolve(rng.standard_normal(points + width - 1), window, mode="valid")


def pluck_string(
    frequency: float,
    samples: int,
    sample_rate: int,
    *,
    damping: float,
    brightness: float,
    rng: np.random.Generator,
) -> Signal:
    """Plucked string: noise that circulates in a delay line and loses its highs.

    Args:
        frequency: Pitch in Hz.
        samples: Length N.
        sample_rate: Samples per second.
        damping: Seconds until the string has fallen to 1/e.
        brightness: From 0 (dull pluck, highs die at once) to 1 (wire).
        rng: Source of the randomness.

    Returns:
        Sound [N] with a peak of one.

    Source:
        K. Karplus and A. Strong, "Digital Synthesis of Plucked-String and Drum Timbres", 1983.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> sound = pluck_string(110.0, 8000, 8000, damping=0.5, brightness=0.5, rng=rng)
        >>> peak = int(np.argmax(np.abs(np.fft.rfft(sound))[:165]))
        >>> abs(peak - 110) <= 1
        True
    """
    blend = 0.5 - 0.42 * brightness  # weight of the neighbour sample: half is the classic string
    period = max(int(sample_rate / frequency - blend), 3)
    stretch = (period + blend) * frequency / sample_rate  # of the whole delay against the true period
    periods = int(samples * stretch) // period + 2
    loss = np.exp(-1.0 / (frequency * damping))
    excitation = rng.standard_normal(period)
    # Softer plucks begin with fewer highs, and no pluck displaces the string as a whole.
    spectrum = np.fft.rfft(excitation) / (1 + np.arange(period // 2 + 1)) ** (1.1 - 0.8 * brightness)
    spectrum[0] = 0.0
    cycle = np.fft.irfft(spectrum, period)
    cycles = np.empty((periods, period))
    last = 0.0
    for index in range(periods):
        cycles[index] = cycle
        shifted = np.concatenate(([last], cycle[:-1]))
        last = cycle[-1]
        cycle = loss * ((1 - blend) * cycle + blend * shifted)
    line = cycles.reshape(-1)
    sound = np.interp(np.arange(samples) * stretch, np.arange(len(line)), line).astype(np.float32)
    return np.asarray(sound / np.float32(np.max(np.abs(sound)) + 1e-9), dtype=np.float32)
