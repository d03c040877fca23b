"""Tracks as synchronised streams of blocks.

Shape letters: ``K`` channel of the track, ``n`` sample of a block.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from auralflow.audio import Audio, probe, stream_audio
from auralflow.datasets import Track
from auralflow.errors import DatasetError

__all__ = ["BlockReader", "mixture_blocks", "track_channels"]


def mixture_files(track: Track, sources: Sequence[str]) -> list[Path]:
    """The files that sum to the mixture."""
    if track.mixture:
        return [track.mixture]
    return [track.stems[source] for source in sources if source not in track.silent]


def track_channels(track: Track, sources: Sequence[str]) -> int:
    """Number of channels of the mixture: the maximum over its files."""
    return max(probe(path).channels for path in mixture_files(track, sources))


def mixture_blocks(track: Track, sources: Sequence[str]) -> Iterator[Audio]:
    """The mixture ``[K, n]`` in blocks: the track's mixture file, or the sum of its stems."""
    # All blocks have the same size, so the stems stay in sync.
    for blocks in zip(*map(stream_audio, mixture_files(track, sources)), strict=True):
        yield np.asarray(sum(blocks[1:], start=blocks[0]), dtype=np.float32)


class BlockReader:
    """Reads a stream in pieces of any requested length.

    Args:
        blocks: Consecutive blocks ``[C, n]`` of any length; mono is copied to all channels.
        channels: Number of channels ``K`` of the result.
        name: Name of the stream, for errors.

    Example:
        >>> reader = BlockReader(iter([np.ones((1, 3)), np.zeros((1, 2))]), 2, "song")
        >>> reader.take(4).tolist()
        [[1.0, 1.0, 1.0, 0.0], [1.0, 1.0, 1.0, 0.0]]
    """

    def __init__(self, blocks: Iterator[Audio], channels: int, name: str) -> None:
        self.blocks = blocks
        self.channels = channels
        self.name = name
        self.rest: Audio = np.zeros((channels, 0), dtype=np.float32)

    def take(self, count: int) -> Audio:
        """Read the next ``count`` samples ``[K, count]``; after the end, silence.

        Raises:
            DatasetError: If the number of channels does not match.
        """
        pieces, held = [self.rest], self.rest.shape[-1]
        while held < count:
            block = next(self.blocks, None)
            if block is None:
                block = np.zeros((self.channels, count - held), dtype=np.float32)
            pieces.append(self._spread(block))
            held += block.shape[-1]
        joined = np.concatenate(pieces, axis=-1) if len(pieces) > 1 else self.rest
        self.rest = joined[:, count:]
        return joined[:, :count]

    def _spread(self, block: Audio) -> Audio:
        # A mono stem of a stereo mixture is in both channels.
        if block.shape[0] not in {1, self.channels}:
            raise DatasetError(
                f"'{self.name}' does not match its mixture",
                found=f"{block.shape[0]} channels",
                expected=f"1 or {self.channels}",
            )
        return np.broadcast_to(block, (self.channels, block.shape[-1]))
