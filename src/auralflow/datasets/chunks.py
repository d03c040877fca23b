"""Chunks of a dataset: random and remixed for training, fixed for validation.

A chunk is read where it lies in the files; no track is held in memory. Chunk number ``p`` is a pure function
of the seed and of ``p``: it does not depend on the process that reads it, or on the chunks before it.

Shape letters: ``S`` source, ``C`` channel, ``N`` sample.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from auralflow.audio import Audio, read_audio, resample
from auralflow.config import ModelConfig
from auralflow.datasets.tracks import Track, sources_of
from auralflow.errors import DatasetError

__all__ = ["Chunk", "StemDraw", "TrainingChunks", "ValidationChunks", "read_chunk"]

Chunk = tuple[Tensor, Tensor]
"""Mixture ``[C, N]`` and targets ``[S, C, N]``, float32."""

SILENCE_DBFS = -50.0
MIX_LEVEL_DBFS = -22.0
"""RMS that the stems of a remix are brought to: about that of a stem in a mastered song."""
LEVEL_SPREAD_DB = 4.0
LARGEST_MATCH_DB = 12.0
"""Level matching goes no further than this, or the end of a reverberation would become a solo."""
CANDIDATES = 4
KEEP_SILENCE = 0.1


@dataclass(frozen=True)
class StemDraw:
    """Where one stem of a remix comes from and what is done to it.

    Attributes:
        places: Track number and start (0 to 1 of what is possible) of the candidates; the first that sounds
            is taken.
        keep_silence: Take the first candidate even if it is silent.
        level: RMS to be brought to, in dBFS.
        swap_channels: Exchange left and right.
        flip_sign: Multiply by -1.
    """

    places: tuple[tuple[int, float], ...]
    keep_silence: bool
    level: float
    swap_channels: bool
    flip_sign: bool


def read_chunk(track: Track, path: Path, position: float, config: ModelConfig) -> Audio:
    """Read a chunk of one of a track's files in the model's rate and channels.

    Args:
        track: The track.
        path: The stem's or the mixture's file.
        position: 0 to 1: from the chunk at the track's start to the chunk at its end.
        config: Settings of the model.

    Returns:
        ``[C, N]`` float32, padded with zeros where the track is shorter than a chunk.

    Raises:
        AudioError: If the file cannot be read.
        DatasetError: If the file has channels that the model cannot take.
    """
    num_samples = config.chunk_samples
    wanted = math.ceil(num_samples * track.sample_rate / config.sample_rate)
    start = int(position * max(0, track.num_samples - wanted))
    audio, _ = read_audio(path, start=start, frames=min(wanted, track.num_samples - start))
    audio = resample(audio, track.sample_rate, config.sample_rate)[:, :num_samples]
    if audio.shape[0] != config.num_channels:
        audio = _fit_channels(audio, config.num_channels, str(path))
    padded: Audio = np.pad(audio, ((0, 0), (0, num_samples - audio.shape[1])))
    return padded


def _read_whole(track: Track, sources: Sequence[str], position: float, config: ModelConfig) -> Chunk:
    """The mixture and the targets of one moment of a track that knows them all."""
    names = config.targets if track.mixture else tuple(dict.fromkeys((*config.targets, *sources)))
    stems = {name: read_chunk(track, track.stems[name], position, config) for name in names}
    if track.mixture:
        mixture = read_chunk(track, track.mixture, position, config)
    else:
        mixture = np.sum([stems[name] for name in sources], axis=0)
    return _chunk(mixture, [stems[name] for name in config.targets])


def _fit_channels(audio: Audio, num_channels: int, name: str) -> Audio:
    if num_channels == 1:
        return np.asarray(audio.mean(axis=0, keepdims=True), dtype=np.float32)
    if audio.shape[0] == 1:
        return np.repeat(audio, num_channels, axis=0)
    raise DatasetError(
        f"cannot train on '{name}'",
        found=f"{audio.shape[0]} channels",
        expected=f"1 or {num_channels}, as the model has",
    )


class TrainingChunks(Dataset[Chunk]):
    """Random chunks for training.

    A share of the chunks is remixed: every stem comes from a track and a moment of its own, at a level that
    makes the mix plausible, with channels and sign exchanged at random. Real stems seldom sound together;
    remixed they do, and there are endlessly many mixes. A track with unknown stems contributes those it has.
    The other chunks are taken as they are, from tracks whose mixture and targets are all known.

    Args:
        tracks: Training tracks.
        config: Settings of the model: targets, chunk length, rate, channels.
        remix: Share of chunks that are remixed, 0 to 1.
        seed: Seed of all draws.

    Raises:
        DatasetError: If neither kind of chunk can be made of the tracks.
    """

    def __init__(
        self, tracks: Sequence[Track], config: ModelConfig, *, remix: float = 1.0, seed: int = 0
    ) -> None:
        self.config = config
        self.seed = seed
        self.sources = sources_of(tracks, config.targets)
        self.whole = [track for track in tracks if track.knows(config.targets, self.sources)]
        self.pools = {source: [track for track in tracks if source in track.stems] for source in self.sources}
        missing = [source for source, pool in self.pools.items() if not pool]
        if missing and not self.whole:
            raise DatasetError(
                "no chunk can be made of the training tracks",
                found=f"no track with {', '.join(missing)}, and none whose mixture and targets are all there",
                expected=f"the targets {', '.join(config.targets)}, with a mixture or all other stems",
            )
        self.remix = remix if self.whole else 1.0
        if missing:
            self.remix = 0.0

    def __getitem__(self, position: int) -> Chunk:
        """Make chunk number ``position``, a whole number from 0 without an upper end."""
        generator = np.random.default_rng((self.seed, position))
        if generator.random() >= self.remix:
            return self._take(generator)
        draws = {source: self.draw(source, generator) for source in self.sources}
        stems = {source: self.render(source, draw) for source, draw in draws.items()}
        return _chunk(np.sum(list(stems.values()), axis=0), [stems[name] for name in self.config.targets])

    def _take(self, generator: np.random.Generator) -> Chunk:
        track = self.whole[_draw_track(self.whole, generator)]
        return _read_whole(track, self.sources, generator.random(), self.config)

    def draw(self, source: str, generator: np.random.Generator) -> StemDraw:
        """Draw what one stem of a remix will be, without reading anything."""
        pool = self.pools[source]
        return StemDraw(
            places=tuple((_draw_track(pool, generator), generator.random()) for _ in range(CANDIDATES)),
            keep_silence=generator.random() < KEEP_SILENCE,
            level=MIX_LEVEL_DBFS + LEVEL_SPREAD_DB * generator.standard_normal(),
            swap_channels=generator.random() < 0.5,
            flip_sign=generator.random() < 0.5,
        )

    def render(self, source: str, draw: StemDraw) -> Audio:
        """Read and shape the stem that was drawn: ``[C, N]``."""
        for number, position in draw.places:
            track = self.pools[source][number]
            stem = read_chunk(track, track.stems[source], position, self.config)
            level = _level(stem)
            if level > SILENCE_DBFS or draw.keep_silence:
                break
        if level > SILENCE_DBFS:
            change = np.clip(draw.level - level, -LARGEST_MATCH_DB, LARGEST_MATCH_DB)
            stem = stem * np.float32(10 ** (change / 20) * (-1 if draw.flip_sign else 1))
        return stem[::-1] if draw.swap_channels else stem


def _draw_track(tracks: Sequence[Track], generator: np.random.Generator) -> int:
    seconds = np.array([track.seconds for track in tracks])
    return int(generator.choice(len(tracks), p=seconds / seconds.sum()))


def _level(audio: Audio) -> float:
    return float(10 * np.log10(np.mean(np.square(audio, dtype=np.float64)) + 1e-12))


def _chunk(mixture: Audio, targets: Sequence[Audio]) -> Chunk:
    return torch.from_numpy(np.ascontiguousarray(mixture)), torch.from_numpy(np.stack(targets))


class ValidationChunks(Dataset[Chunk]):
    """The same chunks every time: side by side in each track, evenly thinned out when there are too many.

    Args:
        tracks: Validation tracks; those whose mixture or targets are not all known are left out.
        config: Settings of the model.
        max_chunks: Number of chunks, at most.

    Raises:
        DatasetError: If no track is complete.
    """

    def __init__(self, tracks: Sequence[Track], config: ModelConfig, *, max_chunks: int = 200) -> None:
        self.config = config
        self.sources = sources_of(tracks, config.targets)
        whole = [track for track in tracks if track.knows(config.targets, self.sources)]
        if not whole:
            raise DatasetError(
                "no validation track has all that is needed",
                found=f"{len(tracks)} tracks with unknown stems",
                expected=f"the targets {', '.join(config.targets)}, with a mixture or all other stems",
            )
        places = [(track, position) for track in whole for position in _grid(track, config)]
        count = min(max_chunks, len(places))
        self.places = [places[i * len(places) // count] for i in range(count)]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> Chunk:
        """Read chunk number ``index``."""
        track, position = self.places[index]
        return _read_whole(track, self.sources, position, self.config)


def _grid(track: Track, config: ModelConfig) -> list[float]:
    count = max(1, int(track.seconds / config.sample_length))
    return [i / max(1, count - 1) for i in range(count)]
