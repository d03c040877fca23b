"""Bass and accompaniment: who plays which notes, on which instrument, at which place."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from auralflow.synth.score.composition import Note, Score
from auralflow.synth.score.parts import Part

__all__ = ["accompaniment", "bass_notes", "bass_part"]

Event = tuple[Any, ...]
"""Beat and length, then whatever else."""

BASS_FLOOR = 28  # E1, the lowest string
CHORD_FLOORS = (43, 48, 50, 55)

# Beats of one bar: (start, length, step above the chord's root in the scale).
BASS_LINES = (
    tuple((beat / 2, 0.45, 0) for beat in range(8)),
    ((0, 3.8, 0),),
    ((0, 1.4, 0), (1.5, 0.4, 0), (2, 1.4, 0), (3.5, 0.4, 4)),
    ((0, 0.9, 0), (1, 0.9, 2), (2, 0.9, 4), (3, 0.9, 5)),
    ((0, 0.7, 0), (0.75, 0.6, 0), (1.5, 0.4, 0), (2.5, 0.4, 7), (3, 0.4, 4), (3.5, 0.4, 6)),
    tuple((beat / 2, 0.35, 7 * (beat % 2)) for beat in range(8)),
    ((0, 0.9, 0), (2.5, 0.45, 0), (3, 0.9, 4)),
    tuple((beat + 0.5, 0.4, 0) for beat in range(4)),
)
CHORD_RHYTHMS = (
    ((0, 3.9),),
    ((0, 1.9), (2, 1.9)),
    tuple((beat, 0.9) for beat in range(4)),
    tuple((beat / 2, 0.4) for beat in range(8)),
    ((0, 1.4), (1.5, 0.9), (2.5, 1.3)),
    tuple((beat + 0.5, 0.3) for beat in range(4)),
    ((0, 0.6), (0.75, 0.6), (1.5, 1.0), (2.5, 0.4), (3, 0.8)),
)


# Programs that may play each kind of layer.
PROGRAMS = {
    "chords": (0, 4, 5, 16, 18, 24, 25, 26, 27, 29, 30, 30, 48, 50, 89),
    "pad": (48, 49, 50, 89, 90, 91, 92, 95),
    "arpeggio": (4, 11, 24, 25, 27, 46, 80, 81, 87),
    "lead": (26, 29, 30, 56, 61, 62, 63, 65, 66, 73, 80, 81, 82, 84),
}
STRUMMED = range(24, 31)
BASS_PROGRAMS = (32, 33, 33, 34, 34, 35, 36, 38, 39)


@dataclass(frozen=True, slots=True)
class _Layer:
    """One player of the accompaniment."""

    kind: str
    program: int
    pan: float
    spread: float
    strum: float


def bass_notes(score: Score, rng: np.random.Generator) -> list[Note]:
    """Write the bass line of a song.

    Args:
        score: The plan of the song.
        rng: Source of the randomness.

    Returns:
        The notes, between E1 and about E3.

    Example:
        >>> from auralflow.synth.score.composition import compose
        >>> rng = np.random.default_rng(0)
        >>> all(28 <= note.pitch <= 52 for note in bass_notes(compose(60.0, rng), rng))
        True
    """
    lines = {name: BASS_LINES[rng.integers(len(BASS_LINES))] for name in ("verse", "chorus", "break")}
    lines["intro"] = lines["verse"]
    notes = []
    for section in score.played("bass"):
        for bar in range(section.bars):
            root = section.chord(bar)
            # Roots high in the scale go below the tonic where the strings reach that far.
            octave = 7 if score.pitch(root, BASS_FLOOR) > BASS_FLOOR + 14 else 0
            for beat, length, step in _inside(lines[section.name], score):
                pitch = score.pitch(root + step - octave, BASS_FLOOR)
                pitch += 12 * (pitch < BASS_FLOOR) - 12 * (pitch > BASS_FLOOR + 24)
                start = score.seconds((section.first_bar + bar) * score.beats_per_bar + beat)
                velocity = rng.uniform(0.75, 1.0)
                notes.append(
                    Note(max(start + rng.normal(0, 0.004), 0), length * 60 / score.tempo, pitch, velocity)
                )
    return notes


def bass_part(score: Score, rng: np.random.Generator) -> Part:
    """Write the bass line of a song and choose who plays it.

    Args:
        score: The plan of the song.
        rng: Source of the randomness.

    Returns:
        The part.

    Example:
        >>> from auralflow.synth.score.composition import compose
        >>> rng = np.random.default_rng(0)
        >>> 32 <= bass_part(compose(1.0, rng), rng).program < 40
        True
    """
    return Part(int(rng.choice(BASS_PROGRAMS)), tuple(bass_notes(score, rng)), name="bass")


def accompaniment(score: Score, rng: np.random.Generator) -> tuple[Part, ...]:
    """Write chords, arpeggios and a lead.

    Args:
        score: The plan of the song.
        rng: Source of the randomness.

    Returns:
        One to five parts.

    Example:
        >>> from auralflow.synth.score.composition import compose
        >>> rng = np.random.default_rng(0)
        >>> accompaniment(compose(1.0, rng), rng)[0].name
        'chords'
    """
    kinds = ["chords", *(kind for kind in ("chords", "pad", "arpeggio", "lead") if rng.random() < 0.45)]
    parts = []
    for index, kind in enumerate(kinds):
        side = -0.6 if index == 0 and len(kinds) > 1 else 0.6
        program = int(rng.choice(PROGRAMS[kind]))
        strum = rng.uniform(0.005, 0.025) if program in STRUMMED else 0.0
        layer = _Layer(kind, program, side * rng.uniform(0.2, 1.0), rng.uniform(0.1, 0.5), strum)
        notes = tuple(_layer_notes(score, layer, rng, sparse=index > 0))
        parts.append(Part(program, notes, level=10 ** (rng.uniform(-5, 0) / 20), name=kind))
    return tuple(parts)


def _layer_notes(score: Score, layer: _Layer, rng: np.random.Generator, *, sparse: bool) -> list[Note]:
    write = {"arpeggio": _arpeggio, "lead": _lead}.get(layer.kind, _chords)
    rhythm = CHORD_RHYTHMS[0 if layer.kind == "pad" else rng.integers(len(CHORD_RHYTHMS))]
    rests = {name for name in ("intro", "verse", "break") if sparse and rng.random() < 0.4}
    floor = int(rng.choice(CHORD_FLOORS))
    notes = []
    for section in score.played("other"):
        if section.name in rests:
            continue
        for bar in range(section.bars):
            first_beat = (section.first_bar + bar) * score.beats_per_bar
            for beat, length, degree, order in _inside(write(section.chord(bar), rhythm, rng), score):
                start = score.seconds(first_beat + beat) + order * layer.strum + rng.normal(0, 0.004)
                pitch = score.pitch(degree, floor)
                pan = float(np.clip(layer.pan + layer.spread * (order - 1), -1, 1))
                velocity = rng.uniform(0.7, 1.0) * (0.85 if beat % 1 else 1.0)
                notes.append(Note(max(start, 0.0), length * 60 / score.tempo, pitch, velocity, pan))
    return notes


def _inside(line: Iterable[Event], score: Score) -> Iterator[Event]:
    """What of a bar in four lies in a shorter one; what reaches over its end is cut."""
    for event in line:
        if event[0] < score.beats_per_bar:
            yield (event[0], min(event[1], score.beats_per_bar - event[0]), *event[2:])


Beats = tuple[tuple[float, float], ...]
Line = Iterator[tuple[float, float, int, int]]


def _chords(root: int, rhythm: Beats, rng: np.random.Generator) -> Line:
    """Triads, at times with the seventh, each in the inversion that keeps the hand in one place."""
    steps = (0, 2, 4, 6) if rng.random() < 0.2 else (0, 2, 4)
    degrees = sorted((root + step) % 7 for step in steps)
    for beat, length in rhythm:
        for order, degree in enumerate(degrees):
            yield beat, length, degree, order


def _arpeggio(root: int, rhythm: Beats, rng: np.random.Generator) -> Line:
    pace = 0.5 if len(rhythm) < 4 else 0.25
    steps = (0, 2, 4, 7, 4, 2) if rng.random() < 0.7 else (7, 4, 2, 0)
    for index in range(int(4 / pace)):
        yield index * pace, pace * 0.9, root % 7 + 7 + steps[index % len(steps)], index % 3


def _lead(root: int, rhythm: Beats, rng: np.random.Generator) -> Line:
    degree = root + 7
    for beat, length in rhythm:
        if rng.random() < 0.75:
            yield beat, length, degree, 1
        degree = int(np.clip(degree + rng.choice((-2, -1, 0, 1, 2)), 5, 16))
