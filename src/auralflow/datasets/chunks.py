"""Chunks of a dataset as they are: a moment of a track, and the fixed chunks for validation.

A chunk is read where it lies in the files; no track is held in memory.

Shape letters: ``S`` source, ``C`` channel, ``N`` sample.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from auralflow.audio import Audio, resample
from auralflow.config import ModelConfig
from auralflow.datasets.stems import fit_channels, read_stem
from auralflow.datasets.tracks import MIXTURE, Track, sources_of
from auralflow.errors import DatasetError

__all__ = ["Chunk", "ValidationChunks", "read_chunk", "read_moment", "to_tensors"]

Chunk = tuple[Tensor, Tensor]
"""Mixture ``[C, N]`` and targets ``[S, C, N]``, float32."""


def read_chunk(track: Track, stem: str, position: float, config: ModelConfig, *, shift: float = 0.0) -> Audio:
    """Read a chunk of one of a track's stems in the model's rate and channels.

    Args:
        track: The track.
        stem: Name of the stem, or ``"mixture"``.
        position: 0 to 1: from the chunk at the track's start to the chunk at its end.
        config: Settings of the model.
        shift: Seconds by which the chunk begins later.

    Returns:
        ``[C, N]`` float32, padded with zeros where the track ends before the chunk.

    Raises:
        AudioError: If the file cannot be read.
        DatasetError: If the file has channels that the model cannot take.
    """
    num_samples = config.chunk_samples
    wanted = math.ceil(num_samples * track.sample_rate / config.sample_rate)
    start = int(position * max(0, track.num_samples - wanted)) + round(shift * track.sample_rate)
    audio = resample(read_stem(track, stem, start, wanted), track.sample_rate, config.sample_rate)
    return fit_channels(audio[:, :num_samples], config.num_channels, str(track.files[stem]))


def read_moment(
    track: Track, sources: Sequence[str], position: float, config: ModelConfig
) -> tuple[Audio, Audio]:
    """Read the mixture and the targets of one moment of a track that knows them all.

    Args:
        track: The track.
        sources: The stems that the mixture is the sum of, where it has no file.
        position: 0 to 1: from the chunk at the track's start to the chunk at its end.
        config: Settings of the model.

    Returns:
        Mixture ``[C, N]`` and targets ``[S, C, N]``.

    Raises:
        AuralflowError: If a file cannot be read.
    """
    names = config.targets if track.mixture else tuple(dict.fromkeys((*config.targets, *sources)))
    stems = np.stack([read_chunk(track, name, position, config) for name in names])
    if track.mixture:
        return read_chunk(track, MIXTURE, position, config), stems
    # The targets come first; views and one sum, because copies of a chunk cost as much as reading it.
    summed = stems if set(names) == set(sources) else stems[[names.index(name) for name in sources]]
    return summed.sum(axis=0), stems[: len(config.targets)]


def to_tensors(mixture: Audio, targets: Audio) -> Chunk:
    """Make a chunk of a mixture ``[C, N]`` and targets ``[S, C, N]``."""
    return torch.from_numpy(np.ascontiguousarray(mixture)), torch.from_numpy(np.ascontiguousarray(targets))


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
        mixture, targets = read_moment(track, self.sources, position, self.config)
        return to_tensors(mixture, targets)


def _grid(track: Track, config: ModelConfig) -> list[float]:
    count = max(1, int(track.seconds / config.sample_length))
    return [i / max(1, count - 1) for i in range(count)]
