"""MIDI files as compositions: who plays what when, in seconds."""

import struct
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from io import BytesIO
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from auralflow.errors import DatasetError
from auralflow.synth.score.composition import Note
from auralflow.synth.score.parts import Hit, Part

__all__ = ["Composition", "read_midi"]

DRUM_CHANNEL = 9
PLAYED = {"note_on", "note_off", "control_change", "program_change", "pitchwheel"}
LONGEST_SECONDS = 7200.0
SHORTEST_NOTE = 0.02

# Hits of the drum channel by their numbers in General MIDI; what is not named here is left out.
# fmt: off
PIECES = {
    22: "hat", 26: "open_hat",
    35: "kick", 36: "kick", 37: "rim", 38: "snare", 39: "clap", 40: "snare", 41: "tom_low", 42: "hat",
    43: "tom_low", 44: "hat", 45: "tom_mid", 46: "open_hat", 47: "tom_mid", 48: "tom_high", 49: "crash",
    50: "tom_high", 51: "ride", 52: "crash", 53: "ride", 54: "shaker", 55: "crash", 56: "rim", 57: "crash",
    59: "ride", 60: "tom_high", 61: "tom_mid", 62: "tom_high", 63: "tom_high", 64: "tom_low",
    65: "tom_high", 66: "tom_mid", 69: "shaker", 70: "shaker", 75: "rim", 76: "rim", 77: "rim", 82: "shaker",
}
# fmt: on
# Programs that strike: timpani, agogo, woodblock, taiko, melodic tom, synth drum. They belong to the drums.
STRUCK = {47: 41, 113: 67, 115: 76, 116: 41, 117: 45, 118: 45}
NOT_MUSIC = {
    119,
    *range(120, 128),
}  # reversed cymbal; breath, sea, birds, telephone, helicopter, applause, gun


@dataclass(frozen=True, slots=True)
class Composition:
    """A song that was written by somebody.

    Args:
        parts: Whatever has a pitch.
        hits: The drums.
        beats: Times of the beats in seconds, the first at the beginning.
        bars: Numbers of the beats with which bars begin.
        seconds: Length until the last note has ended.
        digest: The same for files that sound the same, whatever their texts and order of tracks.
    """

    parts: tuple[Part, ...]
    hits: tuple[Hit, ...]
    beats: tuple[float, ...]
    bars: tuple[int, ...]
    seconds: float
    digest: str


def read_midi(path: Path, content: bytes | None = None) -> Composition:
    """Read a Standard MIDI File.

    Volume and expression become part of the velocities, the pedal of the lengths. Programs that strike join
    the drums, and noises (applause, sea, gunshot) are left out.

    Args:
        path: The file.
        content: What is in it, where it is no file of its own.

    Returns:
        The song; one without notes has no parts and no hits.

    Raises:
        DatasetError: If it is broken, or longer than two hours.
    """
    import mido  # noqa: PLC0415 - only songs from MIDI files need it

    try:
        file = mido.MidiFile(path, BytesIO(content) if content is not None else None, clip=True)
        if file.type == 2 or file.ticks_per_beat <= 0:
            raise DatasetError(
                f"cannot use '{path}'",
                found="songs side by side" if file.type == 2 else "time code instead of beats",
                expected="a MIDI file of type 0 or 1 that counts beats",
            )
        messages = list(_timed(mido.merge_tracks(file.tracks)))
    # What mido raises on damaged bytes; a key signature that does not exist has an error of its own.
    except (
        OSError,
        EOFError,
        ValueError,
        LookupError,
        TypeError,
        struct.error,
        mido.KeySignatureError,
    ) as error:
        found = str(error) or "an early end"
        raise DatasetError(f"cannot read '{path}'", found=found, expected="a MIDI file") from None
    clock = _Clock(messages, file.ticks_per_beat)
    if clock.seconds(messages[-1][0] if messages else 0) > LONGEST_SECONDS:
        raise DatasetError(f"cannot use '{path}'", found="more than two hours", expected="a song")
    return _compose(messages, clock)


def _timed(messages: Any) -> Iterator[tuple[int, Any]]:
    tick = 0
    for message in messages:
        tick += message.time
        yield tick, message


class _Clock:
    """From ticks to seconds, through all changes of tempo."""

    def __init__(self, messages: list[tuple[int, Any]], per_beat: int) -> None:
        self.per_beat = per_beat
        changes = [(0, 500_000), *((tick, m.tempo) for tick, m in messages if m.type == "set_tempo")]
        ticks = [tick for tick, _ in changes]
        lengths = np.diff(ticks, append=max(ticks[-1], messages[-1][0] if messages else 0) + 100 * per_beat)
        slopes = [max(tempo, 1000) * 1e-6 / per_beat for _, tempo in changes]
        self._ticks = np.array([*ticks, ticks[-1] + lengths[-1]], dtype=np.float64)
        self._seconds = np.array([0.0, *accumulate(lengths * np.array(slopes))])
        self.times = np.interp([tick for tick, _ in messages], self._ticks, self._seconds).tolist()
        self.signatures = [(0, 4, 4)] + [
            (tick, max(m.numerator, 1), m.denominator) for tick, m in messages if m.type == "time_signature"
        ]

    def seconds(self, tick: float) -> float:
        """Time of a tick."""
        return float(np.interp(tick, self._ticks, self._seconds))

    def grid(self, last: int) -> tuple[tuple[float, ...], tuple[int, ...]]:
        """Times of the beats, and numbers of those that begin a bar, up to a tick."""
        beats, bars = [0.0], []
        tick, index, left = 0.0, 0, 0
        while tick < last:
            while index + 1 < len(self.signatures) and self.signatures[index + 1][0] <= tick:
                index, left = index + 1, 0
            if left == 0:
                bars.append(len(beats) - 1)
                left = self.signatures[index][1]
            left -= 1
            tick += self.per_beat * 4 / self.signatures[index][2]
            beats.append(self.seconds(tick))
        return tuple(beats), tuple(bars)


@dataclass(slots=True)
class _Channel:
    """The state of a channel while its messages are read."""

    program: int = 0
    volume: float = 100 / 127
    expression: float = 1.0
    pan: float = 0.0
    bend_range: float = 2.0
    parameter: tuple[int, int] = (127, 127)
    pedal: bool = False
    held: dict[int, list[tuple[float, float, float, float]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    sustained: list[tuple[int, tuple[float, float, float, float]]] = field(default_factory=list)

    def control(self, number: int, value: int) -> None:
        """Take a controller's new value."""
        if number == 7:
            self.volume = value / 127
        elif number == 11:
            self.expression = value / 127
        elif number == 10:
            self.pan = float(np.clip((value - 64) / 63, -1, 1))
        elif number in {100, 101}:
            low, high = self.parameter
            self.parameter = (value, high) if number == 100 else (low, value)
        elif number == 6 and self.parameter == (0, 0):
            self.bend_range = float(min(value, 24))


class _Notes:
    """Collects the notes of all channels."""

    def __init__(self) -> None:
        self.channels = defaultdict[int, _Channel](_Channel)
        self.notes: dict[tuple[int, int], list[tuple[Note, float]]] = defaultdict(list)
        self.bends: dict[int, list[tuple[float, float]]] = defaultdict(list)

    def take(self, time: float, message: Any) -> None:
        """Take one message."""
        channel = self.channels[message.channel]
        if message.type == "note_on" and message.velocity > 0:
            gain = channel.volume * channel.expression
            channel.held[message.note].append((time, message.velocity / 127, gain, channel.pan))
        elif message.type in {"note_on", "note_off"}:
            if channel.held[message.note]:
                begun = channel.held[message.note].pop(0)
                if channel.pedal:
                    channel.sustained.append((message.note, begun))
                else:
                    self._end(message.channel, message.note, begun, time)
        elif message.type == "program_change":
            channel.program = message.program
        elif message.type == "pitchwheel":
            self.bends[message.channel].append((time, message.pitch / 8192 * channel.bend_range))
        elif message.type == "control_change":
            if message.control == 64:
                self._pedal(message.channel, time, pressed=message.value >= 64)
            channel.control(message.control, message.value)

    def finish(self, time: float) -> None:
        """End whatever still sounds."""
        for number, channel in self.channels.items():
            self._pedal(number, time, pressed=False)
            for pitch, begun in channel.held.items():
                for each in begun:
                    self._end(number, pitch, each, time)

    def _pedal(self, number: int, time: float, *, pressed: bool) -> None:
        channel = self.channels[number]
        channel.pedal = pressed
        if not pressed:
            for pitch, begun in channel.sustained:
                self._end(number, pitch, begun, time)
            channel.sustained.clear()

    def _end(self, number: int, pitch: int, begun: tuple[float, float, float, float], time: float) -> None:
        start, velocity, gain, pan = begun
        note = Note(start, max(time - start, SHORTEST_NOTE), pitch, velocity, pan)
        self.notes[number, self.channels[number].program].append((note, gain))


def _compose(messages: list[tuple[int, Any]], clock: _Clock) -> Composition:
    notes = _Notes()
    for time, (_, message) in zip(clock.times, messages, strict=True):
        if message.type in PLAYED:
            notes.take(time, message)
    last = max((tick for tick, message in messages if message.type in {"note_on", "note_off"}), default=0)
    notes.finish(clock.seconds(last))
    hits: list[Hit] = []
    parts: list[Part] = []
    for (channel, program), played in sorted(notes.notes.items()):
        if channel == DRUM_CHANNEL or program in STRUCK:
            hits += _hits(played, STRUCK.get(program, 0) if channel != DRUM_CHANNEL else 0)
        elif program not in NOT_MUSIC:
            parts.append(_part(program, played, notes.bends[channel]))
    beats, bars = clock.grid(last)
    ends = [note.start + note.length for part in parts for note in part.notes]
    seconds = max([*ends, *(hit.start for hit in hits)], default=0.0)
    return Composition(tuple(parts), tuple(sorted(hits)), beats, bars, seconds, _digest(parts, hits))


def _hits(played: list[tuple[Note, float]], key: int) -> Iterator[Hit]:
    loudest = max(gain for _, gain in played) or 1.0
    for note, gain in played:
        number = key or note.pitch
        if number in PIECES:
            yield Hit(note.start, PIECES[number], note.velocity * gain / loudest, number)


def _part(program: int, played: list[tuple[Note, float]], bends: list[tuple[float, float]]) -> Part:
    loudest = max(gain for _, gain in played) or 1.0
    notes = [
        Note(note.start, note.length, note.pitch, note.velocity * gain / loudest, note.pan)
        for note, gain in played
    ]
    notes.sort(key=lambda note: (note.start, note.pitch))
    # General MIDI: the gain is the square of the controller.
    return Part(program, tuple(notes), tuple(bends), level=max(loudest, 0.1) ** 2)


def _digest(parts: list[Part], hits: list[Hit]) -> str:
    """Of what sounds when, to a fiftieth of a second."""
    heard = sorted(
        [(round(note.start * 50), note.pitch) for part in parts for note in part.notes]
        + [(round(hit.start * 50), -hit.key) for hit in hits]
    )
    return sha256(repr(heard).encode()).hexdigest()
