"""A composition made into a song: cut to length, moved to another key and tempo, sung, and filled up."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from auralflow.synth.players.drums import drum_hits
from auralflow.synth.score.composition import Metre, Note, Score, Section
from auralflow.synth.score.midi_files import Composition
from auralflow.synth.score.midi_lines import low_line, sung
from auralflow.synth.score.midi_roles import is_bass, pick_melody
from auralflow.synth.score.parts import Arrangement, Hit, Part

__all__ = ["arrange"]

CANDIDATES = 4
TEMPO_SPREAD = 0.1
KEY_SPREAD = 3
BAR_GROUP = 8
RESTING_SHARE = 0.2
STEM_RESTS = 0.12
PART_RESTS = 0.2
"""Share of the groups in which a stem, or a part of the accompaniment, rests. In the songs for training drums
sound in 7 seconds out of 10, and the bass in fewer."""

Event = TypeVar("Event", Note, Hit)


def arrange(
    song: Composition,
    seconds: float,
    floor: int,
    rng: np.random.Generator,
    drummer: Callable[[Score], Sequence[Hit] | None] = lambda _: None,
) -> Arrangement:
    """Make a song of a composition.

    It begins with a bar, in the best of four drawn places: that where most stems play. Tempo and key are
    changed by up to 10 percent and 3 semitones. The melody is sung but for every fifth group of eight bars or
    so, in which its instrument plays it. Drums that the file does not have are played in a groove of the
    generator; a bass, on the lowest notes of the accompaniment.

    Args:
        song: The composition.
        seconds: Length of the song. A composition that is shorter is repeated.
        floor: Lowest MIDI pitch of the singer.
        rng: Source of the randomness.
        drummer: Called with the beats; what it plays takes the place of the composition's drums. Default:
            they stay.

    Returns:
        The arrangement.
    """
    pace = rng.uniform(1 - TEMPO_SPREAD, 1 + TEMPO_SPREAD)
    key = int(rng.integers(-KEY_SPREAD, KEY_SPREAD + 1))
    basses = [part for part in song.parts if is_bass(part)]
    rest = [part for part in song.parts if not is_bass(part)]
    tune = pick_melody(rest, song.seconds)
    leading = rest[tune].notes if isinstance(tune, int) else tune
    start = _starting_bar(song, seconds * pace, [leading, *(part.notes for part in basses)], rng)
    window = _Window(song, start, seconds, pace, key)
    score = window.score(rng)
    # In the stretch that is played another part may be the melody.
    other = window.parts(rest)
    melody = pick_melody(other, seconds)
    line = other[melody].notes if isinstance(melody, int) else melody
    vocal, played = _share_melody(line, score, rng)
    if isinstance(melody, int):
        # The other copies of a doubled melody rest too.
        other = [
            replace(part, notes=played if index == melody else part.notes)
            for index, part in enumerate(other)
            if index == melody or not _doubles(part.notes, line)
        ]
    bass = window.parts(basses)
    if not bass:
        bass = [Part(int(rng.integers(33, 36)), low_line(other, score, rng))]
    drums = window.hits(song.hits) if song.hits else tuple(drum_hits(score, rng))
    drums = tuple(drummer(score) or drums)
    return Arrangement(
        tempo=score.tempo,
        drums=_with_rests(drums, score, STEM_RESTS, rng),
        bass=_parts_with_rests(bass, score, STEM_RESTS, rng),
        other=_parts_with_rests(other, score, PART_RESTS, rng),
        vocals=tuple(sung(vocal, floor, rng)),
    )


class _Window:
    """A stretch of a composition, repeated where it ends too early, in another tempo and key."""

    def __init__(self, song: Composition, bar: int, seconds: float, pace: float, key: int) -> None:
        self.song, self.seconds, self.pace, self.key = song, seconds, pace, key
        self.first = song.beats[song.bars[bar]]
        self.end = max(song.beats[-1], song.seconds)

    def times(self, starts: Sequence[float]) -> list[tuple[int, float]]:
        """Numbers and new times of those starts that lie inside, repetitions included."""
        found = []
        turn = 0
        while (shift := turn * self.end - self.first) < self.seconds * self.pace:
            for index, start in enumerate(starts):
                time = (start + shift) / self.pace
                if -1e-6 <= time < self.seconds:
                    found.append((index, max(time, 0.0)))
            turn += 1
        return found

    def notes(self, notes: Sequence[Note]) -> tuple[Note, ...]:
        """The notes inside."""
        return tuple(
            replace(
                notes[index],
                start=time,
                length=notes[index].length / self.pace,
                pitch=self._moved(notes[index].pitch),
            )
            for index, time in self.times([note.start for note in notes])
        )

    def parts(self, parts: Sequence[Part]) -> list[Part]:
        """The parts that have notes inside."""
        moved = (replace(part, notes=self.notes(part.notes), bends=self.bends(part.bends)) for part in parts)
        return [part for part in moved if part.notes]

    def _moved(self, pitch: int) -> int:
        return int(np.clip(pitch + self.key, 0, 127))

    def hits(self, hits: Sequence[Hit]) -> tuple[Hit, ...]:
        """The hits inside."""
        return tuple(
            hits[index]._replace(start=time) for index, time in self.times([hit.start for hit in hits])
        )

    def bends(self, bends: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
        """The bends inside, after the one that holds at the beginning."""
        before = [value for time, value in bends if time < self.first]
        inside = [(time, bends[index][1]) for index, time in self.times([time for time, _ in bends])]
        return (((0.0, before[-1]),) if before else ()) + tuple(inside)

    def score(self, rng: np.random.Generator) -> Score:
        """The beats, and groups of eight bars as sections in which all play."""
        beats = np.array([time for _, time in self.times(self.song.beats[:-1])] or [0.0])
        bars = [time for _, time in self.times([self.song.beats[beat] for beat in self.song.bars])]
        length = float(np.median(np.diff(beats))) if len(beats) > 1 else 0.5
        count = max(len(bars), 1)
        sections = tuple(
            Section(
                "chorus" if index % 2 else "verse",
                first,
                min(BAR_GROUP, count - first),
                frozenset({"drums"}),
                (0,),
            )
            for index, first in enumerate(range(0, count, BAR_GROUP))
        )
        in_three = len(self.song.bars) > 1 and float(np.median(np.diff(self.song.bars))) == 3
        scale = (0, 2, 4, 5, 7, 9, 11)
        metre: Metre = "3/4" if in_three else "4/4"
        return Score(60 / max(length, 0.05), 0, scale, 0.0, sections, tuple(beats), metre)


def _starting_bar(
    song: Composition, seconds: float, lines: Sequence[Sequence[Note]], rng: np.random.Generator
) -> int:
    """A bar that leaves the song long enough, if one does, from which melody, bass and drums play most."""
    last = max(song.beats[-1], song.seconds) - seconds
    bars = [index for index, beat in enumerate(song.bars) if song.beats[beat] <= last] or [0]
    starts = [[note.start for note in line] for line in lines if line] + [[hit.start for hit in song.hits]]

    def fullness(bar: int) -> int:
        first = song.beats[song.bars[bar]]
        seen = [{int(start - first) for start in line if first <= start < first + seconds} for line in starts]
        return sum(map(len, seen))

    return max((bars[rng.integers(len(bars))] for _ in range(CANDIDATES)), key=fullness)


def _groups(starts: Sequence[float], score: Score) -> list[int]:
    """The group of eight bars in which each of some times lies."""
    bars = max(sum(section.bars for section in score.sections), 1)
    beats_per_group = max(len(score.beats) / bars, 1) * BAR_GROUP
    beats = np.searchsorted(score.beats, np.asarray(starts, dtype=np.float64) + 0.05)
    return [int(beat / beats_per_group) for beat in beats]


def _share_melody(
    line: Sequence[Note], score: Score, rng: np.random.Generator
) -> tuple[tuple[Note, ...], tuple[Note, ...]]:
    """Divide a melody between the voice and its instrument, by groups of eight bars."""
    groups = _groups([note.start for note in line], score)
    rests = rng.random(max(groups, default=0) + 1) < RESTING_SHARE
    vocal = tuple(note for note, group in zip(line, groups, strict=True) if not rests[group])
    played = tuple(note for note, group in zip(line, groups, strict=True) if rests[group])
    return (vocal, played) if vocal else (tuple(line), ())


def _with_rests(
    events: Sequence[Event], score: Score, share: float, rng: np.random.Generator
) -> tuple[Event, ...]:
    """Let a player rest in some groups of eight bars, as arrangements of songs do."""
    groups = _groups([event.start for event in events], score)
    rests = rng.random(max(groups, default=0) + 1) < share
    if rests.all():
        return tuple(events)
    return tuple(event for event, group in zip(events, groups, strict=True) if not rests[group])


def _parts_with_rests(
    parts: Sequence[Part], score: Score, share: float, rng: np.random.Generator
) -> tuple[Part, ...]:
    rested = [replace(part, notes=_with_rests(part.notes, score, share, rng)) for part in parts]
    return tuple(part for part in rested if part.notes)


def _doubles(notes: Sequence[Note], line: Sequence[Note]) -> bool:
    """Whether a part plays the same notes as another, at the same time or as its echo."""
    if not notes or not line or abs(len(notes) - len(line)) > 0.1 * len(line):
        return False
    pairs = zip(notes, line, strict=False)
    same = sum((a.pitch - b.pitch) % 12 == 0 for a, b in pairs)
    return same > 0.9 * min(len(notes), len(line))
