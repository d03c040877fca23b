"""Pitched instruments: plucked strings, subtractive and FM synthesis, organs.

An instrument is a function ``(frequency in Hz, samples held) -> sound [N]`` whose timbre was drawn once.
"""

from collections.abc import Callable, Sequence

import numpy as np

from auralflow.effects.signals import Signal, add_at
from auralflow.synth.score.composition import Note
from auralflow.synth.signals import MAX_HARMONICS, cycle_table, exponential_decay, pluck_string, read_cycle

__all__ = ["Instrument", "brass", "electric_piano", "organ", "play", "plucked", "subtractive"]

Instrument = Callable[[float, int], Signal]
"""From a frequency in Hz and the number of samples held to a sound [N], which may ring on."""


def play(notes: Sequence[Note], instrument: Instrument, samples: int, sample_rate: int) -> Signal:
    """Let an instrument play a part; each pitch and length is synthesised once.

    Args:
        notes: The part.
        instrument: What plays it.
        samples: Length N of the song.
        sample_rate: Samples per second.

    Returns:
        The dry part [2, N].

    Example:
        >>> instrument = organ(8000, np.random.default_rng(0))
        >>> play([Note(0.1, 0.2, 60, 0.8)], instrument, 4000, 8000).shape
        (2, 4000)
    """
    part = np.zeros((2, samples), dtype=np.float32)
    sounds: dict[tuple[int, int], Signal] = {}
    for note in notes:
        start = round(note.start * sample_rate)
        if start >= samples:
            continue
        # Lengths on a grid of 20 ms let equal notes share a sound although they were humanised.
        held = max(round(note.length * 50), 1) * sample_rate // 50
        key = (note.pitch, held)
        if key not in sounds:
            sounds[key] = instrument(note.frequency, held)
        angle = (1 + note.pan) * np.pi / 4
        gain = note.velocity**1.4
        place = np.array([[gain * np.cos(angle)], [gain * np.sin(angle)]], dtype=np.float32)
        add_at(part, start, place * sounds[key])
    return part


def plucked(sample_rate: int, rng: np.random.Generator, *, damping: float, brightness: float) -> Instrument:
    """Guitar-like string.

    Args:
        sample_rate: Samples per second.
        rng: Source of the randomness.
        damping: Seconds until an open string at 110 Hz has fallen to 1/e.
        brightness: From 0 (dull) to 1 (wire).

    Returns:
        The instrument.

    Example:
        >>> len(plucked(8000, np.random.default_rng(0), damping=0.5, brightness=0.5)(220.0, 800)) > 800
        True
    """

    def sound(frequency: float, held: int) -> Signal:
        release = int(0.08 * sample_rate)
        decay = damping * (110 / frequency) ** 0.4
        string = pluck_string(
            frequency, held + release, sample_rate, damping=decay, brightness=brightness, rng=rng
        )
        string[held:] *= np.linspace(1, 0, release, dtype=np.float32)
        return string

    return sound


def subtractive(
    sample_rate: int,
    rng: np.random.Generator,
    *,
    attack: float,
    decay: float,
    sustain: float,
    release: float = 0.1,
    cutoff: float = 2500.0,
    voices: int = 2,
) -> Instrument:
    """Saw or pulse waves through a low-pass filter that opens with each note.

    Args:
        sample_rate: Samples per second.
        rng: Source of the randomness: waveform, detuning, vibrato.
        attack: Seconds.
        decay: Time constant in seconds of level and brightness.
        sustain: Level from 0 to 1 after the decay.
        release: Seconds.
        cutoff: Corner of the open filter in Hz.
        voices: Detuned oscillators.

    Returns:
        The instrument.

    Example:
        >>> pad = subtractive(8000, np.random.default_rng(0), attack=0.2, decay=1.0, sustain=0.8)
        >>> pad(220.0, 4000).shape
        (4800,)
    """
    order = np.arange(1, MAX_HARMONICS + 1)
    duty = rng.choice((1.0, 0.5, rng.uniform(0.15, 0.45)))  # one gives a saw
    waveform = 1 / order if duty == 1.0 else np.abs(np.sin(np.pi * order * duty)) / order
    detuning = 2 ** (rng.uniform(-9, 9, voices) / 1200) if voices > 1 else np.ones(1)
    phases = rng.random(voices)
    vibrato, rate = rng.uniform(0, 0.0025), rng.uniform(4.5, 6)

    def sound(frequency: float, held: int) -> Signal:
        samples = held + int(release * sample_rate)
        seconds = np.arange(samples) / sample_rate
        bend = 1 + vibrato * np.minimum(seconds, 1) * np.sin(2 * np.pi * rate * seconds)
        cycles = np.cumsum(bend) * (frequency / sample_rate)
        open_filter, closed_filter = (
            cycle_table(waveform / (1 + (order * frequency / corner) ** 2), frequency * 1.01, sample_rate)
            for corner in (cutoff, cutoff * 0.3)
        )
        fall = exponential_decay(samples, decay, sample_rate)
        wave = np.zeros(samples, dtype=np.float32)
        for ratio, phase in zip(detuning, phases, strict=True):
            dark = read_cycle(closed_filter, cycles * ratio + phase)
            wave += dark + (read_cycle(open_filter, cycles * ratio + phase) - dark) * fall
        level = np.float32(sustain) + np.float32(1 - sustain) * fall
        level *= np.minimum(seconds / attack, 1).astype(np.float32) ** 2
        level[held:] *= np.linspace(1, 0, samples - held, dtype=np.float32) ** 2
        return wave * level * np.float32(0.4 / voices**0.5)

    return sound


def electric_piano(sample_rate: int, rng: np.random.Generator) -> Instrument:
    """Struck tines or bells by frequency modulation.

    Args:
        sample_rate: Samples per second.
        rng: Source of the randomness: ratio, depth and decay.

    Returns:
        The instrument.

    Source:
        J. Chowning, "The Synthesis of Complex Audio Spectra by Means of Frequency Modulation", 1973.

    Example:
        >>> bool(np.isfinite(electric_piano(8000, np.random.default_rng(0))(440.0, 400)).all())
        True
    """
    ratio = float(rng.choice((1.0, 1.0, 2.0, 3.0, 3.5)))
    depth, decay = rng.uniform(0.8, 3.0), rng.uniform(0.4, 1.5)

    def sound(frequency: float, held: int) -> Signal:
        samples = held + int(0.15 * sample_rate)
        cycles = np.arange(samples) * (frequency / sample_rate)
        cycles -= np.floor(cycles)  # small numbers keep float32 exact enough; whole ratios stay continuous
        turns = (2 * np.pi * cycles).astype(np.float32)
        overtone = (2 * np.pi * ((np.arange(samples) * (frequency * ratio / sample_rate)) % 1)).astype(
            np.float32
        )
        # The outermost strong side band lies at (depth + 1) modulators: it must stay below Nyquist.
        limit = max((0.45 * sample_rate / frequency - 1) / ratio - 1, 0.0)
        fall = exponential_decay(samples, decay * (220 / frequency) ** 0.3, sample_rate)
        wave: Signal = np.sin(turns + np.float32(min(depth, limit)) * fall**2 * np.sin(overtone)) * fall
        wave[held:] *= np.linspace(1, 0, samples - held, dtype=np.float32)
        attack = min(int(0.003 * sample_rate) + 1, samples)
        wave[:attack] *= np.linspace(0, 1, attack, dtype=np.float32)
        return wave * np.float32(0.7)

    return sound


def organ(sample_rate: int, rng: np.random.Generator) -> Instrument:
    """Drawbar organ with a slow tremolo.

    Args:
        sample_rate: Samples per second.
        rng: Source of the randomness: drawbars and tremolo.

    Returns:
        The instrument.

    Example:
        >>> organ(8000, np.random.default_rng(0))(220.0, 400).shape
        (640,)
    """
    drawbars = np.zeros(16)
    drawbars[[0, 1, 2, 3, 5, 7, 9, 15]] = rng.uniform(0, 1, 8) * np.array(
        [1, 0.9, 0.7, 0.6, 0.4, 0.35, 0.2, 0.2]
    )
    drawbars[0] = 1.0
    depth, rate = rng.uniform(0, 0.3), rng.uniform(1, 7)

    def sound(frequency: float, held: int) -> Signal:
        release = int(0.03 * sample_rate)
        samples = held + release
        seconds = np.arange(samples) / sample_rate
        wave = read_cycle(cycle_table(drawbars, frequency, sample_rate), seconds * frequency)
        level = 1 - depth * (0.5 + 0.5 * np.sin(2 * np.pi * rate * seconds))
        level *= np.minimum(seconds / 0.008, 1)
        level[held:] *= np.linspace(1, 0, release)
        return wave * level.astype(np.float32) * np.float32(0.4)

    return sound


def brass(sample_rate: int, rng: np.random.Generator) -> Instrument:
    """Brass-like lead: it grows brighter as it grows louder, slides into its notes and vibrates late.

    Args:
        sample_rate: Samples per second.
        rng: Source of the randomness: brightness, attack, vibrato.

    Returns:
        The instrument.

    Source:
        J.-C. Risset, "Computer Study of Trumpet Tones", 1966: the highs of a brass tone follow its loudness.

    Example:
        >>> brass(8000, np.random.default_rng(0))(220.0, 800).shape
        (1280,)
    """
    order = np.arange(1, MAX_HARMONICS + 1)
    corner, attack = rng.uniform(1200, 3500), rng.uniform(0.03, 0.09)
    depth, rate, scoop = rng.uniform(0.001, 0.006), rng.uniform(4.5, 6.0), rng.uniform(0.0, 0.02)

    def sound(frequency: float, held: int) -> Signal:
        samples = held + int(0.06 * sample_rate)
        seconds = np.arange(samples) / sample_rate
        vibrato = depth * np.clip((seconds - 0.25) / 0.3, 0, 1) * np.sin(2 * np.pi * rate * seconds)
        cycles = np.cumsum(1 + vibrato - scoop * np.exp(-seconds / 0.03)) * (frequency / sample_rate)
        waves = [
            read_cycle(
                cycle_table(1 / (1 + (order * frequency / edge) ** 2), frequency * 1.02, sample_rate), cycles
            )
            for edge in (corner, 0.2 * corner)
        ]
        level = np.minimum(seconds / attack, 1) * (0.75 + 0.25 * np.exp(-seconds / 0.2))
        level[held:] *= np.linspace(1, 0, samples - held) ** 2
        loud = level.astype(np.float32)
        return (waves[1] + (waves[0] - waves[1]) * loud**2) * loud * np.float32(0.4)

    return sound
