"""General MIDI soundfonts as instruments, rendered offline with FluidSynth."""

import ctypes
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from auralflow.effects.signals import Signal
from auralflow.errors import DatasetError, NotFoundError
from auralflow.synth.players.drums import KEYS
from auralflow.synth.score.parts import Hit, Part

__all__ = ["KITS", "Soundfont", "soundfont"]

KITS = (0, 0, 8, 16, 16, 24, 25, 32, 40)
"""General MIDI kits that songs draw from: standard, room, power, electronic, analogue, jazz, brush."""

BLOCK = 64
"""FluidSynth renders this many samples at a time; notes begin at their start, at most 1.5 ms off."""
DRUM_CHANNEL = 9
DRUM_BANK = 128
BEND_RANGE = 24
STROKE_SECONDS = 0.2
LEVELS = 5
"""Levels of FluidSynth's log messages, which it would print."""
INSTALL_LIBRARY = "On Debian: apt-get install libfluidsynth3; and: pip install 'auralflow[soundfont]'."
INSTALL_FONT = "On Debian: apt-get install fluid-soundfont-gm, then /usr/share/sounds/sf2/FluidR3_GM.sf2."

Event = tuple[int, int, int, int]
"""Block, kind (0 bend, 1 note off, 2 note on), pitch or bend, velocity."""


@lru_cache(maxsize=1)
def _library() -> Any:
    try:
        import fluidsynth  # noqa: PLC0415 - needs a system library that few have
    except (ImportError, OSError) as error:
        raise DatasetError("cannot play soundfonts", found=str(error), advice=INSTALL_LIBRARY) from None
    if not hasattr(fluidsynth, "Synth"):
        raise DatasetError(
            "cannot play soundfonts",
            found="the package 'fluidsynth'",
            expected="'pyfluidsynth'",
            advice="Run: pip uninstall fluidsynth; pip install --force-reinstall pyfluidsynth.",
        )
    number, pointer = ctypes.c_int, ctypes.c_void_p
    quiet = fluidsynth.cfunc(
        "fluid_set_log_function",
        pointer,
        ("level", number, 1),
        ("function", pointer, 1),
        ("data", pointer, 1),
    )
    for level in range(LEVELS):
        quiet(level, None, None)
    return fluidsynth


@lru_cache(maxsize=1)
def _write_float() -> Any:
    # The package itself only offers 16-bit samples, to which FluidSynth adds noise of its own.
    number, pointer = ctypes.c_int, ctypes.c_void_p
    names = (
        ("synth", pointer), ("samples", number),
        ("left", pointer), ("left_offset", number), ("left_step", number),
        ("right", pointer), ("right_offset", number), ("right_step", number),
    )  # fmt: skip
    return _library().cfunc("fluid_synth_write_float", number, *((name, kind, 1) for name, kind in names))


@lru_cache(maxsize=8)
def soundfont(path: Path, sample_rate: int) -> "Soundfont":
    """Open a soundfont; open ones are kept, with the instruments that were used."""
    return Soundfont(path, sample_rate)


class Soundfont:
    """A soundfont that plays parts.

    Args:
        path: A file in SF2 or SF3 format.
        sample_rate: Of the songs, 8000 to 96000 hertz.

    Raises:
        NotFoundError: If there is no such file.
        DatasetError: If FluidSynth is missing, or cannot read the file.
    """

    def __init__(self, path: Path, sample_rate: int) -> None:
        if not path.is_file():
            raise NotFoundError(f"no such soundfont: '{path}'", advice=INSTALL_FONT)
        self.path, self.sample_rate = path, sample_rate
        if not _is_whole(path):
            raise self._fault()
        # Loaded samples are shared by all synthesisers and kept while one uses them: this one, on a channel
        # each.
        self._keeper, self._font = self._open(channels=256)
        self._kept: dict[tuple[int, int], int] = {}

    def _open(self, channels: int) -> tuple[Any, int]:
        settings = {
            "synth.reverb.active": 0,
            "synth.chorus.active": 0,
            "synth.dynamic-sample-loading": 1,
            "synth.polyphony": 512,
        }
        synth = _library().Synth(gain=0.5, samplerate=float(self.sample_rate), channels=channels, **settings)
        font = synth.sfload(str(self.path))
        if font < 0:
            synth.delete()
            raise self._fault()
        return synth, font

    def _fault(self) -> DatasetError:
        return DatasetError(
            f"cannot read '{self.path}'", expected="a soundfont in SF2 or SF3 format", advice=INSTALL_FONT
        )

    def play(self, part: Part, samples: int) -> Signal:
        """Play a part.

        Args:
            part: The part. Velocities are those of its notes, so that loud notes sound brighter.
            samples: Length N of the song.

        Returns:
            The dry part [2, N]. Silent if the soundfont does not have the instrument.
        """
        pan = float(np.median([note.pan for note in part.notes])) if part.notes else 0.0
        return self._render(list(self._part_events(part)), samples, (0, 0, part.program), pan)

    def drum(self, hits: Sequence[Hit], samples: int, kit: int) -> Signal:
        """Play drums.

        Args:
            hits: The drum hits.
            samples: Length N of the song.
            kit: Program of the kit; the standard one if the soundfont does not have it.

        Returns:
            The dry drums [2, N].
        """
        events: list[Event] = []
        for hit in hits:
            start, key = self._block(hit.start), hit.key or KEYS[hit.piece]
            events.append((start, 2, key, _velocity(hit.velocity)))
            events.append((start + self._block(STROKE_SECONDS), 1, key, 0))
        kit = kit if self._keep(DRUM_BANK, kit) else 0
        return self._render(events, samples, (DRUM_CHANNEL, DRUM_BANK, kit), 0.0)

    def _block(self, seconds: float) -> int:
        return round(seconds * self.sample_rate / BLOCK)

    def _part_events(self, part: Part) -> Iterator[Event]:
        for time, semitones in part.bends:
            yield self._block(time), 0, int(np.clip(semitones / BEND_RANGE, -1, 1) * 8191), 0
        for note in part.notes:
            start = self._block(note.start)
            yield start, 2, note.pitch, _velocity(note.velocity)
            yield max(self._block(note.start + note.length), start + 1), 1, note.pitch, 0

    def _keep(self, bank: int, program: int) -> bool:
        """Load an instrument permanently; False if there is none."""
        if (bank, program) not in self._kept:
            channel = len(self._kept)
            self._kept[bank, program] = self._keeper.program_select(channel, self._font, bank, program)
        return self._kept[bank, program] == 0

    def _render(self, events: list[Event], samples: int, place: tuple[int, int, int], pan: float) -> Signal:
        channel, bank, program = place
        sound = np.zeros((2, -(-samples // BLOCK) * BLOCK), dtype=np.float32)
        if not events or not self._keep(bank, program):
            return sound[:, :samples]
        # A synthesiser of its own: what another has played before would still ring in it.
        synth, font = self._open(channels=16)
        try:
            synth.program_select(channel, font, bank, program)
            synth.cc(channel, 101, 0)
            synth.cc(channel, 100, 0)
            synth.cc(channel, 6, BEND_RANGE)
            synth.cc(channel, 10, round(64 + 63 * pan))
            done, last = 0, sound.shape[1] // BLOCK
            for block, kind, value, velocity in sorted(events):
                if min(block, last) > done:
                    self._write(synth, sound, done, min(block, last))
                    done = min(block, last)
                if kind == 0:
                    synth.pitch_bend(channel, value)
                elif kind == 1:
                    synth.noteoff(channel, value)
                else:
                    synth.noteon(channel, value, velocity)
            self._write(synth, sound, done, last)
        finally:
            synth.delete()
        return sound[:, :samples]

    def _write(self, synth: Any, sound: Signal, first: int, last: int) -> None:
        if last > first:
            left, right = (sound[channel, first * BLOCK :].ctypes.data for channel in range(2))
            _write_float()(synth.synth, (last - first) * BLOCK, left, 0, 1, right, 0, 1)


def _velocity(loudness: float) -> int:
    return int(np.clip(round(127 * loudness), 1, 127))


def _is_whole(path: Path) -> bool:
    """Whether a file has a soundfont's header and the size it states; libraries would print complaints."""
    with path.open("rb") as file:
        head = file.read(12)
    size = int.from_bytes(head[4:8], "little") + 8
    return head[:4] == b"RIFF" and head[8:] == b"sfbk" and path.stat().st_size >= size
