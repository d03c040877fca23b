"""Who is who in a composition: the bass, the melody, the rest."""

from collections.abc import Sequence

import numpy as np

from auralflow.synth.score.composition import Note
from auralflow.synth.score.parts import Part

__all__ = ["is_bass", "melody_fitness", "pick_melody"]

BASS_PROGRAMS = range(32, 40)
LOW_PROGRAMS = {43, 58, 87}  # contrabass, tuba, bass and lead: basses where they play low
HIGHEST_BASS = 60
HIGHEST_LOW = 48
RANGE = (50, 86)
FAIR_DENSITY = (0.4, 6.0)
LEAST_FITNESS = 0.3
LIKELY_PROGRAMS = {40, 52, 53, 54, 56, *range(64, 88)}  # violin, choirs, trumpet, reeds, pipes, leads
NAMES = ("vox", "vocal", "voice", "melody", "lead", "sing")


def is_bass(part: Part) -> bool:
    """Whether a part belongs to the bass.

    General MIDI's basses do, unless they play in the middle of the piano; so do contrabass, tuba and "bass
    and lead" where they play low.

    Example:
        >>> is_bass(Part(33, (Note(0, 1, 40, 1.0),))), is_bass(Part(30, (Note(0, 1, 40, 1.0),)))
        (True, False)
    """
    middle = float(np.median([note.pitch for note in part.notes]))
    if part.program in BASS_PROGRAMS:
        return middle <= HIGHEST_BASS
    return part.program in LOW_PROGRAMS and middle <= HIGHEST_LOW


def melody_fitness(part: Part, seconds: float) -> float:
    """How much a part is like a melody that could be sung, from 0 to 1.

    The product of: the share of notes that begin when no other sounds (squared), the share of pitches between
    D3 and D6, how near the notes of a sounding second come to 0.4 to 6, and the share of the song in which it
    sounds (a third is full). Programs that often carry melodies, and telling names, count a third more.

    Args:
        part: The part.
        seconds: Length of the song.

    Returns:
        The fitness.

    Example:
        >>> tune = tuple(Note(index / 2, 0.45, 60 + index % 7, 1.0) for index in range(40))
        >>> chords = tuple(Note(index // 3, 0.9, 60 + 4 * (index % 3), 1.0) for index in range(60))
        >>> melody_fitness(Part(80, tune), 20.0) > 0.7 > 0.2 > melody_fitness(Part(0, chords), 20.0)
        True
    """
    starts = np.array([note.start for note in part.notes])
    ends = starts + [note.length for note in part.notes]
    latest = np.maximum.accumulate(np.concatenate([[-1.0], ends[:-1]]))
    # A little overlap is legato, not a chord.
    alone = float(np.mean(starts >= latest - 0.3 * (ends - starts)))
    pitches = np.array([note.pitch for note in part.notes])
    inside = float(np.mean((pitches >= RANGE[0]) & (pitches <= RANGE[1])))
    bins = np.unique(np.concatenate([np.floor(starts), np.floor(ends - 1e-3)]))
    density = len(starts) / max(len(bins), 1)
    low, high = FAIR_DENSITY
    fair = min(density / low, 1.0) * min(high / density, 1.0)
    present = min(3 * len(bins) / max(seconds, 1.0), 1.0)
    likely = part.program in LIKELY_PROGRAMS or any(word in part.name.lower() for word in NAMES)
    return min(alone**2 * inside * fair * present * (1.0 if likely else 0.75), 1.0)


def pick_melody(parts: Sequence[Part], seconds: float) -> tuple[Note, ...] | int:
    """The melody of a song.

    The part of the highest fitness, if that is at least 0.3. Otherwise the upper line of all parts: of the
    notes that begin within an eighth of a second the highest, within D3 to D6.

    Args:
        parts: All parts but the bass.
        seconds: Length of the song.

    Returns:
        Number of the part, or the notes of the upper line.

    Example:
        >>> chords = tuple(Note(index // 3, 0.9, 60 + 4 * (index % 3), 1.0) for index in range(60))
        >>> [note.pitch for note in pick_melody([Part(0, chords)], 20.0)[:3]]
        [68, 68, 68]
    """
    fitness = [melody_fitness(part, seconds) for part in parts]
    if fitness and max(fitness) >= LEAST_FITNESS:
        return int(np.argmax(fitness))
    notes = sorted(
        (note for part in parts for note in part.notes if RANGE[0] <= note.pitch <= RANGE[1]),
        key=lambda note: (note.start, -note.pitch),
    )
    line: list[Note] = []
    for note in notes:
        if line and note.start - line[-1].start < 0.125:
            if note.pitch > line[-1].pitch:
                line[-1] = note
        else:
            line.append(note)
    return tuple(line)
