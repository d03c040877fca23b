"""The vocal stem: a lead, and at times doubles, a second voice and a choir."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from auralflow.effects.signals import Signal
from auralflow.synth.players.singers import Singer
from auralflow.synth.score.melody import Syllable

__all__ = ["perform_vocals", "speak"]

DOUBLED = 0.45
HARMONISED = 0.25
WITH_CHOIR = 0.15
SPOKEN = 0.12
"""Fraction of the songs whose words are spoken in time with the beat instead of sung."""
LONGEST_SPOKEN = 0.22
INTERVALS = (12, -12, 7, -5, 3, 4, -8, -9)
"""Semitones of second voices: octaves, fifth, fourth, thirds and sixths."""
LONG = 0.45
CHOIR = 3
JITTER = 0.012


def perform_vocals(
    syllables: Sequence[Syllable],
    lead: Singer,
    others: Callable[[], Singer],
    samples: int,
    sample_rate: int,
    rng: np.random.Generator,
) -> Signal:
    """Sing a melody as on a record.

    Args:
        syllables: The melody with its text.
        lead: The singer.
        others: Called for each singer of a choir.
        samples: Length N of the song.
        sample_rate: In hertz.
        rng: Source of the randomness.

    Returns:
        The dry voices [2, N], the lead in the centre.

    Example:
        >>> from auralflow.synth.players.singers import built_in_singer
        >>> rng = np.random.default_rng(0)
        >>> line = [Syllable(0.1, 0.5, 60, 0.9, "s", "a", "a", first=True)]
        >>> perform_vocals(line, built_in_singer(rng), lambda: built_in_singer(rng), 8000, 8000, rng).shape
        (2, 8000)
    """
    stereo = np.zeros((2, samples), dtype=np.float32)
    if rng.random() < SPOKEN:
        syllables = speak(syllables, lead.floor, rng)

    def add(singer: Singer, line: Sequence[Syllable], pan: float, decibels: float) -> None:
        angle = (1 + pan) * np.pi / 4
        gains = 10 ** (decibels / 20) * np.sqrt(2) * np.array([[np.cos(angle)], [np.sin(angle)]])
        stereo[:] += gains.astype(np.float32) * singer.sing(line, samples, sample_rate, rng)

    add(lead, syllables, 0.0, 0.0)
    if rng.random() < DOUBLED:
        width, level = rng.uniform(0.3, 1.0), rng.uniform(-11, -5)
        for side in (-width, width):
            add(lead, _again(syllables, rng), side, level)
    if rng.random() < HARMONISED:
        interval = int(rng.choice(INTERVALS))
        some = _some_phrases(syllables, rng)
        line = [replace(syllable, pitch=syllable.pitch + interval) for syllable in some]
        add(lead, _again(line, rng), rng.uniform(-0.5, 0.5), rng.uniform(-9, -3))
    if rng.random() < WITH_CHOIR:
        held = [replace(syllable, first=True) for syllable in syllables if syllable.length > LONG]
        for number in range(CHOIR):
            singer = others()
            line = [replace(syllable, pitch=_near(syllable.pitch, singer.floor)) for syllable in held]
            add(singer, _again(line, rng), (-0.8, 0.8, 0.2)[number], rng.uniform(-14, -9))
    return stereo


def speak(syllables: Sequence[Syllable], floor: int, rng: np.random.Generator) -> list[Syllable]:
    """Speak a line in its rhythm: short syllables, and a pitch that falls over each phrase.

    Args:
        syllables: The line.
        floor: Lowest MIDI pitch of the singer.
        rng: Source of the randomness: accents.

    Returns:
        Syllables that begin when those of the line do.

    Example:
        >>> line = [Syllable(0.1 * n, 0.5, 72, 0.9, "s", "a", "a", first=n == 0) for n in range(3)]
        >>> [word.length for word in speak(line, 50, np.random.default_rng(0))]
        [0.22, 0.22, 0.22]
    """
    words: list[Syllable] = []
    fall = 0
    for syllable in syllables:
        fall = 0 if syllable.first else min(fall + int(rng.random() < 0.3), 4)
        pitch = floor + 5 - fall + int(rng.random() < 0.2) * 3
        words.append(replace(syllable, pitch=pitch, length=min(syllable.length, LONGEST_SPOKEN)))
    return words


def _again(syllables: Sequence[Syllable], rng: np.random.Generator) -> list[Syllable]:
    """Another take: nobody begins a syllable twice at the same moment."""
    moved = [
        replace(syllable, start=max(syllable.start + float(rng.normal(0, JITTER)), 0.0))
        for syllable in syllables
    ]
    ends = [*(syllable.start for syllable in moved[1:]), np.inf][: len(moved)]
    return [
        replace(syllable, length=max(min(syllable.length, end - syllable.start), 0.03))
        for syllable, end in zip(moved, ends, strict=True)
    ]


def _some_phrases(syllables: Sequence[Syllable], rng: np.random.Generator) -> list[Syllable]:
    chosen: list[Syllable] = []
    sings = True
    for syllable in syllables:
        sings = bool(rng.random() < 0.5) if syllable.first else sings
        chosen += [syllable] if sings else []
    return [replace(chosen[0], first=True), *chosen[1:]] if chosen else []


def _near(pitch: int, floor: int) -> int:
    """The same note in the octave of another singer."""
    return floor + 4 + (pitch - floor - 4) % 12
