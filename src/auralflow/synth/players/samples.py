"""Recorded single notes and hits as instruments.

Files are sorted by their names: ``drums_Snare_v03.wav`` or ``bass_upright_a2_f.wav``. The first word says
which stem they belong to (``drums``, ``bass``, ``other``), a word such as ``eb3`` which note they are, and
what is left which instrument. Different makers count octaves differently, so the recordings decide.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from auralflow.audio import is_audio, read_audio, resample
from auralflow.effects.signals import Signal
from auralflow.errors import DatasetError
from auralflow.synth.players.instruments import Instrument

__all__ = ["SampleBank", "load", "note_of", "piece_of", "recorded_pitch"]

# The first that a name contains decides; more special words come first.
# fmt: off
PIECES = {
    "hihatclosed": "hat", "hatclosed": "hat", "closedhat": "hat", "hihatopen": "open_hat",
    "hatopen": "open_hat", "openhat": "open_hat", "hat": "hat", "kdrum": "kick", "kick": "kick",
    "bd": "kick", "snare": "snare", "clap": "clap", "shaker": "shaker", "tom1": "tom_high",
    "tom2": "tom_mid", "tom3": "tom_mid", "tom4": "tom_low", "floortom": "tom_low", "ride": "ride",
    "crash": "crash", "china": "crash", "splash": "crash",
}
# fmt: on
STEMS = ("drums", "bass", "other")
NOTE = re.compile(r"^([a-g])([b#s]?)(-?\d)$")
STEPS = {"c": 0, "d": 2, "e": 4, "f": 5, "g": 7, "a": 9, "b": 11}
TAKE = re.compile(r"^(v?\d+(of\d+)?|rr\d+|f+|m?f|mp|p+|m|[a-d])$")
FARTHEST = 7
"""Semitones that a recording is moved at most."""
FEWEST_NOTES = 3
MOST_VOTES = 12
LONGEST_SECONDS = 5.0
RELEASE_SECONDS = 0.06
SILENT = 1e-4


def piece_of(name: str) -> str | None:
    """The piece of a kit that a file's name stands for.

    Example:
        >>> piece_of("drums_HihatClosed_v01of12"), piece_of("drums_tabla_re")
        ('hat', None)
    """
    plain = re.sub(r"[^a-z0-9]", "", name.lower().removeprefix("drums"))
    return next((piece for word, piece in PIECES.items() if word in plain), None)


def note_of(name: str) -> tuple[str, int] | None:
    """The instrument and the note (MIDI, C4 = 60) that a file's name stands for.

    Example:
        >>> note_of("other_guitar_twang_eb3_mf_rr1"), note_of("other_choir")
        (('guitar twang', 51), None)
    """
    words = name.lower().split("_")
    found = [(word, match) for word in words if (match := NOTE.match(word))]
    if not found:
        return None
    note, match = found[-1]
    pitch = STEPS[match[1]] + {"b": -1, "#": 1, "s": 1, "": 0}[match[2]] + 12 * (int(match[3]) + 1)
    rest = [word for word in words if word != note and word not in STEMS and not TAKE.match(word)]
    return " ".join(rest), pitch


def recorded_pitch(sound: Signal, sample_rate: int, note: int) -> float:
    """The frequency that a note sounds at: that of its name, in the octave of the recording.

    Args:
        sound: The recording [N].
        sample_rate: In hertz.
        note: What its name says (MIDI).

    Returns:
        In hertz.

    Example:
        >>> tone = np.sin(2 * np.pi * 220 * np.arange(8000) / 8000).astype(np.float32)
        >>> recorded_pitch(tone, 8000, 69)
        220.0
    """
    named = 440 * 2 ** ((note - 69) / 12)
    start = int(0.05 * sample_rate)
    part = sound[start : start + 8192] if len(sound) > 2 * start else sound
    power = np.abs(np.fft.rfft(part, 2 * len(part))) ** 2
    echo = np.fft.irfft(power)[: len(part)]
    octaves = [named * 2.0**octave for octave in range(-3, 4)]
    periods = [sample_rate / frequency for frequency in octaves]
    # Before the echo first turns negative a sound only resembles itself because it has hardly moved.
    shortest = int(np.argmax(echo < 0))
    # As likely as the best one, the shortest period is the note; its multiples repeat the sound as well.
    likely = [
        float(echo[round(period)]) if shortest and shortest < period < len(part) / 2 else -1.0
        for period in periods
    ]
    best = max(likely)
    return max(octaves[i] for i, value in enumerate(likely) if value > 0.9 * best) if best > 0 else named


class SampleBank:
    """Recordings in a folder, by stem and instrument; read when they are played.

    Args:
        folder: Searched whole; files whose names say nothing are passed over.

    Attributes:
        pieces: Files by piece of the kit.
        instruments: By stem and name of the instrument, its notes: MIDI number and file.

    Raises:
        DatasetError: If no file can be used.
    """

    def __init__(self, folder: Path) -> None:
        self.pieces: dict[str, list[Path]] = defaultdict(list)
        found: dict[str, dict[str, list[tuple[int, Path]]]] = {"bass": {}, "other": {}}
        for path in sorted(folder.rglob("*")):
            if not is_audio(path) or path.name.startswith("."):
                continue
            stem = path.stem.split("_")[0].lower()
            piece, note = piece_of(path.stem), note_of(path.stem)
            if stem == "drums" and piece:
                self.pieces[piece].append(path)
            elif stem in found and note:
                found[stem].setdefault(note[0], []).append((note[1], path))
        self.instruments = {
            stem: {name: notes for name, notes in instruments.items() if len(notes) >= FEWEST_NOTES}
            for stem, instruments in found.items()
        }
        self._octaves: dict[tuple[str, str], int | None] = {}
        if not self.pieces and not any(self.instruments.values()):
            raise DatasetError(
                f"no recording in '{folder}' can be used",
                expected="names such as drums_Snare_v1.wav or bass_upright_a2.wav",
            )

    def instrument(self, stem: str, sample_rate: int, rng: np.random.Generator) -> Instrument | None:
        """Draw a recorded instrument for a part; None if there is none, or none with a pitch."""
        names = sorted(self.instruments[stem])
        if not names:
            return None
        name, level = names[rng.integers(len(names))], rng.random()
        notes = self.instruments[stem][name]
        if (stem, name) not in self._octaves:
            self._octaves[stem, name] = _octave(notes, sample_rate)
        octave = self._octaves[stem, name]
        if octave is None:
            return None
        pitches = {path: 440 * 2 ** ((note - 69) / 12 + octave) for note, path in notes}

        def sound(frequency: float, samples: int) -> Signal:
            distance = {path: abs(12 * np.log2(frequency / pitch)) for path, pitch in pitches.items()}
            nearest = min(distance.values())
            takes = [path for path, steps in distance.items() if steps < nearest + 0.5]
            path = takes[int(level * len(takes))]
            # Farther away the instrument would no longer be itself: it plays the note an octave off.
            octaves = round(np.log2(frequency / pitches[path])) if nearest > FARTHEST else 0
            ratio = frequency / 2.0**octaves / pitches[path]
            return _held(_at_speed(load(path, sample_rate), ratio, sample_rate), samples, sample_rate)

        return sound


def _octave(notes: Sequence[tuple[int, Path]], sample_rate: int) -> int | None:
    """By how many octaves the names of an instrument's notes are off; None if its sound has no pitch."""
    votes = Counter(
        round(np.log2(recorded_pitch(load(path, sample_rate), sample_rate, note) / 440) - (note - 69) / 12)
        for note, path in sorted(notes)[:: -(-len(notes) // MOST_VOTES)]
    )
    octave, count = votes.most_common(1)[0]
    return octave if count > votes.total() / 2 else None


@lru_cache(maxsize=128)
def load(path: Path, sample_rate: int) -> Signal:
    """Read a recording in mono, without the silence before it, at a peak of one.

    Args:
        path: The file.
        sample_rate: The song's, in hertz.
    """
    audio, rate = read_audio(path)
    mono = resample(audio.mean(axis=0, keepdims=True)[:, : int(LONGEST_SECONDS * rate)], rate, sample_rate)[0]
    peak = float(np.abs(mono).max(initial=0.0))
    if peak < SILENT:
        return np.zeros(1, dtype=np.float32)
    begins = int(np.argmax(np.abs(mono) > 0.02 * peak))
    return np.asarray(mono[begins:] / peak, dtype=np.float32)


def _at_speed(sound: Signal, ratio: float, sample_rate: int) -> Signal:
    played = resample(sound[None], round(ratio * sample_rate), sample_rate)[0]
    return np.asarray(played, dtype=np.float32)


def _held(sound: Signal, samples: int, sample_rate: int) -> Signal:
    """Let go after the note's length: a short fade, as of a hand on the string."""
    release = int(RELEASE_SECONDS * sample_rate)
    held = sound[: samples + release].copy()
    if len(held) > samples:
        held[samples:] *= np.linspace(1, 0, len(held) - samples, dtype=np.float32)
    return held
