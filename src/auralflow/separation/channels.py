"""Maps audio with any number of channels to a net with a fixed number."""

from collections.abc import Callable

import torch
from torch import Tensor

from auralflow.audio import Audio

__all__ = ["ChannelLayout"]


class ChannelLayout:
    """Distributes ``K`` channels of audio over a net with ``C`` channels, and collects the results.

    Groups of ``C`` channels are separated independently; an incomplete last group repeats its last channel,
    and the estimates of the repeated channel are averaged.

    Args:
        audio_channels: Number of channels ``K`` of the audio.
        model_channels: Number of channels ``C`` of the net.

    Example:
        >>> ChannelLayout(3, 2).origin
        [0, 1, 2, 2]
    """

    def __init__(self, audio_channels: int, model_channels: int) -> None:
        self.model_channels = model_channels
        self.num_groups = -(-audio_channels // model_channels)
        self.origin = [min(i, audio_channels - 1) for i in range(self.num_groups * model_channels)]
        self.audio_channels = audio_channels

    def spread(self, audio: Audio) -> Audio:
        """Map ``[K, n]`` to ``[G * C, n]``, for ``G`` groups."""
        return audio if len(self.origin) == self.audio_channels else audio[self.origin]

    def separate(self, process: Callable[[Tensor], Tensor], chunks: Tensor) -> Tensor:
        """Map ``[B, G * C, n]`` to ``[B, S, G * C, n]``, with each group as a row of the net's batch."""
        batch, _, length = chunks.shape
        targets = process(chunks.reshape(-1, self.model_channels, length))
        targets = targets.reshape(batch, self.num_groups, -1, self.model_channels, length)
        return targets.transpose(1, 2).flatten(2, 3)

    def gather(self, targets: Tensor) -> Tensor:
        """Map ``[S, G * C, n]`` to ``[S, K, n]``."""
        if len(self.origin) == self.audio_channels:
            return targets
        last = self.audio_channels - 1
        return torch.cat((targets[:, :last], targets[:, last:].mean(dim=1, keepdim=True)), dim=1)
