"""Lines made of other lines: a melody that can be sung, a bass under chords."""

from collections.abc import Sequence

import numpy as np

from auralflow.synth.score.composition import Note, Score
from auralflow.synth.score.melody import Syllable, draw_text
from auralflow.synth.score.parts import Part

__all__ = ["low_line", "sung"]

PHRASE_GAP = 0.25
LONGEST_PHRASE = 6.0
FASTEST = 0.12
BREATH = 0.35
BASS_FLOOR = 28


def low_line(parts: Sequence[Part], score: Score, rng: np.random.Generator) -> tuple[Note, ...]:
    """A bass for a song that has none: in each beat the lowest note of the accompaniment, far down.

    Args:
        parts: The accompaniment.
        score: The beats.
        rng: Source of the randomness: one stroke a beat or two.

    Returns:
        The notes, between E1 and D#2.
    """
    notes = sorted((note for part in parts for note in part.notes), key=lambda note: note.start)
    strokes = int(rng.choice((1, 2)))
    line = []
    for index, start in enumerate(score.beats):
        length = (
            score.beats[index + 1] if index + 1 < len(score.beats) else start + 60 / score.tempo
        ) - start
        sounding = [
            note.pitch
            for note in notes
            if note.start < start + 0.05 and note.start + note.length > start + 0.05
        ]
        if sounding and length > 0:
            pitch = BASS_FLOOR + (min(sounding) - BASS_FLOOR) % 12
            line += [
                Note(
                    start + stroke * length / strokes,
                    0.9 * length / strokes,
                    pitch,
                    float(rng.uniform(0.75, 1.0)),
                )
                for stroke in range(strokes)
            ]
    return tuple(line)


def sung(line: Sequence[Note], floor: int, rng: np.random.Generator) -> list[Syllable]:
    """Make a melody singable.

    Notes that follow in less than 0.12 s are left out. All octaves are folded into the singer's range of 20
    semitones; first the whole line is moved, so that few notes have to be. A phrase ends where the line rests
    for a quarter of a second, and after 6 s, to breathe.

    Args:
        line: The notes.
        floor: Lowest MIDI pitch of the singer.
        rng: Source of the randomness: the text.

    Returns:
        The syllables, one at a time.

    Example:
        >>> line = [Note(index / 2, 0.5, 90, 1.0) for index in range(4)]
        >>> [syllable.pitch for syllable in sung(line, 50, np.random.default_rng(0))]
        [66, 66, 66, 66]
    """
    kept: list[Note] = []
    for note in sorted(line, key=lambda note: (note.start, -note.pitch)):
        if not kept or note.start - kept[-1].start >= FASTEST:
            kept.append(note)
    if not kept:
        return []
    middle = float(np.median([note.pitch for note in kept]))
    octaves = 12 * round((floor + 10 - middle) / 12)
    syllables = []
    begun = kept[0].start
    for index, note in enumerate(kept):
        following = kept[index + 1].start if index + 1 < len(kept) else np.inf
        previous = kept[index - 1] if index else None
        first = previous is None or note.start - previous.start - previous.length > PHRASE_GAP
        begun = note.start if first else begun
        length = min(max(note.length, FASTEST), following - note.start)
        if following - note.start - length < PHRASE_GAP:
            length = following - note.start
        if note.start + length - begun > LONGEST_PHRASE and length > 2 * BREATH:
            length, begun = length - BREATH, following
        pitch = note.pitch + octaves
        pitch = floor + (pitch - floor) % 12 if pitch < floor else pitch
        pitch = floor + 8 + (pitch - floor - 8) % 12 if pitch > floor + 20 else pitch
        syllables.append(
            draw_text(
                Syllable(
                    note.start, length * 0.97, pitch, 0.6 + 0.4 * note.velocity, "", "a", "a", first=first
                ),
                rng,
            )
        )
    return syllables
