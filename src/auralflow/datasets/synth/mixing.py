"""From dry parts to stems: rooms, saturation and levels."""

import numpy as np
from numpy.typing import NDArray

from auralflow.datasets.synth.composition import STEMS
from auralflow.datasets.synth.signals import Signal, convolve

__all__ = ["active_rms", "balance", "draw_room", "reverberate", "saturate"]

SILENCE = 10 ** (-50 / 20)
PEAK = 0.95
RELATIVE_LEVELS = {"vocals": 0.0, "drums": 0.0, "bass": -2.0, "other": -1.0}  # dB against the drums
LEVEL_SPREAD = 3.0  # dB


def active_rms(stem: Signal, sample_rate: int) -> float:
    """RMS over the tenths of a second in which a stem is not silent.

    Args:
        stem: Audio [C, N].
        sample_rate: Samples per second.

    Returns:
        RMS over all frames within 40 dB of the loudest one; 0 for silence.

    Example:
        >>> half = np.zeros((1, 8000), dtype=np.float32)
        >>> half[:, :4000] = 0.5
        >>> round(active_rms(half, 8000), 3)
        0.5
    """
    frame = max(sample_rate // 10, 1)
    power = np.mean(stem**2, axis=0)
    frames = np.add.reduceat(power, np.arange(0, len(power), frame)) / frame
    loudest = frames.max(initial=0.0)
    return float(np.sqrt(frames[frames >= loudest * 1e-4].mean())) if loudest > 0 else 0.0


def draw_room(sample_rate: int, rng: np.random.Generator, *, seconds: float) -> Signal:
    """Impulse response of a room: decorrelated noise in two channels that dies away, the highs first.

    Args:
        sample_rate: Samples per second.
        rng: Source of the randomness.
        seconds: Reverberation time, until -60 dB.

    Returns:
        Impulse response [2, N] with unit energy in each channel, without the direct sound.

    Source:
        J. A. Moorer, "About This Reverberation Business", 1979.

    Example:
        >>> draw_room(8000, np.random.default_rng(0), seconds=0.5).shape
        (2, 4000)
    """
    samples = max(int(seconds * sample_rate), 32)
    time = np.arange(samples, dtype=np.float32) / sample_rate
    noise = rng.standard_normal((2, samples), dtype=np.float32)
    dull = noise.copy()
    for shift in (1, 2, 4):  # three averages: a cheap low-pass for the late part
        dull[:, shift:] = (dull[:, shift:] + dull[:, :-shift]) * np.float32(0.7)
    late = np.minimum(time / np.float32(0.35 * seconds), 1)
    room = (noise * (1 - late) + dull * late) * np.exp(np.float32(-6.9 / seconds) * time)
    gap = int(rng.uniform(0.004, 0.025) * sample_rate)
    room = np.concatenate([np.zeros((2, gap), dtype=np.float32), room], axis=1)[:, :samples]
    return np.asarray(room / np.sqrt(np.sum(room**2, axis=1, keepdims=True)), dtype=np.float32)


def reverberate(stem: Signal, room: Signal, wet: float) -> Signal:
    """Place a stem in a room.

    Args:
        stem: Dry audio [2, N].
        room: Impulse response [2, M] of :func:`draw_room`.
        wet: Level of the reverberation against the dry sound.

    Returns:
        Audio [2, N].

    Example:
        >>> dry = np.ones((2, 100), dtype=np.float32)
        >>> bool(np.allclose(reverberate(dry, dry[:, :10], 0.0), dry))
        True
    """
    return stem + np.float32(wet) * convolve(stem.mean(axis=0), room)


def saturate(stem: Signal, drive: float, sample_rate: int) -> Signal:
    """Round the peaks, as tape and compressors do.

    Args:
        stem: Audio [C, N].
        drive: Active RMS at which the curve is met; 0.1 is nearly clean, 0.5 audibly driven.
        sample_rate: Samples per second.

    Returns:
        Audio [C, N] with an active RMS of at most ``drive``.

    Example:
        >>> loud = np.full((1, 10), 9.0, dtype=np.float32)
        >>> bool(saturate(loud, 0.5, 10).max() < 0.5)
        True
    """
    level = active_rms(stem, sample_rate)
    return np.tanh(stem * np.float32(drive / level)) if level > 0 else stem


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
        decibels = RELATIVE_LEVELS[name] + rng.uniform(-LEVEL_SPREAD, LEVEL_SPREAD)
        level = active_rms(stems[name], sample_rate)
        gains[name] = 10 ** (decibels / 20) / level if level > 0 else 0.0
    mixed = {name: stems[name] * np.float32(gains[name]) for name in STEMS}
    mixture: NDArray[np.float32] = np.sum(list(mixed.values()), axis=0, dtype=np.float32)
    peak = max(float(np.max(np.abs(signal))) for signal in (mixture, *mixed.values()))
    # A hair below the limit, because rounding may add to the sum. Masters differ in loudness.
    loudness = np.float32(0.999 * PEAK * rng.uniform(0.6, 1.0) / peak) if peak > 0 else np.float32(1.0)
    return {name: stem * loudness for name, stem in mixed.items()}
