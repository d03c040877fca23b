"""Chunks of a dataset as they are: an excerpt of a track, and the fixed chunks for validation.

Only the chunk is read from the files; no track is held in memory.

Only some stems of a track may be known. Its chunks then hold the mixture, the known targets, and the sum of
the unknown ones: the mixture minus everything that is known.

Shape letters: ``S`` source, ``C`` channel, ``N`` sample.
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from auralflow.audio import Audio, resample
from auralflow.config import ModelConfig
from auralflow.datasets.stems import fit_channels, read_stem
from auralflow.datasets.tracks import MIXTURE, OTHER, Track, sources_of
from auralflow.errors import DatasetError

__all__ = ["Chunk", "ValidationChunks", "check_statements", "read_chunk", "read_moment", "to_tensors"]


class Chunk(NamedTuple):
    """A mixture and what is known of its targets; a batch of chunks has a leading batch axis.

    Attributes:
        mixture: ``[C, N]``, float32.
        targets: ``[S, C, N]``, float32: the reference of each known target. The rows of the unknown targets
            all hold their sum.
        known: ``[S]``, bool: which targets are known.
    """

    mixture: Tensor
    targets: Tensor
    known: Tensor


def read_chunk(track: Track, stem: str, position: float, config: ModelConfig, *, shift: float = 0.0) -> Audio:
    """Read a chunk of one of a track's stems in the model's rate and channels.

    Args:
        track: The track.
        stem: Name of the stem, or ``"mixture"``.
        position: 0 to 1: from the chunk at the track's start to the chunk at its end.
        config: Settings of the model.
        shift: Seconds by which the chunk is delayed.

    Returns:
        ``[C, N]`` float32, padded with zeros where the track ends before the chunk.

    Raises:
        AudioError: If the file cannot be read.
        DatasetError: If the file has channels that the model cannot take.
    """
    num_samples = config.chunk_samples
    if stem in track.silent:
        return np.zeros((config.num_channels, num_samples), dtype=np.float32)
    wanted = math.ceil(num_samples * track.sample_rate / config.sample_rate)
    start = int(position * max(0, track.num_samples - wanted)) + round(shift * track.sample_rate)
    audio = resample(read_stem(track, stem, start, wanted), track.sample_rate, config.sample_rate)
    return fit_channels(audio[:, :num_samples], config.num_channels, str(track.files[stem]))


def read_moment(
    track: Track, sources: Sequence[str], position: float, config: ModelConfig
) -> tuple[Audio, Audio]:
    """Read the mixture and the targets of an excerpt of a track.

    Args:
        track: The track; its targets are known, or part of what is left of its mixture.
        sources: The stems that the mixture is the sum of.
        position: 0 to 1: from the chunk at the track's start to the chunk at its end.
        config: Settings of the model.

    Returns:
        Mixture ``[C, N]`` and targets ``[S, C, N]``; the rows of unknown targets all hold their sum.

    Raises:
        AuralflowError: If a file cannot be read.
    """
    if not track.knows(config.targets, sources):
        return _read_partial(track, sources, position, config)
    names = config.targets if track.mixture else tuple(dict.fromkeys((*config.targets, *sources)))
    stems = np.stack([read_chunk(track, name, position, config) for name in names])
    if track.mixture:
        return read_chunk(track, MIXTURE, position, config), stems
    # Targets come first; views and one sum, because copying a chunk costs as much as reading it.
    summed = stems if set(names) == set(sources) else stems[[names.index(name) for name in sources]]
    return summed.sum(axis=0), stems[: len(config.targets)]


def _read_partial(
    track: Track, sources: Sequence[str], position: float, config: ModelConfig
) -> tuple[Audio, Audio]:
    certain = track.certain(config.targets, sources)
    names = dict.fromkeys((*config.targets, *sources))
    stems = {name: read_chunk(track, name, position, config) for name in names if name in certain}
    together = np.zeros((config.num_channels, config.chunk_samples), dtype=np.float32)
    for audio in stems.values():
        together += audio
    if track.mixture:
        mixture = read_chunk(track, MIXTURE, position, config)
        rest = np.subtract(mixture, together, dtype=np.float32)
    else:
        rest = read_chunk(track, OTHER, position, config)
        mixture = np.add(together, rest, dtype=np.float32)
    return mixture, np.stack([stems.get(name, rest) for name in config.targets])


def to_tensors(mixture: Audio, targets: Audio, known: Iterable[bool] | None = None) -> Chunk:
    """Make a chunk of a mixture ``[C, N]`` and targets ``[S, C, N]``.

    Args:
        mixture: Audio of the mixture.
        targets: Audio of the targets.
        known: Which targets are known. Default: all.
    """
    flags: NDArray[np.bool_] = np.fromiter([True] * len(targets) if known is None else known, dtype=np.bool_)
    return Chunk(*(torch.from_numpy(np.ascontiguousarray(array)) for array in (mixture, targets, flags)))


def check_statements(tracks: Iterable[Track], targets: Sequence[str], sources: Sequence[str]) -> None:
    """Raise if a track states which stems are silent but does not determine the others.

    Args:
        tracks: The tracks.
        targets: The stems that are to be estimated.
        sources: The stems that the mixture is the sum of.

    Raises:
        DatasetError: Naming the track.
    """
    for track in tracks:
        unknown = [name for name in dict.fromkeys((*targets, *sources)) if name not in track.known]
        if track.silent and unknown and track.mixture is None and OTHER not in track.stems:
            silent = ", ".join(sorted(track.silent))
            raise DatasetError(
                f"'{track.name}' has no mixture and leaves {', '.join(unknown)} unknown",
                found=f"{', '.join(sorted(track.stems)) or 'no stem'}, and {silent} stated to be silent",
                expected="a file of the mixture, or of every stem that is not silent",
            )


class ValidationChunks(Dataset[Chunk]):
    """The same chunks every time: consecutive ones of each track, evenly thinned out if there are too many.

    Args:
        tracks: Validation tracks; those whose targets are neither all known nor, the unknown ones together,
            what is left of the mixture, are left out.
        config: Settings of the model.
        max_chunks: Number of chunks, at most.

    Raises:
        DatasetError: If no track is left.
    """

    def __init__(self, tracks: Sequence[Track], config: ModelConfig, *, max_chunks: int = 200) -> None:
        self.config = config
        self.sources = sources_of(tracks, config.targets)
        check_statements(tracks, config.targets, self.sources)
        whole = [track for track in tracks if track.sums_up(config.targets, self.sources)]
        if not whole:
            raise DatasetError(
                "no validation track has all that is needed",
                found=f"{len(tracks)} tracks with unknown stems",
                expected=f"the targets {', '.join(config.targets)}, with a mixture or all other stems",
            )
        self.tracks = whole
        places = [(track, position) for track in whole for position in _grid(track, config)]
        count = min(max_chunks, len(places))
        self.places = [places[i * len(places) // count] for i in range(count)]

    def __len__(self) -> int:
        return len(self.places)

    @property
    def are_partial(self) -> bool:
        """Whether there are chunks whose targets are not all known."""
        return any(not track.knows(self.config.targets, self.sources) for track, _ in self.places)

    def without_scores(self) -> str:
        """Which targets no chunk can score, and why; empty if there are none."""
        targets = self.config.targets
        scored = {
            stem
            for track in self.tracks
            for stem in track.certain(targets, self.sources) & track.stems.keys()
        }
        unscored = [target for target in targets if target not in scored]
        if not unscored:
            return ""
        lacking = self._lacking(targets) or self._lacking(self.sources)
        if len(self.tracks) == 1:
            tracks = f"the validation track '{self.tracks[0].name}' lacks"
        else:
            tracks = f"the {len(self.tracks)} validation tracks lack"
        return (
            f"no scores for {', '.join(unscored)}: {tracks} {', '.join(lacking)}; add a track with all stems "
            "to valid/"
        )

    def _lacking(self, stems: Iterable[str]) -> list[str]:
        return [stem for stem in stems if any(stem not in track.stems for track in self.tracks)]

    def __getitem__(self, index: int) -> Chunk:
        """Read chunk number ``index``."""
        track, position = self.places[index]
        mixture, targets = read_moment(track, self.sources, position, self.config)
        certain = track.certain(self.config.targets, self.sources)
        return to_tensors(mixture, targets, (name in certain for name in self.config.targets))


def _grid(track: Track, config: ModelConfig) -> list[float]:
    count = max(1, int(track.seconds / config.sample_length))
    return [i / max(1, count - 1) for i in range(count)]
