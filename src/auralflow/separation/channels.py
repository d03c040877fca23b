"""How the channels of any audio are dealt out to a net of a fixed number of channels."""

from collections.abc import Callable

import torch
from torch import Tensor

from auralflow.audio import Audio

__all__ = ["ChannelLayout"]


class ChannelLayout:
    """How the audio's ``K`` channels are dealt out to a net of ``C`` channels, and collected again.

    Groups of ``C`` channels are separated on their own; a last group that is not full repeats its last
    channel, and the estimates of the repeated channel are averaged.

    Args:
        audio_channels: ``K``.
        model_channels: ``C``.

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
        """From ``[K, n]`` to ``[G * C, n]``."""
        return audio if len(self.origin) == self.audio_channels else audio[self.origin]

    def separate(self, process: Callable[[Tensor], Tensor], chunks: Tensor) -> Tensor:
        """From ``[B, G * C, n]`` to ``[B, S, G * C, n]``, each group in a row of the net's batch."""
        batch, _, length = chunks.shape
        targets = process(chunks.reshape(-1, self.model_channels, length))
        targets = targets.reshape(batch, self.num_groups, -1, self.model_channels, length)
        return targets.transpose(1, 2).flatten(2, 3)

    def gather(self, targets: Tensor) -> Tensor:
        """From ``[S, G * C, n]`` to ``[S, K, n]``."""
        if len(self.origin) == self.audio_channels:
            return targets
        last = self.audio_channels - 1
        return torch.cat((targets[:, :last], targets[:, last:].mean(dim=1, keepdim=True)), dim=1)
