"""One song: compose, perform, record and mix."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from auralflow.datasets.synth.arrangement import accompaniment, bass_part
from auralflow.datasets.synth.band import Band
from auralflow.datasets.synth.composition import STEMS, compose
from auralflow.datasets.synth.drums import drum_hits
from auralflow.datasets.synth.melody import sung_melody
from auralflow.datasets.synth.midi_arrangement import arrange
from auralflow.datasets.synth.midi_files import Composition
from auralflow.datasets.synth.mixing import balance, draw_room, reverberate, saturate
from auralflow.datasets.synth.parts import Arrangement
from auralflow.datasets.synth.recorded_singers import VoiceBank
from auralflow.datasets.synth.samples import SampleBank
from auralflow.datasets.synth.signals import Signal, add_at
from auralflow.datasets.synth.singers import Singer, built_in_singer
from auralflow.errors import SettingsError

__all__ = ["Material", "generate_song"]

LOWEST_RATE = 4000


@dataclass(frozen=True, slots=True)
class Material:
    """What songs may be made of besides the built-in instruments and compositions.

    Args:
        samples: Recorded notes and strokes.
        soundfonts: Files of General MIDI soundfonts.
        voices: Recorded voices, which then sing every song.
    """

    samples: SampleBank | None = None
    soundfonts: tuple[Path, ...] = ()
    voices: VoiceBank | None = None


def generate_song(
    seed: int,
    *,
    seconds: float = 30.0,
    sample_rate: int = 44100,
    material: Material = Material(),
    composition: Composition | None = None,
) -> dict[str, Signal]:
    """Make a song of four stems.

    Args:
        seed: Any number from 0; the same seed always gives the same song.
        seconds: Length. Default 30.
        sample_rate: Samples per second, at least 4000. Default 44100.
        material: Recordings and soundfonts. Default: none, all is synthesised.
        composition: A song to be played, of which a stretch is taken. Default: one is composed.

    Returns:
        ``vocals``, ``drums``, ``bass`` and ``other``, each [2, N] float32. Their sum is the mixture; its
        peak is at most 0.95.

    Raises:
        SettingsError: If the seed, the length or the sample rate is out of range.
        AuralflowError: If a recording or a soundfont cannot be used.

    Example:
        >>> song = generate_song(1, seconds=2.0, sample_rate=8000)
        >>> sorted(song), song["bass"].shape
        (['bass', 'drums', 'other', 'vocals'], (2, 16000))
    """
    length = _check(seed, seconds, sample_rate)
    # A change in one part leaves the others as they are.
    plan, voice, drums, bass, other, desk, players = np.random.default_rng(seed).spawn(7)
    singer = material.voices.singer(voice) if material.voices else built_in_singer(voice)
    if composition is None:
        score = compose(seconds, plan)
        arrangement = Arrangement(
            tempo=score.tempo,
            drums=tuple(drum_hits(score, drums)),
            bass=(bass_part(score, bass),),
            other=accompaniment(score, other),
            vocals=tuple(sung_melody(score, singer.floor, voice)),
        )
    else:
        arrangement = arrange(composition, seconds, singer.floor, plan)
    band = Band(sample_rate, players, samples=material.samples, soundfonts=material.soundfonts)
    dry = {
        "vocals": _vocals(arrangement, singer, length, sample_rate, voice),
        "drums": band.drums(arrangement.drums, length),
        "bass": _bass(arrangement, band, length, bass),
        "other": _sum([band.part(part, length, "other") for part in arrangement.other], length),
    }
    return balance(_record(dry, sample_rate, desk), sample_rate, desk)


def _bass(arrangement: Arrangement, band: Band, samples: int, rng: np.random.Generator) -> Signal:
    """All basses in the centre, a little driven."""
    sound = _sum([band.part(part, samples, "bass") for part in arrangement.bass], samples).mean(axis=0)
    loudest = float(np.max(np.abs(sound)))
    drive = np.float32(rng.uniform(0.3, 1.5) / loudest) if loudest > 0 else np.float32(1.0)
    driven = np.tanh(drive * sound)
    return np.stack([driven, driven])


def _sum(sounds: list[Signal], samples: int) -> Signal:
    return np.asarray(sum(sounds, np.zeros((2, samples), dtype=np.float32)), dtype=np.float32)


def _check(seed: int, seconds: float, sample_rate: int) -> int:
    if seed < 0:
        raise SettingsError("cannot make a song", found=f"seed {seed}", expected="a seed of 0 or more")
    if sample_rate < LOWEST_RATE:
        raise SettingsError(
            "cannot make a song",
            found=f"a sample rate of {sample_rate}",
            expected=f"at least {LOWEST_RATE} samples per second",
        )
    samples = round(seconds * sample_rate) if np.isfinite(seconds) else 0
    if samples < 1:
        raise SettingsError("cannot make a song", found=f"{seconds} seconds", expected="more than 0 seconds")
    return samples


def _vocals(
    arrangement: Arrangement, singer: Singer, samples: int, sample_rate: int, rng: np.random.Generator
) -> Signal:
    """A lead in the centre, at times doubled at the sides."""
    voice = singer.sing(arrangement.vocals, samples, sample_rate, rng)
    stereo = np.stack([voice, voice])
    if rng.random() < 0.3:
        for channel in range(2):
            double = np.roll(voice, int(rng.uniform(0.012, 0.03) * sample_rate))
            stereo[channel] += np.float32(0.35) * double
    if rng.random() < 0.4:
        beat = int(60 / arrangement.tempo * float(rng.choice((0.5, 0.75, 1.0))) * sample_rate)
        gain = np.float32(rng.uniform(0.08, 0.25))
        for repeat in range(1, 4):
            add_at(stereo[(repeat % 2) :][:1], repeat * beat, gain**repeat * voice[None])
    return stereo


def _record(dry: dict[str, Signal], sample_rate: int, rng: np.random.Generator) -> dict[str, Signal]:
    """Saturate every part and place it in a room; the bass stays dry."""
    hall = draw_room(sample_rate, rng, seconds=float(rng.uniform(0.6, 1.4)))
    chamber = draw_room(sample_rate, rng, seconds=float(rng.uniform(0.2, 0.6)))
    rooms = {"vocals": hall, "drums": chamber, "other": hall}
    drives = {"vocals": (0.15, 0.45), "drums": (0.1, 0.3), "bass": (0.2, 0.6), "other": (0.1, 0.4)}
    wet = {"vocals": (0.05, 0.3), "drums": (0.06, 0.3), "other": (0.05, 0.35)}
    stems = {}
    for name in STEMS:
        stem = saturate(dry[name], float(rng.uniform(*drives[name])), sample_rate)
        stems[name] = (
            reverberate(stem, rooms[name], float(rng.uniform(*wet[name]))) if name in rooms else stem
        )
    return stems
