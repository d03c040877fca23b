"""Further validation: real accompaniments by held-out artists, with and without a voice.

``no-voice`` is their music unchanged: any vocals that a model estimates there are leakage. ``over`` adds the
singing from the validation songs, with compression and reverb as on a record: the accompaniment is real, and
neither it nor the voice is in the training data.
"""

import math
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from recipe_data import DataRecipe, found_instrumentals, kept_aside

from auralflow.audio import Audio, is_audio, read_audio, resample
from auralflow.datasets.tracks import find_tracks, index_split
from auralflow.effects.dynamics import Compressor, compress
from auralflow.effects.rooms import draw_room, reverberate
from auralflow.metrics import si_sdr
from auralflow.models import load
from auralflow.separation import Separator
from auralflow.storage import write_json

RATE = 44100
SECONDS = 20.0
LEVELS = (-6.0, -3.0, 0.0, 3.0)
"""Levels of the voice relative to the accompaniment in dB, used in turn."""
AUDIBLE = 1e-3


def make_validation(source: Path, folder: Path, recipe: DataRecipe) -> None:
    """Write both sets, each as a dataset with only a ``valid`` split.

    Args:
        source: The source.
        folder: The folder to write to.
        recipe: The recipe of the data, with the held-out artists.
    """
    files = [path for mixes in found_instrumentals(source, recipe) for path in kept_aside(source, mixes)]
    for part in ("no-voice", "over"):
        (folder / part / "valid").mkdir(parents=True, exist_ok=True)
    for path in files:
        track = folder / "no-voice" / "valid" / path.stem
        track.mkdir(parents=True, exist_ok=True)
        link = track / f"mixture{path.suffix.lower()}"
        link.unlink(missing_ok=True)
        link.symlink_to(path.resolve())
        write_json(track / "track.json", {"silent": ["vocals"]})
    found = map(_voice, find_tracks(source / "songs", "valid"))
    voices = [voice for voice in found if np.abs(voice).max(initial=0.0) > AUDIBLE]
    for number, path in enumerate(files if voices else []):
        track = folder / "over" / "valid" / path.stem
        track.mkdir(parents=True, exist_ok=True)
        voice = _produced(_cut(voices[number % len(voices)], number), number)
        mixture = _stereo(path)[:, : voice.shape[1]]
        voice = voice[:, : mixture.shape[1]]
        voice *= 10 ** (LEVELS[number % len(LEVELS)] / 20) * _rms(mixture) / _rms(voice)
        mixture = mixture + voice
        gain = 0.95 / max(1.0, float(np.abs(mixture).max()))
        for name, sound in (("vocals", voice), ("mixture", mixture)):
            soundfile.write(track / f"{name}.wav", gain * sound.T, RATE, subtype="PCM_24")


def score_validation(model: Path | str, folder: Path) -> dict[str, Any]:
    """Score a model on both sets.

    Args:
        model: Model folder or name.
        folder: The folder that `make_validation` wrote.

    Returns:
        ``leak``: energy of the vocals in music without a voice, in dB relative to the mixture, over all
        tracks together; ``leaks``: the same by track. ``over``: mean SI-SDR of the vocals over real
        accompaniments, and its improvement over the mixture, in dB; ``overs``: the same by track.
    """
    separator = Separator(load(model), targets=("vocals",))
    leaks, energies, scores = {}, np.zeros(2), {}
    for track in index_split(folder / "no-voice", "valid"):
        mixture = _stereo(track.files["mixture"])
        vocals = separator.separate(mixture, RATE)[0]
        energy = np.array([np.square(part, dtype=np.float64).sum() for part in (vocals, mixture)])
        leaks[track.name] = _decibels(energy[0] / energy[1])
        energies += energy
    for track in index_split(folder / "over", "valid"):
        mixture, truth = _stereo(track.files["mixture"]), _stereo(track.files["vocals"])
        vocals = separator.separate(mixture, RATE)[0]
        after, before = (_si_sdr(estimate, truth) for estimate in (vocals, mixture))
        scores[track.name] = {"si_sdr": after, "si_sdr_improvement": after - before}
    return {
        "leak": _decibels(energies[0] / energies[1]) if leaks else None,
        "over": {
            key: statistics.fmean(score[key] for score in scores.values())
            for key in ("si_sdr", "si_sdr_improvement")
            if scores
        },
        "leaks": leaks,
        "overs": scores,
    }


def _stereo(path: Path) -> Audio:
    audio, rate = read_audio(path)
    sound = resample(audio, rate, RATE)
    return np.repeat(sound[:1], 2, axis=0) if len(sound) == 1 else sound[:2]


def _voice(track: Path) -> Audio:
    """The vocals of a song in mono; empty if it has none."""
    paths = [path for path in track.iterdir() if path.stem.lower() == "vocals" and is_audio(path)]
    return _stereo(paths[0]).mean(axis=0) if paths else np.zeros(0, dtype=np.float32)


def _cut(voice: Audio, number: int) -> Audio:
    """An excerpt of a voice, different for each number; a short voice is repeated."""
    length = round(SECONDS * RATE)
    turned = np.roll(voice, -number * length // 3)
    return np.asarray(np.resize(turned, length), dtype=np.float32)


def _produced(voice: Audio, number: int) -> Audio:
    """A voice ``[2, N]`` with compression and the reverb of a plate or a hall."""
    rng = np.random.default_rng(number)
    even = compress(voice[None], Compressor(-6.0, 3.0, 0.005, 0.1), RATE)
    room = draw_room(("plate", "hall")[number % 2], RATE, rng)
    return reverberate(np.repeat(even, 2, axis=0), room, float(rng.uniform(0.1, 0.4)))


def _rms(sound: Audio) -> float:
    return float(np.sqrt(np.mean(np.square(sound, dtype=np.float64)))) + 1e-9


def _decibels(ratio: float) -> float:
    return 10 * math.log10(ratio + 1e-12)


def _si_sdr(estimate: Audio, truth: Audio) -> float:
    return float(si_sdr(torch.from_numpy(estimate.reshape(-1)), torch.from_numpy(truth.reshape(-1))))
