"""Runs one net on a stream: adapts sample rate, channels, chunks and level.

Shape letters: ``S`` source, ``K`` channel of the audio, ``n`` sample.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import tee

import numpy as np
import torch
from torch import Tensor

from auralflow.audio import Audio, resample_stream
from auralflow.config import EngineConfig
from auralflow.nets.door import SeparationModel
from auralflow.separation.channels import ChannelLayout
from auralflow.separation.engine import ChunkEngine
from auralflow.separation.pipeline import average
from auralflow.separation.statistics import Level, Levels, LevelSoFar
from auralflow.transforms import overlap_add

__all__ = ["Member"]


class Member:
    """Runs a model on a stream, alone or as a member of an ensemble.

    Args:
        model: The model.
        settings: How to separate; overlap and Wiener filter default to the model's.
        device: The device to compute on.
        sample_rate: Sample rate of the stream in hertz.

    Attributes:
        engine: Separates batches of chunks.
    """

    def __init__(
        self, model: SeparationModel, settings: EngineConfig, device: torch.device, sample_rate: int
    ) -> None:
        self.engine = ChunkEngine(model, settings, device)
        self.config = model.config
        self.standardized = model.traits.standardized
        self.shifts = settings.shifts
        self.sample_rate = sample_rate

    @property
    def members(self) -> tuple["Member", ...]:
        """Itself: a single model has no other members."""
        return (self,)

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the targets, in the order of the axis ``S``."""
        return self.engine.targets

    @property
    def latency(self) -> float:
        """Maximum time in seconds between reading a sample and finishing it."""
        chunking = self.engine.chunking
        samples = chunking.length + self.engine.batch_size * chunking.step + chunking.reach
        return samples / self.config.sample_rate

    def stream(self, blocks: Iterable[Audio], channels: int, levels: Levels) -> Iterator[Audio]:
        """Separate a signal.

        Args:
            blocks: The signal as consecutive blocks ``[K, n]`` of any length.
            channels: Number of channels ``K``.
            levels: Level of the entire signal by sample rate, for nets that need it. If it is missing, they
                get the level of what has been read so far.

        Yields:
            The targets ``[S * K, n]``.
        """
        own, rate = self.config.sample_rate, self.sample_rate
        inside = resample_stream(blocks, rate, own, channels)
        passes = self._shifted(inside, channels, levels.get(own))
        yield from resample_stream(passes, own, rate, len(self.targets) * channels)

    def apart(self, blocks: Iterable[Audio], channels: int, levels: Levels) -> Iterator[list[Audio]]:
        """Separate a signal, and yield the targets of each member: here only one."""
        return ([part] for part in self.stream(blocks, channels, levels))

    def _shifted(self, blocks: Iterable[Audio], channels: int, level: Level | None) -> Iterator[Audio]:
        """Map blocks ``[K, n]`` to targets ``[S * K, n]``, averaged over passes with shifted chunks."""
        if self.shifts == 1:
            yield from self._levelled(blocks, channels, level)
            return
        passes = []
        for index, copy in enumerate(tee(blocks, self.shifts)):
            shift = index * self.engine.chunking.step // self.shifts
            ahead = np.zeros((channels, shift), dtype=np.float32)
            passes.append(_without_start(self._levelled(_joined(ahead, copy), channels, level), shift))
        yield from average(passes)

    def _levelled(self, blocks: Iterable[Audio], channels: int, level: Level | None) -> Iterator[Audio]:
        """Map blocks ``[K, n]`` to targets ``[S * K, n]``, standardised first if the net expects it."""
        if not self.standardized:
            yield from self._overlapped(blocks, channels, self.engine)
        elif level:
            standard = ((block - level.mean) / level.deviation for block in blocks)
            for part in self._overlapped(standard, channels, self.engine):
                yield part * level.deviation + level.mean
        else:
            so_far, chunking = LevelSoFar(), self.engine.chunking
            position = chunking.length - chunking.step

            def separate(chunks: Tensor) -> Tensor:
                nonlocal position
                position += chunking.step * len(chunks) // ChannelLayout(channels, own).num_groups
                now = so_far.level(position)
                return self.engine((chunks - now.mean) / now.deviation) * now.deviation + now.mean

            own = self.config.num_channels
            yield from self._overlapped(so_far.recorded(blocks), channels, separate)

    def _overlapped(
        self, blocks: Iterable[Audio], channels: int, process: Callable[[Tensor], Tensor]
    ) -> Iterator[Audio]:
        """Map blocks ``[K, n]`` to targets ``[S * K, n]`` with a function of chunks."""
        layout = ChannelLayout(channels, self.config.num_channels)
        separated = overlap_add(
            (torch.from_numpy(layout.spread(block)) for block in blocks),
            lambda chunks: layout.separate(process, chunks),
            self.engine.chunking,
            # Each group of channels is a row of the net's batch.
            batch_size=max(1, self.engine.batch_size // layout.num_groups),
        )
        for part in separated:
            yield layout.gather(part).reshape(-1, part.shape[-1]).cpu().numpy()


def _joined(first: Audio, rest: Iterable[Audio]) -> Iterator[Audio]:
    # An empty signal stays empty.
    iterator = iter(rest)
    for block in iterator:
        yield np.concatenate((first, block), axis=-1)
        break
    yield from iterator


def _without_start(blocks: Iterable[Audio], count: int) -> Iterator[Audio]:
    for block in blocks:
        kept = block[..., count:]
        count -= min(count, block.shape[-1])
        if kept.shape[-1]:
            yield kept
