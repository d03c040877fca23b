"""One song: compose, perform, record and mix."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from auralflow.effects.signals import Signal
from auralflow.effects.stereo import widen
from auralflow.errors import SettingsError
from auralflow.synth.desk.channel_strip import record
from auralflow.synth.desk.mixing import balance, mastered
from auralflow.synth.players.band import Band
from auralflow.synth.players.drums import drum_hits
from auralflow.synth.players.recorded_singers import VoiceBank
from auralflow.synth.players.samples import SampleBank
from auralflow.synth.players.singers import Singer, built_in_singer
from auralflow.synth.players.vocals import perform_vocals
from auralflow.synth.score.arrangement import accompaniment, bass_part
from auralflow.synth.score.composition import Score, compose
from auralflow.synth.score.grooves import GrooveBank
from auralflow.synth.score.melody import sung_melody
from auralflow.synth.score.midi_arrangement import arrange
from auralflow.synth.score.midi_files import Composition
from auralflow.synth.score.parts import Arrangement, Hit

__all__ = ["Material", "generate_song"]

LOWEST_RATE = 4000
WIDE_BASSES = 0.4
PERFORMED = 0.7
"""Fraction of the songs in which a recorded drummer plays, where there are any."""


@dataclass(frozen=True, slots=True)
class Material:
    """What songs may be made of besides the built-in instruments and compositions.

    Args:
        samples: Recorded notes and hits.
        soundfonts: Files of General MIDI soundfonts.
        voices: Recorded voices, which then sing every song.
        grooves: Performances of drummers, which play in most songs.
    """

    samples: SampleBank | None = None
    soundfonts: tuple[Path, ...] = ()
    voices: VoiceBank | None = None
    grooves: GrooveBank | None = None


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
    # Independent streams, so that a change to one part does not affect the others.
    plan, voice, drums, bass, other, desk, players, end, drummer = np.random.default_rng(seed).spawn(9)
    singer = _singer(material, voice)
    if composition is None:
        score = compose(seconds, plan)
        arrangement = Arrangement(
            tempo=score.tempo,
            drums=tuple(_performed(material, score, drummer) or drum_hits(score, drums)),
            bass=(bass_part(score, bass),),
            other=accompaniment(score, other),
            vocals=tuple(sung_melody(score, singer.floor, voice)),
        )
    else:
        arrangement = arrange(
            composition, seconds, singer.floor, plan, lambda score: _performed(material, score, drummer)
        )
    band = Band(sample_rate, players, samples=material.samples, soundfonts=material.soundfonts)
    dry = {
        "vocals": perform_vocals(
            arrangement.vocals, singer, lambda: _singer(material, voice), length, sample_rate, voice
        ),
        "drums": band.drums(arrangement.drums, length),
        "bass": _low(
            _sum([band.part(part, length, "bass") for part in arrangement.bass], length), sample_rate, bass
        ),
        "other": _sum([band.part(part, length, "other") for part in arrangement.other], length),
    }
    return mastered(
        balance(record(dry, arrangement.tempo, sample_rate, desk), sample_rate, desk), sample_rate, end
    )


def _singer(material: Material, rng: np.random.Generator) -> Singer:
    return material.voices.singer(rng) if material.voices else built_in_singer(rng)


def _performed(material: Material, score: Score, rng: np.random.Generator) -> list[Hit] | None:
    """What a recorded drummer plays; None where the drums are those of the score."""
    return material.grooves.hits(score, rng) if material.grooves and rng.random() < PERFORMED else None


def _low(sound: Signal, sample_rate: int, rng: np.random.Generator) -> Signal:
    """A bass: in the centre, at times with a little width above 200 Hz, as in the songs for training."""
    middle = sound.mean(axis=0)
    centred = np.stack([middle, middle])
    if rng.random() < WIDE_BASSES:
        return widen(centred, float(10 ** (rng.uniform(-26, -10) / 20)), sample_rate, rng)
    return centred


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
