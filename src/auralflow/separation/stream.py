"""Separation of a stream: any sample rate, any number of channels, any length, in flat memory.

Shape letters: ``S`` source, ``G`` group of channels, ``C`` channel of the model, ``K`` channel of the audio,
``N`` sample.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from auralflow.audio import Audio, StreamResampler
from auralflow.models import SpectrogramMaskModel
from auralflow.models.devices import check_device
from auralflow.models.separator import chunk_step
from auralflow.transforms import overlap_add

__all__ = ["SeparatedBlock", "Separator"]


class SeparatedBlock(NamedTuple):
    """A finished piece of a song.

    Attributes:
        original: ``[K, n]``.
        targets: ``[S, K, n]``.
    """

    original: Audio
    targets: Audio


class Separator:
    """Separates audio with a model, whatever the audio's sample rate and number of channels.

    Args:
        model: The model.
        overlap: Share of a chunk that the next one covers again, from 0 to below 1.
        batch_size: Chunks that the net sees at once.
        device: Where the net runs: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.

    Example:
        >>> from auralflow.config import ModelConfig
        >>> model = SpectrogramMaskModel(ModelConfig(num_hidden_channels=1, sample_rate=16000))
        >>> audio = np.zeros((2, 30000), dtype=np.float32)
        >>> Separator(model).separate(audio, sample_rate=22050).shape
        (1, 2, 30000)
    """

    def __init__(
        self,
        model: SpectrogramMaskModel,
        *,
        overlap: float = 0.25,
        batch_size: int = 4,
        device: str = "auto",
    ) -> None:
        self.model = model.eval().to(check_device(device))
        self.overlap = overlap
        self.batch_size = batch_size

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the targets, in the order of the axis ``S``."""
        return self.model.targets

    def separate(self, audio: Audio, sample_rate: int) -> Audio:
        """Separate a whole signal.

        Args:
            audio: ``[K, N]`` float32.
            sample_rate: In hertz.

        Returns:
            ``[S, K, N]``, at the same sample rate.
        """
        blocks = [block.targets for block in self.stream([audio], sample_rate, audio.shape[0])]
        empty = np.zeros((len(self.targets), audio.shape[0], 0), dtype=np.float32)
        return np.concatenate([empty, *blocks], axis=-1)

    def stream(self, blocks: Iterable[Audio], sample_rate: int, channels: int) -> Iterator[SeparatedBlock]:
        """Separate a signal block by block.

        A block is finished when about one chunk and one batch of chunks after it have been read; that much
        is held in memory, whatever the length of the signal.

        Args:
            blocks: The signal as consecutive pieces ``[K, n]`` of any length.
            sample_rate: In hertz.
            channels: Number of channels ``K``.

        Yields:
            Finished pieces of the original and of the targets; together as long as the signal.
        """
        config = self.model.config
        waiting: deque[Audio] = deque()

        def remember() -> Iterator[Audio]:
            for block in blocks:
                waiting.append(block)
                yield block

        layout = _Layout(channels, config.num_channels)
        inside = _resampled(remember(), sample_rate, config.sample_rate, channels)
        separated = overlap_add(
            (torch.from_numpy(layout.spread(block)) for block in inside),
            lambda chunks: layout.separate(self.model, chunks),
            chunk_length=config.chunk_samples,
            step=chunk_step(config.chunk_samples, self.overlap),
            batch_size=self.batch_size,
        )
        shape = (len(self.targets), channels, -1)
        flat = (layout.gather(part).reshape(-1, part.shape[-1]).cpu().numpy() for part in separated)
        back = _resampled(flat, config.sample_rate, sample_rate, len(self.targets) * channels)
        for targets in back:
            original = _take(waiting, targets.shape[-1])
            yield SeparatedBlock(original, targets[:, : original.shape[-1]].reshape(shape))
        # Rounding of lengths in the resampler can leave a sample or two without an estimate.
        rest = _take(waiting, sum(block.shape[-1] for block in waiting))
        if rest.shape[-1]:
            yield SeparatedBlock(rest, np.zeros((len(self.targets), *rest.shape), dtype=np.float32))


def _take(waiting: deque[Audio], count: int) -> Audio:
    """Take up to ``count`` samples from the front of a queue of blocks."""
    taken = []
    while waiting and count > 0:
        block = waiting.popleft()
        if block.shape[-1] > count:
            waiting.appendleft(block[:, count:])
        taken.append(block[:, :count])
        count -= taken[-1].shape[-1]
    return np.concatenate(taken, axis=-1) if taken else np.zeros((0, 0), dtype=np.float32)


def _resampled(blocks: Iterable[Audio], source: int, target: int, channels: int) -> Iterator[Audio]:
    if source == target:
        yield from blocks
        return
    resampler = StreamResampler(source, target, channels)
    for block in blocks:
        yield resampler.push(block)
    yield resampler.finish()


class _Layout:
    """How the audio's ``K`` channels are dealt out to a net of ``C`` channels, and collected again.

    Groups of ``C`` channels are separated on their own; a last group that is not full repeats its last
    channel, and the estimates of the repeated channel are averaged.
    """

    def __init__(self, audio_channels: int, model_channels: int) -> None:
        self.model_channels = model_channels
        self.num_groups = -(-audio_channels // model_channels)
        self.origin = [min(i, audio_channels - 1) for i in range(self.num_groups * model_channels)]
        self.audio_channels = audio_channels

    def spread(self, audio: Audio) -> Audio:
        """From ``[K, n]`` to ``[G * C, n]``."""
        return audio if len(self.origin) == self.audio_channels else audio[self.origin]

    def separate(self, model: SpectrogramMaskModel, chunks: Tensor) -> Tensor:
        """From ``[B, G * C, n]`` to ``[B, S, G * C, n]``, each group in a row of the net's batch."""
        batch, _, length = chunks.shape
        targets = model.separate_chunks(chunks.reshape(-1, self.model_channels, length))
        targets = targets.reshape(batch, self.num_groups, -1, self.model_channels, length)
        return targets.transpose(1, 2).flatten(2, 3)

    def gather(self, targets: Tensor) -> Tensor:
        """From ``[S, G * C, n]`` to ``[S, K, n]``."""
        if len(self.origin) == self.audio_channels:
            return targets
        last = self.audio_channels - 1
        return torch.cat((targets[:, :last], targets[:, last:].mean(dim=1, keepdim=True)), dim=1)
