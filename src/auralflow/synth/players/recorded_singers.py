"""Singers made of recordings: their syllables, on the notes of a melody."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d
from scipy.signal import butter

from auralflow.audio import is_audio, probe, resample
from auralflow.effects.equalizers import filtered
from auralflow.effects.signals import Signal, add_at
from auralflow.errors import DatasetError, NotFoundError
from auralflow.synth.players.vocoder import FRAMES_PER_SECOND, RATE, Unit, Voice, load_voice, synthesise
from auralflow.synth.players.voice import Timbre, intonation
from auralflow.synth.score.melody import Syllable

__all__ = ["RecordedSinger", "VoiceBank"]

SHORT = 10.0  # seconds; shorter recordings of a folder are joined
ENOUGH = 40.0
FULL_BAND = 32000
NARROW_WEIGHT = 0.2
"""How much rarer a recording below 32 kHz sings than one of the same length that has its highs."""
FEWEST_UNITS = 6
ATTEMPTS = 30
EDGE = 12  # frames of a syllable's beginning and end that are never stretched
LONG_STRETCH = 2.5
RELEASE = 8
LOWEST_FLOOR, HIGHEST_FLOOR = 41, 60

Track = NDArray[np.float32]


class VoiceBank:
    """A folder of recorded voices.

    Args:
        folder: Searched whole. Recordings of at least 10 seconds are singers of their own; shorter ones of a
            folder are joined, in the order of their names, to singers of about 40 seconds.

    Attributes:
        singers: The files of each singer.
        weights: How often each is drawn: the square root of its length, and a fifth of that where its sample
            rate is below 32 kHz, because such recordings have no highs.

    Raises:
        NotFoundError: If there is no such folder.
        DatasetError: If there is no recording in it.
        AudioError: If a file is broken.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise NotFoundError(f"no such folder: '{folder}'")
        self.folder = folder
        paths = sorted(path for path in folder.rglob("*") if is_audio(path) and not path.name.startswith("."))
        groups: list[tuple[list[Path], float, int]] = []
        joining: tuple[Path, int] | None = None
        for path in paths:
            info = probe(path)
            open_group = joining == (path.parent, info.sample_rate) and groups[-1][1] < ENOUGH
            if info.seconds < SHORT and open_group:
                files, seconds, rate = groups[-1]
                groups[-1] = ([*files, path], seconds + info.seconds, rate)
            else:
                groups.append(([path], info.seconds, info.sample_rate))
                joining = (path.parent, info.sample_rate) if info.seconds < SHORT else None
        if not groups:
            raise DatasetError(f"no recording in '{folder}'", expected="recordings of voices")
        self.singers = tuple(tuple(files) for files, _, _ in groups)
        weights = [seconds**0.5 * (1 if rate >= FULL_BAND else NARROW_WEIGHT) for _, seconds, rate in groups]
        self.weights = np.array(weights) / sum(weights)

    def singer(self, rng: np.random.Generator) -> "RecordedSinger":
        """Draw a singer, with a mouth that is up to 12 percent longer or shorter than that of the recording.

        Args:
            rng: Source of the randomness.

        Returns:
            The singer.

        Raises:
            DatasetError: If no syllable is found in any recording that is tried.
        """
        for _ in range(ATTEMPTS):
            files = self.singers[int(rng.choice(len(self.singers), p=self.weights))]
            voices = tuple(load_voice(path) for path in files)
            if sum(len(voice.units) for voice in voices) >= FEWEST_UNITS:
                return RecordedSinger.draw(voices, rng)
        raise DatasetError(f"no syllable in '{self.folder}' could be found", expected="recordings of voices")


@dataclass(frozen=True, slots=True)
class RecordedSinger:
    """A voice that sings with the syllables of recordings.

    Args:
        voices: The recordings.
        floor: Lowest MIDI pitch.
        timbre: Vibrato, glides; the formants are a factor on those of the recording.
        pace: How fast consonants are spoken, 1 as recorded.
    """

    voices: tuple[Voice, ...]
    floor: int
    timbre: Timbre
    pace: float

    @classmethod
    def draw(cls, voices: tuple[Voice, ...], rng: np.random.Generator) -> "RecordedSinger":
        """Draw the manner of a singer."""
        middle = float(np.median([voice.middle for voice in voices]))
        floor = int(np.clip(round(middle - 3 + rng.uniform(-2, 3)), LOWEST_FLOOR, HIGHEST_FLOOR))
        timbre = Timbre(
            formant_scale=float(np.exp(rng.uniform(-0.12, 0.12))),
            tilt=1.0,
            breath=0.0,
            vibrato=float(rng.choice((0.0, rng.uniform(0.05, 0.5)), p=(0.25, 0.75))),
            vibrato_rate=rng.uniform(4.5, 6.5),
            glide=rng.uniform(0.03, 0.14),
        )
        return cls(voices, floor, timbre, rng.uniform(0.85, 1.2))

    def sing(
        self, syllables: Sequence[Syllable], samples: int, sample_rate: int, rng: np.random.Generator
    ) -> Signal:
        """Sing a melody; see `Singer`."""
        length = round(samples * RATE / sample_rate)
        if not syllables:
            return np.zeros(samples, dtype=np.float32)
        frames = length * FRAMES_PER_SECOND // RATE + FRAMES_PER_SECOND
        pitch = self._pitch(list(syllables), frames, rng)
        supply = self._supply(rng)
        song = np.zeros(length, dtype=np.float32)
        for phrase in _phrases(syllables):
            start, sound = self._phrase(phrase, pitch, supply)
            add_at(song, round(start * RATE / FRAMES_PER_SECOND), sound)
        # Rooms and microphones rumble below the voice, and the vocoder keeps it.
        rumble = butter(
            3, 0.7 * min(440 * 2 ** ((self.floor - 69) / 12), 120), "highpass", fs=RATE, output="sos"
        )
        song = filtered(rumble, song)
        sounding = song[np.abs(song) > 1e-4]
        if sounding.size:
            song /= np.float32(np.sqrt(np.mean(sounding**2)))
        if sample_rate != RATE:
            song = np.asarray(resample(song[None], RATE, sample_rate)[0], dtype=np.float32)
        return song[:samples]

    def _pitch(self, syllables: list[Syllable], frames: int, rng: np.random.Generator) -> NDArray[np.float64]:
        coarse = intonation(syllables, self.timbre, frames // 2 + 8, rng)
        return np.interp(np.arange(frames) / 2, np.arange(len(coarse)), coarse)

    def _supply(self, rng: np.random.Generator) -> "_Supply":
        return _Supply(self.voices, rng)

    def _phrase(
        self, phrase: list[Syllable], pitch: NDArray[np.float64], supply: "_Supply"
    ) -> tuple[int, Signal]:
        """First frame and sound of a phrase."""
        first = round(phrase[0].start * FRAMES_PER_SECOND) - 40
        last = round((phrase[-1].start + phrase[-1].length) * FRAMES_PER_SECOND) + RELEASE
        voice = supply.begin()
        envelope = np.zeros((last - first, voice.envelope.shape[1]), dtype=np.float32)
        envelope[:] = voice.envelope[voice.units[0].nucleus]
        noise = np.zeros((last - first, voice.noise.shape[1]), dtype=np.float32)
        gain, sounding = np.zeros(last - first, dtype=np.float32), np.zeros(last - first, dtype=bool)
        end = 0
        for index, syllable in enumerate(phrase):
            unit = supply.next(syllable.length)
            onset = round((unit.nucleus - unit.begin) / self.pace)
            vowel = round(syllable.start * FRAMES_PER_SECOND) - first
            stop = round((syllable.start + syllable.length) * FRAMES_PER_SECOND) - first
            following = phrase[index + 1].start if index + 1 < len(phrase) else np.inf
            linked = following - syllable.start - syllable.length < 0.05
            stop = max(min(stop + (0 if linked else RELEASE), last - first), vowel + 2)
            # A consonant takes its time from the vowel before it, but not more than 60 ms.
            onset = min(onset, max(vowel - end, 0) + EDGE, vowel)
            place = slice(vowel - onset, stop)
            source = np.concatenate([_consonant(unit, onset), _stretched(unit, stop - vowel)])
            envelope[place], noise[place] = voice.envelope[source], voice.noise[source]
            loudness = _loudness(voice, unit, source, syllable.velocity)
            loudness[-RELEASE:] *= 1 if linked else np.linspace(1, 0, min(RELEASE, len(loudness)))
            gain[place] = loudness
            sounding[vowel:stop], sounding[vowel - onset : vowel] = True, False
            end = stop
        gain = uniform_filter1d(gain, 5)
        tune = np.where(sounding, pitch[np.clip(np.arange(first, last), 0, len(pitch) - 1)], 0.0)
        sound = synthesise(tune, envelope, noise, formants=self.timbre.formant_scale, band=voice.band)
        curve = np.interp(np.arange(len(sound)), np.arange(len(gain)) * (RATE / FRAMES_PER_SECOND), gain)
        return first, sound * curve.astype(np.float32)


def _phrases(syllables: Sequence[Syllable]) -> Iterator[list[Syllable]]:
    phrase: list[Syllable] = []
    for syllable in syllables:
        if syllable.first and phrase:
            yield phrase
            phrase = []
        phrase.append(syllable)
    if phrase:
        yield phrase


class _Supply:
    """The syllables of a singer, in the order in which they were spoken."""

    def __init__(self, voices: tuple[Voice, ...], rng: np.random.Generator) -> None:
        self.voices = [voice for voice in voices if voice.units]
        self.rng = rng
        self.voice, self.place = self.voices[0], 0

    def begin(self) -> Voice:
        """Begin a phrase anywhere in one of the recordings."""
        self.voice = self.voices[int(self.rng.integers(len(self.voices)))]
        self.place = int(self.rng.integers(len(self.voice.units)))
        return self.voice

    def next(self, seconds: float) -> Unit:
        """The next syllable; for a long note the longest vowel of the next four."""
        units = self.voice.units
        ahead = [(self.place + step) % len(units) for step in range(4 if seconds > 0.4 else 1)]
        chosen = max(ahead, key=lambda index: units[index].end - units[index].nucleus)
        self.place = (chosen + 1) % len(units)
        return units[chosen]


def _consonant(unit: Unit, frames: int) -> NDArray[np.intp]:
    """Frames of the recording for a consonant; what is too long loses its beginning."""
    if unit.nucleus - unit.begin <= 0 or frames <= 0:
        return np.full(max(frames, 0), unit.nucleus, dtype=np.intp)
    return np.linspace(unit.begin, unit.nucleus - 1, frames).round().astype(np.intp)


def _stretched(unit: Unit, frames: int) -> NDArray[np.intp]:
    """Frames of the recording for a vowel: its edges at their own pace, its middle as long as needed."""
    have = unit.end - unit.nucleus
    edge = min(EDGE, have // 3)
    if frames <= 2 * edge + 2:
        return np.linspace(unit.nucleus, unit.end - 1, frames).round().astype(np.intp)
    inner = frames - 2 * edge
    low, high = unit.nucleus + edge, unit.end - edge - 1
    if inner > LONG_STRETCH * (high - low + 1):
        # Back and forth, slowly: holding a single frame would buzz.
        span = max(high - low, 1)
        walk = np.arange(inner) * 0.6 % (2 * span)
        middle = low + np.minimum(walk, 2 * span - walk)
    else:
        middle = np.linspace(low, high, inner)
    head, tail = np.arange(unit.nucleus, low), np.arange(high + 1, unit.end)
    return np.concatenate([head, middle.round(), tail[:edge], np.full(edge - len(tail[:edge]), high)]).astype(
        np.intp
    )


def _loudness(voice: Voice, unit: Unit, source: NDArray[np.intp], velocity: float) -> Track:
    """Gain of each frame: syllables come to a common level, most of the way."""
    vowel = voice.level[unit.nucleus : unit.end]
    level = 10 * np.log10(np.mean(10 ** (vowel / 10)))
    correction = float(np.clip(-20.0 - level, -15, 25)) * 0.85
    return np.full(len(source), velocity * 10 ** (correction / 20), dtype=np.float32)
