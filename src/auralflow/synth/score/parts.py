"""What a band plays: the parts of a song, whoever composed them."""

from dataclasses import dataclass
from typing import NamedTuple

from auralflow.synth.score.composition import Note
from auralflow.synth.score.melody import Syllable

__all__ = ["Arrangement", "Hit", "Part"]


class Hit(NamedTuple):
    """A drum hit.

    Args:
        start: Seconds from the beginning.
        piece: Piece of the kit.
        velocity: Loudness from 0 to 1.
        key: General MIDI's number of the hit; 0: the usual one of the piece.
    """

    start: float
    piece: str
    velocity: float
    key: int = 0


@dataclass(frozen=True, slots=True)
class Part:
    """What one player plays.

    Args:
        program: General MIDI's number of the instrument, from 0.
        notes: The notes, in order of time.
        bends: Times in seconds from which the part sounds so many semitones higher.
        level: Gain against the other parts of the stem.
        name: What it was called.
    """

    program: int
    notes: tuple[Note, ...]
    bends: tuple[tuple[float, float], ...] = ()
    level: float = 1.0
    name: str = ""


@dataclass(frozen=True, slots=True)
class Arrangement:
    """The score of a whole song.

    Args:
        tempo: Beats per minute, for echoes.
        drums: The drum hits.
        bass: The parts of the bass stem.
        other: The parts of the accompaniment.
        vocals: The melody with its text, in order of time.
    """

    tempo: float
    drums: tuple[Hit, ...] = ()
    bass: tuple[Part, ...] = ()
    other: tuple[Part, ...] = ()
    vocals: tuple[Syllable, ...] = ()
