"""Recorded voices analysed with the WORLD vocoder and cut into syllables; kept in a cache."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d
from scipy.signal import find_peaks

from auralflow.audio import read_audio, resample
from auralflow.effects.signals import Signal
from auralflow.errors import DatasetError
from auralflow.storage import atomic_path, cache_folder, file_hash

__all__ = ["FRAMES_PER_SECOND", "RATE", "Unit", "Voice", "analyse", "load_voice", "synthesise", "voice_cache"]

RATE = 44100
"""Sample rate of analysis and synthesis in hertz."""
FRAMES_PER_SECOND = 200
PERIOD = 1000 / FRAMES_PER_SECOND
FFT_SIZE = 2048
DIMENSIONS = 64
LOWEST_PITCH, HIGHEST_PITCH = 60.0, 1000.0
LONGEST_SECONDS = 240.0
VERSION = 1
"""Part of the names in the cache: a new version of the analysis makes new files."""

VOICED_RANGE = 40.0  # dB below the loudest frames in which a voice still counts
CONSONANT_RANGE = 55.0
DIP = 3.0  # dB by which the loudness falls between two syllables
SHORTEST_NUCLEUS = 0.07
LONGEST_ONSET = 0.16
SMALLEST_GAP = 3  # frames
INSTALL = "Run: pip install 'auralflow[voices]'."


@dataclass(frozen=True, slots=True)
class Unit:
    """A syllable: frames from the beginning of its consonant over that of its vowel to its end."""

    begin: int
    nucleus: int
    end: int


@dataclass(frozen=True, slots=True)
class Voice:
    """An analysed recording.

    Args:
        pitch: Hertz for each frame; 0 where there is none [T].
        envelope: Coded spectral envelope [T, 64].
        noise: Coded aperiodicity [T, 5].
        level: Loudness in dB for each frame [T].
        units: The syllables, in order of time.
        band: Hertz up to which the recording goes.
    """

    pitch: Signal
    envelope: Signal
    noise: Signal
    level: Signal
    units: tuple[Unit, ...]
    band: float

    @property
    def middle(self) -> float:
        """Median pitch as a MIDI number."""
        voiced = self.pitch[self.pitch > 0]
        return float(69 + 12 * np.log2(np.median(voiced) / 440)) if len(voiced) else 57.0


@lru_cache(maxsize=1)
def _world() -> Any:
    try:
        import pyworld  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise DatasetError("cannot use recorded voices", found=str(error), advice=INSTALL) from None
    return pyworld


def voice_cache() -> Path:
    """Folder in which voices are kept: ``voices`` in auralflow's cache."""
    return cache_folder() / "voices"


@lru_cache(maxsize=12)
def load_voice(path: Path) -> Voice:
    """Analyse a recording, or read the result of an earlier call.

    Args:
        path: The recording. Only its first four minutes are used.

    Returns:
        The voice.

    Raises:
        DatasetError: If WORLD is missing.
        AudioError: If the file cannot be read.
    """
    world = _world()
    name = file_hash(path)[:32]
    kept = voice_cache() / f"{name}-{VERSION}.npz"
    parts = _read(kept)
    if parts is None:
        audio, rate = read_audio(path)
        mono = audio.mean(axis=0)[: int(LONGEST_SECONDS * rate)]
        parts = _take_apart(world, resample(mono[None], rate, RATE)[0])
        parts["band"] = np.array(min(rate, RATE) / 2)
        with atomic_path(kept) as part, part.open("wb") as file:
            np.savez(file, allow_pickle=False, **parts)
    # A new result and a stored one must sound the same, so both are rounded to 16 bits.
    pitch, envelope, noise, level = (
        parts[key].astype(np.float32) for key in ("pitch", "envelope", "noise", "level")
    )
    return Voice(pitch, envelope, noise, level, cut(pitch, level), float(parts["band"]))


def _read(path: Path) -> dict[str, NDArray[Any]] | None:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return {key: stored[key] for key in ("pitch", "envelope", "noise", "level", "band")}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None  # missing, truncated or something else: analysed again


def analyse(sound: Signal) -> Voice:
    """Analyse a recording, without the cache.

    Args:
        sound: Mono at 44.1 kHz [N].

    Returns:
        The voice.
    """
    parts = _take_apart(_world(), sound)
    pitch, envelope, noise, level = (part.astype(np.float32) for part in parts.values())
    return Voice(pitch, envelope, noise, level, cut(pitch, level), RATE / 2)


def _take_apart(world: Any, sound: Signal) -> dict[str, NDArray[Any]]:
    audio = np.ascontiguousarray(sound, dtype=np.float64)
    audio = np.pad(audio, (0, max(RATE // 2 - len(audio), 0)))
    pitch, times = world.harvest(
        audio, RATE, f0_floor=LOWEST_PITCH, f0_ceil=HIGHEST_PITCH, frame_period=PERIOD
    )
    envelope = world.cheaptrick(audio, pitch, times, RATE, fft_size=FFT_SIZE)
    # Aperiodicity takes the longest and moves slowly: every second frame is measured.
    noise = world.d4c(
        audio, np.ascontiguousarray(pitch[::2]), np.ascontiguousarray(times[::2]), RATE, fft_size=FFT_SIZE
    )
    hop = RATE // FRAMES_PER_SECOND
    power = np.add.reduceat(audio**2, np.arange(0, len(audio), hop)) / hop
    power = np.pad(power, (0, max(len(pitch) - len(power), 0)), mode="edge")[: len(pitch)]
    level = 10 * np.log10(uniform_filter1d(power, 5) + 1e-10)
    coded = world.code_aperiodicity(noise, RATE)
    return {
        "pitch": pitch.astype(np.float32),
        "envelope": world.code_spectral_envelope(envelope, RATE, DIMENSIONS).astype(np.float16),
        "noise": np.repeat(coded, 2, axis=0)[: len(pitch)].astype(np.float16),
        "level": level.astype(np.float16),
    }


def cut(pitch: Signal, level: Signal) -> tuple[Unit, ...]:
    """Find the syllables of a recording.

    A nucleus is a stretch with a pitch, loud enough, without a dip of 3 dB in its loudness, of at least 0.07
    s. The unvoiced sound just before it, up to 0.16 s, is its consonant.

    Args:
        pitch: Hertz for each frame, 0 where there is none [T].
        level: Loudness in dB [T].

    Returns:
        The syllables, in order of time; they do not overlap.
    """
    top = float(np.percentile(level, 95))
    voiced = (pitch > 0) & (level > top - VOICED_RANGE)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], voiced, [False]]).astype(np.int8)))
    runs: list[list[int]] = []
    for begin, end in edges.reshape(-1, 2).tolist():
        if runs and begin - runs[-1][1] <= SMALLEST_GAP:
            runs[-1][1] = end
        else:
            runs.append([begin, end])
    smooth = uniform_filter1d(level, 7)
    shortest = int(SHORTEST_NUCLEUS * FRAMES_PER_SECOND)
    units: list[Unit] = []
    for begin, end in runs:
        dips, _ = find_peaks(-smooth[begin:end], prominence=DIP, distance=shortest)
        borders = [begin, *(begin + dips), end]
        for nucleus, stop in pairwise(borders):
            if stop - nucleus >= shortest:
                earliest = units[-1].end if units else 0
                units.append(
                    Unit(_onset(nucleus, begin, earliest, level > top - CONSONANT_RANGE), nucleus, stop)
                )
    return tuple(units)


def _onset(nucleus: int, run: int, earliest: int, audible: NDArray[np.bool_]) -> int:
    if nucleus != run:
        return nucleus  # in the middle of a voiced stretch: its consonant is voiced
    begin = nucleus
    limit = max(nucleus - int(LONGEST_ONSET * FRAMES_PER_SECOND), earliest)
    while begin > limit and audible[begin - 1]:
        begin -= 1
    return begin


def synthesise(pitch: Signal, envelope: Signal, noise: Signal, *, formants: float, band: float) -> Signal:
    """Synthesise a voice.

    Args:
        pitch: Hertz for each frame, 0 for unvoiced [T].
        envelope: Coded spectral envelope [T, 64].
        noise: Coded aperiodicity [T, 5].
        formants: Factor on all resonances of the mouth.
        band: Hertz above which the recording holds nothing: there its highs are continued, falling.

    Returns:
        Sound [N] at 44.1 kHz, 220.5 samples for each frame.
    """
    world = _world()
    spectrum = world.decode_spectral_envelope(
        np.ascontiguousarray(envelope, dtype=np.float64), RATE, FFT_SIZE
    )
    aperiodic = world.decode_aperiodicity(np.ascontiguousarray(noise, dtype=np.float64), RATE, FFT_SIZE)
    bins = np.arange(FFT_SIZE // 2 + 1)
    edge = int(0.94 * band / RATE * FFT_SIZE)
    if edge < len(bins) - 50:
        # What a telephone-like recording lost: noise that falls by 12 dB an octave.
        fall = (bins[edge:] / edge) ** -4.0
        spectrum[:, edge:] = spectrum[:, edge - 20 : edge].mean(axis=1, keepdims=True) * fall
        aperiodic[:, edge:] = 0.9
    source = np.minimum(bins / formants, bins[-1])
    low = np.minimum(source.astype(int), len(bins) - 2)
    share = source - low
    warped = spectrum[:, low] ** (1 - share) * spectrum[:, low + 1] ** share
    voice = world.synthesize(
        np.ascontiguousarray(pitch, dtype=np.float64), np.ascontiguousarray(warped), aperiodic, RATE, PERIOD
    )
    return np.asarray(voice, dtype=np.float32)
