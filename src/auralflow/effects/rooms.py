"""Rooms, plates and echoes."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.signal import butter, sosfilt

from auralflow.effects.equalizers import filtered
from auralflow.effects.signals import Signal, add_at, convolve

__all__ = ["RoomKind", "draw_room", "echo", "reverberate"]

RoomKind = Literal["booth", "room", "hall", "plate"]


@dataclass(frozen=True, slots=True)
class _Acoustics:
    """Ranges: decay time to -60 dB in seconds, gap in ms, fraction of reflections, faster decay of highs."""

    seconds: tuple[float, float]
    gap: tuple[float, float]
    early: float
    absorption: tuple[float, float]


# Common knowledge: studios, rooms, concert halls; a plate has no early reflections and keeps its highs.
ACOUSTICS: dict[RoomKind, _Acoustics] = {
    "booth": _Acoustics((0.12, 0.3), (1, 5), 0.8, (2.0, 4.0)),
    "room": _Acoustics((0.3, 0.8), (3, 15), 0.5, (2.0, 3.5)),
    "hall": _Acoustics((1.0, 2.4), (15, 45), 0.25, (2.5, 4.0)),
    "plate": _Acoustics((0.8, 2.0), (0, 30), 0.0, (1.3, 2.0)),
}
CROSSOVER = 3000.0
RUMBLE = 150.0


def draw_room(kind: RoomKind, sample_rate: int, rng: np.random.Generator) -> Signal:
    """Impulse response of a room: a few reflections, then decaying noise, in which the highs decay faster.

    Args:
        kind: A small dry room, a room, a hall or a plate.
        sample_rate: Sample rate in hertz.
        rng: Random number generator.

    Returns:
        Impulse response [2, N] with unit energy in each channel, without the direct sound and attenuated
        below 150 Hz, as is usual for reverberation returns.

    Source:
        J. A. Moorer, "About This Reverberation Business", 1979.

    Example:
        >>> draw_room("booth", 8000, np.random.default_rng(0)).shape[0]
        2
    """
    acoustics = ACOUSTICS[kind]
    seconds = rng.uniform(*acoustics.seconds)
    samples = max(int(seconds * sample_rate), 32)
    time = np.arange(samples, dtype=np.float32) / sample_rate
    noise = rng.standard_normal((2, samples), dtype=np.float32)
    split = butter(1, min(CROSSOVER, 0.4 * sample_rate), fs=sample_rate, output="sos")
    dark = sosfilt(split, noise, axis=-1)
    absorption = rng.uniform(*acoustics.absorption)
    rate = np.float32(-6.9 / seconds)
    late = dark * np.exp(rate * time) + (noise - dark) * np.exp(rate * np.float32(absorption) * time)
    late /= np.sqrt(np.sum(late**2, axis=1, keepdims=True))
    gap = int(rng.uniform(*acoustics.gap) * 1e-3 * sample_rate)
    room = np.zeros((2, samples + gap), dtype=np.float32)
    room[:, gap:] = np.float32(np.sqrt(1 - acoustics.early)) * late
    for channel in range(2):
        taps = gap // 2 + rng.integers(1, max(int(0.04 * sample_rate), 2), 8)
        gains = rng.choice((-1.0, 1.0), 8) / (1 + 60 * taps / sample_rate)
        scale = np.sqrt(acoustics.early / np.sum(gains**2))
        for tap, gain in zip(taps, gains * scale, strict=True):
            add_at(room[channel], int(tap), np.array([gain], dtype=np.float32))
    thin = sosfilt(
        butter(1, min(RUMBLE, 0.2 * sample_rate), "highpass", fs=sample_rate, output="sos"), room, axis=-1
    )
    return np.asarray(thin / np.sqrt(np.sum(thin**2, axis=1, keepdims=True)), dtype=np.float32)


def reverberate(stem: Signal, room: Signal, wet: float) -> Signal:
    """Place a stem in a room.

    Args:
        stem: Dry audio [2, N].
        room: Impulse response [2, M] of :func:`draw_room`.
        wet: Level of the reverberation relative to the dry sound.

    Returns:
        Audio [2, N].

    Example:
        >>> dry = np.ones((2, 100), dtype=np.float32)
        >>> bool(np.allclose(reverberate(dry, dry[:, :10], 0.0), dry))
        True
    """
    return stem + np.float32(wet) * convolve(stem.mean(axis=0), room)


def echo(stem: Signal, seconds: float, gain: float, sample_rate: int) -> Signal:
    """Add three echoes that alternate between the sides, each duller than the one before.

    Args:
        stem: Dry audio [2, N].
        seconds: Delay between echoes in seconds.
        gain: Gain of each echo relative to the one before.
        sample_rate: Sample rate in hertz.

    Returns:
        Audio [2, N].

    Example:
        >>> click = np.zeros((2, 8000), dtype=np.float32)
        >>> click[:, 0] = 1
        >>> [int(index) for index in np.flatnonzero(np.abs(echo(click, 0.25, 0.3, 8000)[1]) > 0.2)]
        [0, 2000]
    """
    result = stem.copy()
    repeat = stem.mean(axis=0)
    dull = butter(1, min(3500.0, 0.4 * sample_rate), fs=sample_rate, output="sos")
    for number in range(1, 4):
        repeat = np.float32(gain) * filtered(dull, repeat)
        start = round(number * seconds * sample_rate)
        add_at(result[number % 2], start, repeat)
        add_at(result[1 - number % 2], start, np.float32(0.3) * repeat)
    return result
