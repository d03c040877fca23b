"""The plan of a song: key, tempo, chords and the sections in which stems play or rest."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, cycle
from typing import Literal

import numpy as np

__all__ = ["STEMS", "Metre", "Note", "Score", "Section", "compose"]

STEMS = ("vocals", "drums", "bass", "other")
"""The stems of a song, in the order in which they are drawn and mixed."""

BEATS_PER_BAR = 4
"""Of most songs."""

Metre = Literal["4/4", "3/4", "6/8"]

SCALES = {
    "major": ((0, 2, 4, 5, 7, 9, 11), ((0, 4, 5, 3), (0, 5, 3, 4), (5, 3, 0, 4), (0, 3, 0, 4), (1, 4, 0, 5))),
    "minor": ((0, 2, 3, 5, 7, 8, 10), ((0, 5, 2, 6), (0, 3, 4, 0), (0, 6, 5, 6), (0, 2, 6, 3), (5, 6, 0, 0))),
    "dorian": ((0, 2, 3, 5, 7, 9, 10), ((0, 3, 0, 3), (0, 6, 3, 0), (0, 2, 3, 6))),
    "mixolydian": ((0, 2, 4, 5, 7, 9, 10), ((0, 6, 3, 0), (0, 4, 3, 6), (0, 6, 0, 3))),
}

METRES: tuple[Metre, ...] = ("4/4", "3/4", "6/8")
METRE_SHARES = (0.84, 0.07, 0.09)  # nearly all popular music is in four
SLOW = 105  # beats a minute below which sixteenths are swung rather than eighths, at times

# Which stems may play in a section; one line is drawn for each section, so that every stem rests at times.
CASTS = {
    "intro": ("other", "drums", "other drums", "drums bass", "other bass", "vocals other"),
    "verse": ("vocals drums bass other", "vocals drums bass other", "vocals drums bass", "vocals bass other"),
    "chorus": ("vocals drums bass other",),
    "break": ("vocals other", "drums bass", "other", "vocals drums", "vocals", "bass other", "drums other"),
}


@dataclass(frozen=True, slots=True)
class Note:
    """One note of a part.

    Args:
        start: Seconds from the beginning of the song.
        length: Seconds for which it is held.
        pitch: MIDI note number (69 is A4, 440 Hz).
        velocity: Loudness from 0 to 1.
        pan: Place from -1 (left) to 1 (right).
    """

    start: float
    length: float
    pitch: int
    velocity: float
    pan: float = 0.0

    @property
    def frequency(self) -> float:
        """Pitch in Hz, equal temperament."""
        return float(440.0 * 2 ** ((self.pitch - 69) / 12))


@dataclass(frozen=True, slots=True)
class Section:
    """A stretch of bars with one set of chords and one set of players.

    Args:
        name: ``intro``, ``verse``, ``chorus`` or ``break``.
        first_bar: Bar of the song with which it begins.
        bars: Its length.
        players: The stems that play.
        progression: Scale degrees of the chords, one for each bar, repeated.
    """

    name: str
    first_bar: int
    bars: int
    players: frozenset[str]
    progression: tuple[int, ...]

    def chord(self, bar: int) -> int:
        """Scale degree of the chord in a bar, counted from the start of the section."""
        return self.progression[bar % len(self.progression)]


@dataclass(frozen=True, slots=True)
class Score:
    """Everything that the parts of a song share.

    Args:
        tempo: Beats per minute.
        tonic: MIDI pitch class of the key.
        scale: Semitones of the seven degrees.
        swing: Share of the swung note by which every second one comes late.
        sections: The sections in order; together at least as long as the song.
        beats: Times of the beats in seconds, where they are not evenly spaced.
        metre: 4/4, 3/4 or 6/8. A beat is a quarter in each.
        swung: Beats of the swung note: an eighth or a sixteenth.
    """

    tempo: float
    tonic: int
    scale: tuple[int, ...]
    swing: float
    sections: tuple[Section, ...]
    beats: tuple[float, ...] = ()
    metre: Metre = "4/4"
    swung: float = 0.5

    @property
    def beats_per_bar(self) -> int:
        """Quarters of a bar."""
        return BEATS_PER_BAR if self.metre == "4/4" else 3

    def seconds(self, beat: float) -> float:
        """Time of a beat (0 is the first of the song) in seconds, swing included."""
        late = self.swing * self.swung if beat % (2 * self.swung) == self.swung else 0.0
        beyond = max(beat + late - len(self.beats) + 1, 0.0) if self.beats else beat + late
        inside = float(np.interp(beat + late, range(len(self.beats)), self.beats)) if self.beats else 0.0
        return inside + beyond * 60 / self.tempo

    def pitch(self, degree: int, floor: int) -> int:
        """MIDI pitch of a scale degree: degree 0 is the lowest tonic at or above ``floor``."""
        octave, step = divmod(degree, len(self.scale))
        return floor + (self.tonic - floor) % 12 + 12 * octave + self.scale[step]

    def played(self, stem: str) -> Iterator[Section]:
        """The sections in which a stem plays."""
        return (section for section in self.sections if stem in section.players)


def compose(seconds: float, rng: np.random.Generator) -> Score:
    """Draw the plan of a song.

    Args:
        seconds: Length of the song.
        rng: Source of the randomness.

    Returns:
        A plan whose sections cover the whole length.

    Example:
        >>> score = compose(20.0, np.random.default_rng(0))
        >>> 70 <= score.tempo <= 160, score.sections[0].name
        (True, 'intro')
    """
    tempo = float(rng.uniform(70, 160))
    scale, progressions = SCALES[str(rng.choice(list(SCALES), p=(0.4, 0.4, 0.1, 0.1)))]
    drawn = rng.choice(len(progressions), 2, replace=False)
    verse, chorus = (progressions[index] for index in drawn)
    metre: Metre = METRES[int(rng.choice(len(METRES), p=METRE_SHARES))]
    bars = int(np.ceil(seconds * tempo / 60 / (BEATS_PER_BAR if metre == "4/4" else 3))) + 1
    return Score(
        tempo=tempo,
        tonic=int(rng.integers(12)),
        scale=scale,
        swing=float(rng.choice((0.0, 0.0, rng.uniform(0.05, 0.33)))),
        sections=tuple(_sections(bars, {"verse": verse, "intro": verse}, chorus, rng)),
        metre=metre,
        swung=0.25 if metre == "4/4" and tempo < SLOW and rng.random() < 0.4 else 0.5,
    )


def _sections(
    bars: int, progressions: dict[str, tuple[int, ...]], chorus: tuple[int, ...], rng: np.random.Generator
) -> Iterator[Section]:
    # An intro and a verse come before the first chorus, which even short songs should reach.
    whole = next((length for length in (8, 4, 2) if bars >= 3.5 * length), 1)
    half = max(whole // 2, 1)
    form = chain(
        [("intro", half), ("verse", whole), ("chorus", whole)],
        cycle([("break", half), ("verse", whole), ("chorus", whole)]),
    )
    first_bar = 0
    while first_bar < bars:
        name, length = next(form)
        cast = str(rng.choice(CASTS[name])).split()
        yield Section(name, first_bar, length, frozenset(cast), progressions.get(name, chorus))
        first_bar += length
