"""Bass and accompaniment: who plays which notes, on which instrument, with how much drive and width."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from auralflow.datasets.synth.composition import BEATS_PER_BAR, Note, Score
from auralflow.datasets.synth.instruments import Instrument, electric_piano, organ, play, plucked, subtractive
from auralflow.datasets.synth.signals import Signal

__all__ = ["bass_notes", "render_bass", "render_other"]

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


@dataclass(frozen=True, slots=True)
class _Layer:
    """One player of the accompaniment."""

    kind: str
    instrument: Instrument
    drive: float
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
        >>> from auralflow.datasets.synth.composition import compose
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
            for beat, length, step in lines[section.name]:
                pitch = score.pitch(root + step - octave, BASS_FLOOR)
                pitch += 12 * (pitch < BASS_FLOOR) - 12 * (pitch > BASS_FLOOR + 24)
                start = score.seconds((section.first_bar + bar) * BEATS_PER_BAR + beat)
                velocity = rng.uniform(0.75, 1.0)
                notes.append(
                    Note(max(start + rng.normal(0, 0.004), 0), length * 60 / score.tempo, pitch, velocity)
                )
    return notes


def render_bass(
    notes: list[Note],
    samples: int,
    sample_rate: int,
    rng: np.random.Generator,
    *,
    recorded: Instrument | None = None,
) -> Signal:
    """Play a bass line on a string or synthesiser bass.

    Args:
        notes: The bass line.
        samples: Length N of the song.
        sample_rate: Samples per second.
        rng: Source of the randomness.
        recorded: An instrument of recordings, to be played in the place of a synthesised one.

    Returns:
        The dry bass [2, N], in the centre.

    Example:
        >>> render_bass([Note(0, 0.4, 33, 1.0)], 4000, 8000, np.random.default_rng(0)).shape
        (2, 4000)
    """
    kind = rng.integers(4)
    if recorded:
        sound = play(notes, recorded, samples, sample_rate)
    elif kind <= 1:
        string = plucked(sample_rate, rng, damping=rng.uniform(0.6, 2.0), brightness=rng.uniform(0.0, 0.1))
        sound = play(notes, string, samples, sample_rate)
    else:
        cutoff = rng.uniform(90, 200) if kind == 2 else rng.uniform(200, 450)
        synthesiser = subtractive(
            sample_rate,
            rng,
            attack=0.006,
            decay=rng.uniform(0.15, 0.8),
            sustain=rng.uniform(0.5, 0.9),
            release=0.05,
            cutoff=cutoff,
            voices=1,
        )
        sound = play(notes, synthesiser, samples, sample_rate)
    drive = np.float32(rng.uniform(0.3, 1.0))
    return np.asarray(np.tanh(drive * sound) / drive, dtype=np.float32)


def render_other(
    score: Score,
    samples: int,
    sample_rate: int,
    rng: np.random.Generator,
    *,
    recorded: Callable[[], Instrument | None] = lambda: None,
) -> Signal:
    """Write and play chords, arpeggios and a lead.

    Args:
        score: The plan of the song.
        samples: Length N of the song.
        sample_rate: Samples per second.
        rng: Source of the randomness.
        recorded: Is asked for an instrument of recordings for each layer but pads.

    Returns:
        The dry accompaniment [2, N].

    Example:
        >>> from auralflow.datasets.synth.composition import compose
        >>> rng = np.random.default_rng(0)
        >>> render_other(compose(1.0, rng), 8000, 8000, rng).shape
        (2, 8000)
    """
    kinds = ["chords", *(kind for kind in ("chords", "pad", "arpeggio", "lead") if rng.random() < 0.45)]
    mix = np.zeros((2, samples), dtype=np.float32)
    for index, kind in enumerate(kinds):
        layer = _draw_layer(kind, -0.6 if index == 0 and len(kinds) > 1 else 0.6, sample_rate, rng)
        notes = _layer_notes(score, layer, rng, sparse=index > 0)
        # Recordings end by themselves, and a pad must not.
        instrument = (recorded() if kind != "pad" else None) or layer.instrument
        sound = play(notes, instrument, samples, sample_rate)
        level = np.sqrt(np.mean(sound**2)) + 1e-6
        drive = np.float32(layer.drive / level)
        sound = np.tanh(sound * drive) if layer.drive > 0.05 else sound / np.float32(level)
        loudness = np.sqrt(np.mean(sound**2)) + 1e-6
        mix += sound * np.float32(10 ** (rng.uniform(-5, 0) / 20) / loudness)
    return mix


def _draw_layer(kind: str, side: float, sample_rate: int, rng: np.random.Generator) -> _Layer:
    drive, strum = 0.0, 0.0
    choice = rng.integers(5)
    if kind == "pad" or (kind == "chords" and choice == 0):
        instrument = subtractive(
            sample_rate,
            rng,
            attack=rng.uniform(0.05, 0.5),
            decay=1.5,
            sustain=0.8,
            release=0.4,
            cutoff=rng.uniform(500, 2500),
            voices=3,
        )
    elif kind == "lead" or (kind == "arpeggio" and choice < 3):
        instrument = subtractive(
            sample_rate,
            rng,
            attack=0.008,
            decay=rng.uniform(0.1, 0.5),
            sustain=0.7 if kind == "lead" else 0.1,
            release=0.12,
            cutoff=rng.uniform(1200, 5000),
        )
    elif choice == 1:
        instrument = organ(sample_rate, rng)
    elif choice == 2:
        instrument = electric_piano(sample_rate, rng)
    else:
        instrument = plucked(
            sample_rate, rng, damping=rng.uniform(0.6, 2.0), brightness=rng.uniform(0.3, 0.8)
        )
        drive = float(rng.choice((0.0, 0.0, rng.uniform(0.3, 2.0))))
        strum = rng.uniform(0.005, 0.025)
    return _Layer(kind, instrument, drive, side * rng.uniform(0.2, 1.0), rng.uniform(0.1, 0.5), strum)


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
            first_beat = (section.first_bar + bar) * BEATS_PER_BAR
            for beat, length, degree, order in write(section.chord(bar), rhythm, rng):
                start = score.seconds(first_beat + beat) + order * layer.strum + rng.normal(0, 0.004)
                pitch = score.pitch(degree, floor)
                pan = float(np.clip(layer.pan + layer.spread * (order - 1), -1, 1))
                velocity = rng.uniform(0.7, 1.0) * (0.85 if beat % 1 else 1.0)
                notes.append(Note(max(start, 0.0), length * 60 / score.tempo, pitch, velocity, pan))
    return notes


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
    for index in range(int(BEATS_PER_BAR / pace)):
        yield index * pace, pace * 0.9, root % 7 + 7 + steps[index % len(steps)], index % 3


def _lead(root: int, rhythm: Beats, rng: np.random.Generator) -> Line:
    degree = root + 7
    for beat, length in rhythm:
        if rng.random() < 0.75:
            yield beat, length, degree, 1
        degree = int(np.clip(degree + rng.choice((-2, -1, 0, 1, 2)), 5, 16))
