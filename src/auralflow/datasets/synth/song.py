"""One song: compose, perform, record and mix."""

import numpy as np

from auralflow.datasets.synth.arrangement import bass_notes, render_bass, render_other
from auralflow.datasets.synth.composition import STEMS, Score, compose
from auralflow.datasets.synth.drums import drum_hits, render_drums
from auralflow.datasets.synth.instruments import Instrument
from auralflow.datasets.synth.melody import sung_melody
from auralflow.datasets.synth.mixing import balance, draw_room, reverberate, saturate
from auralflow.datasets.synth.samples import SampleBank
from auralflow.datasets.synth.signals import Signal, add_at
from auralflow.datasets.synth.voice import draw_timbre, sing
from auralflow.errors import SettingsError

__all__ = ["generate_song"]

LOWEST_RATE = 4000


def generate_song(
    seed: int, *, seconds: float = 30.0, sample_rate: int = 44100, samples: SampleBank | None = None
) -> dict[str, Signal]:
    """Make a song of four stems out of nothing.

    Args:
        seed: Any number from 0; the same seed always gives the same song.
        seconds: Length. Default 30.
        sample_rate: Samples per second, at least 4000. Default 44100.
        samples: Recordings that play most drums, basses and accompaniments instead of synthesised sounds.

    Returns:
        ``vocals``, ``drums``, ``bass`` and ``other``, each [2, N] float32. Their sum is the mixture; its
        peak is at most 0.95.

    Raises:
        SettingsError: If the seed, the length or the sample rate is out of range.

    Example:
        >>> song = generate_song(1, seconds=2.0, sample_rate=8000)
        >>> sorted(song), song["bass"].shape
        (['bass', 'drums', 'other', 'vocals'], (2, 16000))
    """
    length = _check(seed, seconds, sample_rate)
    streams = np.random.default_rng(seed).spawn(7)  # a change in one part leaves the others as they are
    score = compose(seconds, streams[0])

    def recorded(stem: str) -> Instrument | None:
        return samples.instrument(stem, sample_rate, streams[6]) if samples else None

    dry = {
        "vocals": _vocals(score, length, sample_rate, streams[1]),
        "drums": render_drums(
            drum_hits(score, streams[2]),
            length,
            sample_rate,
            streams[2],
            recorded=samples.kit(streams[6]) if samples else None,
        ),
        "bass": render_bass(
            bass_notes(score, streams[3]), length, sample_rate, streams[3], recorded=recorded("bass")
        ),
        "other": render_other(score, length, sample_rate, streams[4], recorded=lambda: recorded("other")),
    }
    return balance(_record(dry, sample_rate, streams[5]), sample_rate, streams[5])


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


def _vocals(score: Score, samples: int, sample_rate: int, rng: np.random.Generator) -> Signal:
    """A lead in the centre, at times doubled at the sides."""
    high = bool(rng.random() < 0.5)
    syllables = sung_melody(score, int(rng.integers(55, 60) if high else rng.integers(43, 49)), rng)
    timbre = draw_timbre(rng, high=high)
    voice = sing(syllables, timbre, samples, sample_rate, rng)
    stereo = np.stack([voice, voice])
    if rng.random() < 0.3:
        for channel in range(2):
            double = np.roll(voice, int(rng.uniform(0.012, 0.03) * sample_rate))
            stereo[channel] += np.float32(0.35) * double
    if rng.random() < 0.4:
        beat = int(60 / score.tempo * float(rng.choice((0.5, 0.75, 1.0))) * sample_rate)
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
