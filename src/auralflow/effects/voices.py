"""Vocal production: stacked takes, harmonies, choirs, chorus, slap echo, telephone, level rides, rooms.

A production is plain data: drawing it needs no audio, and applying it is deterministic. Both are cheap enough
for every training chunk.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.signal import butter

from auralflow.effects.dynamics import Compressor, active_rms, compress, saturate
from auralflow.effects.equalizers import filtered
from auralflow.effects.rooms import RoomKind, draw_room, echo, reverberate
from auralflow.effects.signals import Signal

__all__ = ["Production", "Take", "draw_production", "harmonise", "produce", "ride", "slap", "take"]

QUIET = 1e-6
GRAIN = 0.06
"""Length of the grains of a harmoniser in seconds: shorter ones break up low voices, longer ones echo."""
INTERVALS = (3, 4, -3, -5, 5, 7, 12, -12)
"""Semitones of harmonies: thirds, fourths, fifths, octaves."""
WANDER = (0.23, 0.61)
"""Frequency in hertz at which the delay, and thus the pitch, of another take varies."""
PHONE_ORDER = 2

Kind = Literal["lead", "doubled", "harmony", "choir"]
KINDS: dict[Kind, float] = {"lead": 0.45, "doubled": 0.25, "harmony": 0.18, "choir": 0.12}


@dataclass(frozen=True, slots=True)
class Take:
    """Another take of the same line.

    Attributes:
        seconds: Delay in seconds.
        cents: Pitch deviation in cents to either side.
        pan: From -1, left, to 1, right.
        gain: Gain in dB relative to the first take.
        semitones: Interval to the first take.
        phase: Initial phase of the deviation, from 0 to 1.
    """

    seconds: float
    cents: float
    pan: float
    gain: float
    semitones: int = 0
    phase: float = 0.0


@dataclass(frozen=True, slots=True)
class Production:
    """The processing of a voice, in this order.

    Attributes:
        takes: Takes besides the first.
        dry: Gain of the first take in dB.
        telephone: Limits of the passband in hertz, None for the full band.
        compressor: The compressor, None for none.
        drive: Saturation as in `saturate`, None for none.
        rides: Gains in dB at equal intervals, interpolated in between.
        slap: Delay in seconds and gain of a single echo, None for none.
        echoes: Delay in seconds and gain of alternating echoes, None for none.
        room: Kind, seed and level of the reverberation, None for none.
    """

    takes: tuple[Take, ...] = ()
    dry: float = 0.0
    telephone: tuple[float, float] | None = None
    compressor: Compressor | None = None
    drive: float | None = None
    rides: tuple[float, ...] = ()
    slap: tuple[float, float] | None = None
    echoes: tuple[float, float] | None = None
    room: tuple[RoomKind, int, float] | None = None


def draw_production(rng: np.random.Generator) -> Production:
    """Draw a production.

    Args:
        rng: Random number generator.

    Returns:
        The production.

    Example:
        >>> draw_production(np.random.default_rng(0)) == draw_production(np.random.default_rng(0))
        True
    """
    kind: Kind = rng.choice(list(KINDS), p=list(KINDS.values()))
    takes = _draw_takes(kind, rng)
    chorus = tuple(
        Take(rng.uniform(0.012, 0.025), rng.uniform(4, 12), pan, rng.uniform(-10, -5), phase=rng.random())
        for pan in (-1.0, 1.0)
    )
    rooms: tuple[RoomKind, ...] = ("plate", "plate", "hall", "room")
    wet = float(np.exp(rng.uniform(np.log(0.06), np.log(0.8))))
    chances = rng.random(8)
    return Production(
        takes=takes + (chorus if chances[0] < 0.15 else ()),
        dry=-60.0 if kind == "choir" and chances[1] < 0.5 else 0.0,
        telephone=(rng.uniform(200, 500), rng.uniform(2500, 4500)) if chances[2] < 0.06 else None,
        compressor=_draw_compressor(rng) if chances[3] < 0.8 else None,
        drive=rng.uniform(0.05, 0.3) if chances[4] < 0.4 else None,
        rides=tuple(rng.normal(0, 2.5, 5).tolist()) if chances[5] < 0.4 else (),
        slap=(rng.uniform(0.06, 0.14), rng.uniform(0.15, 0.45)) if chances[6] < 0.15 else None,
        echoes=(rng.uniform(0.15, 0.6), rng.uniform(0.1, 0.4)) if 0.15 <= chances[6] < 0.3 else None,
        room=(rooms[rng.integers(len(rooms))], int(rng.integers(1 << 31)), wet) if chances[7] < 0.8 else None,
    )


def _draw_takes(kind: Kind, rng: np.random.Generator) -> tuple[Take, ...]:
    def one(pan: float, gain: float, cents: float, semitones: int = 0) -> Take:
        return Take(rng.uniform(0.01, 0.045), cents, pan, gain, semitones, rng.random())

    if kind == "doubled":
        width, gain = rng.uniform(0.3, 1.0), rng.uniform(-10, 0)
        pans = (-width, width) if rng.random() < 0.7 else (0.0,)
        return tuple(one(pan, gain, rng.uniform(3, 12)) for pan in pans)
    if kind == "harmony":
        intervals = rng.choice(INTERVALS, size=rng.integers(1, 3), replace=False).tolist()
        width, gain = rng.uniform(0.0, 0.8), rng.uniform(-10, -2)
        return tuple(
            one(side * width, gain, rng.uniform(3, 12), interval)
            for side, interval in zip((-1, 1), intervals, strict=False)
        )
    if kind == "choir":
        count = int(rng.integers(4, 8))
        intervals = rng.choice((0, 0, 0, 0, 12, -12, 7, 4), size=count).tolist()
        return tuple(
            one(float(pan), rng.uniform(-6, 0), rng.uniform(8, 25), interval)
            for pan, interval in zip(np.linspace(-1, 1, count), intervals, strict=True)
        )
    return ()


def _draw_compressor(rng: np.random.Generator) -> Compressor:
    return Compressor(
        threshold=rng.uniform(-12, 2),
        ratio=rng.uniform(2, 8),
        attack=rng.uniform(0.001, 0.01),
        release=rng.uniform(0.04, 0.2),
    )


def produce(voice: Signal, production: Production, sample_rate: int) -> Signal:
    """Produce a voice.

    Args:
        voice: Audio [2, N], or [1, N], for which the mid signal is returned; it is not changed.
        production: The processing.
        sample_rate: Sample rate in hertz.

    Returns:
        Audio of the same shape, with the same active RMS.

    Example:
        >>> voice = np.random.default_rng(0).standard_normal((2, 800)).astype(np.float32)
        >>> bool(np.allclose(produce(voice, Production(), 8000), voice, atol=1e-4))
        True
    """
    level = active_rms(voice, sample_rate)
    if level < QUIET:
        return voice
    channels = len(voice)
    sound = np.repeat(voice, 2, axis=0) if channels == 1 else voice
    sound = _stacked(sound, production, sample_rate)
    if production.telephone:
        low, high = (min(border, 0.45 * sample_rate) for border in production.telephone)
        sections = butter(PHONE_ORDER, (low, max(high, 1.5 * low)), "bandpass", fs=sample_rate, output="sos")
        sound = filtered(sections, sound)
    if production.compressor:
        sound = compress(sound, production.compressor, sample_rate)
    if production.drive:
        sound = saturate(sound, production.drive, sample_rate)
    if production.rides:
        sound = ride(sound, production.rides)
    if production.slap:
        sound = slap(sound, *production.slap, sample_rate)
    if production.echoes:
        sound = echo(sound, *production.echoes, sample_rate)
    if production.room:
        kind, seed, wet = production.room
        sound = reverberate(sound, draw_room(kind, sample_rate, np.random.default_rng(seed)), wet)
    if channels == 1:
        sound = sound.mean(axis=0, keepdims=True)
    after = active_rms(sound, sample_rate)
    return np.asarray(sound * np.float32(level / max(after, QUIET)), dtype=np.float32)


def _stacked(sound: Signal, production: Production, sample_rate: int) -> Signal:
    stacked = sound * np.float32(10 ** (production.dry / 20))
    middle = sound.mean(axis=0)
    for other in production.takes:
        line = harmonise(middle, other.semitones, sample_rate) if other.semitones else middle
        angle = (1 + other.pan) * np.pi / 4
        sides = np.sqrt(2) * np.array([[np.cos(angle)], [np.sin(angle)]], dtype=np.float32)
        stacked += np.float32(10 ** (other.gain / 20)) * sides * take(line, other, sample_rate)
    return stacked


def take(line: Signal, settings: Take, sample_rate: int) -> Signal:
    """Simulate another take of a line, with a varying delay and thus pitch.

    Args:
        line: Audio [N].
        settings: Delay and pitch deviation.
        sample_rate: Sample rate in hertz.

    Returns:
        Audio [N].

    Example:
        >>> click = np.zeros(1000, dtype=np.float32)
        >>> click[0] = 1
        >>> int(np.argmax(take(click, Take(0.05, 0.0, 0.0, 0.0), 8000)))
        400
    """
    moments = np.arange(len(line)) / sample_rate
    late = np.full(len(line), settings.seconds)
    slope = 2 ** (settings.cents / 1200) - 1
    for number, frequency in enumerate(WANDER):
        # The slope of the delay shifts the pitch; both waves together reach at most the given cents.
        depth = slope / (len(WANDER) * 2 * np.pi * frequency)
        late += depth * np.sin(2 * np.pi * (frequency * moments + settings.phase + 0.37 * number))
    places = np.arange(len(line)) - np.maximum(late, 0) * sample_rate
    return np.asarray(np.interp(places, np.arange(len(line)), line, left=0.0), dtype=np.float32)


def harmonise(line: Signal, semitones: float, sample_rate: int) -> Signal:
    """Shift the pitch as a harmoniser does: by cross-fading two varying delays.

    Args:
        line: Audio [N].
        semitones: Interval in semitones.
        sample_rate: Sample rate in hertz.

    Returns:
        Audio [N], delayed by about 30 ms.

    Example:
        >>> tone = np.sin(2 * np.pi * 440 * np.arange(16000) / 8000).astype(np.float32)
        >>> spectrum = np.abs(np.fft.rfft(harmonise(tone, 12, 8000)))
        >>> abs(int(np.argmax(spectrum)) / 2 - 880) < 20
        True
    """
    grain = GRAIN * sample_rate
    position = np.arange(len(line))
    turn = position * (1 - 2 ** (semitones / 12)) / grain
    result = np.zeros(len(line))
    for offset in (0.0, 0.5):
        share = (turn + offset) % 1
        # The weights sum to one, and a delay is silent while it jumps.
        weight = 1 - np.abs(2 * share - 1)
        result += weight * np.interp(position - share * grain, position, line, left=0.0)
    return np.asarray(result, dtype=np.float32)


def ride(sound: Signal, gains: tuple[float, ...]) -> Signal:
    """Automate the level: gains in dB at equal intervals, interpolated in between.

    Args:
        sound: Audio [C, N].
        gains: One or more gains in dB.

    Example:
        >>> ride(np.ones((1, 2), dtype=np.float32), (0.0, 20.0)).tolist()
        [[1.0, 10.0]]
    """
    places = np.linspace(0, len(gains) - 1, sound.shape[-1])
    curve = 10 ** (np.interp(places, np.arange(len(gains)), gains) / 20)
    return sound * curve.astype(np.float32)


def slap(sound: Signal, seconds: float, gain: float, sample_rate: int) -> Signal:
    """Add one short echo in the centre.

    Args:
        sound: Audio [C, N].
        seconds: Delay in seconds.
        gain: Gain relative to the sound.
        sample_rate: Sample rate in hertz.

    Example:
        >>> click = np.zeros((1, 5), dtype=np.float32)
        >>> click[0, 0] = 1
        >>> slap(click, 0.25, 0.5, 8).tolist()
        [[1.0, 0.0, 0.5, 0.0, 0.0]]
    """
    late = round(seconds * sample_rate)
    result = sound.copy()
    if 0 < late < sound.shape[-1]:
        result[:, late:] += np.float32(gain) * sound[:, :-late].mean(axis=0)
    return result
