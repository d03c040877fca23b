"""Building blocks of version 2 of the nets.

Shape letters: ``B`` batch, ``F`` frequency bin, ``T`` frame, ``H`` hidden channel.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["ConvUnit", "DenseOverAll", "DenseOverFrequency", "FoldedBlock", "FoldedUp"]

NARROWING = 4
"""Factor by which the dense layers over frequency narrow in the middle."""


class ConvUnit(nn.Sequential):
    """A 3x3 convolution, batch normalisation and ReLU.

    Args:
        num_inputs: Number of input channels.
        num_outputs: Number of output channels.

    Shape:
        - Input: ``[B, num_inputs, F, T]``
        - Output: ``[B, num_outputs, F, T]``
    """

    def __init__(self, num_inputs: int, num_outputs: int) -> None:
        # Batch normalisation makes the bias of the convolution redundant.
        convolution = nn.Conv2d(num_inputs, num_outputs, 3, padding=1, bias=False)
        super().__init__(convolution, *_finish(num_outputs))


def _finish(num_channels: int) -> list[nn.Module]:
    return [nn.BatchNorm2d(num_channels), nn.ReLU(inplace=True)]


def _added(fresh: Tensor, other: Tensor) -> Tensor:
    """The sum, computed in place if no gradient needs the first operand, which has no other references."""
    return fresh + other if torch.is_grad_enabled() else fresh.add_(other)


class DenseOverFrequency(nn.Module):
    """Two dense layers over frequency, shared by all frames and channels, with a residual connection.

    Every bin depends on all others at once, but in a 3x3 convolution only on its neighbours.
    Source: W. Choi et al., "Investigating U-Nets with Various Intermediate Blocks for Spectrogram-based
    Singing Voice Separation", ISMIR 2020 (time-distributed fully connected layers).

    Args:
        num_channels: Number of channels ``H``.
        num_bins: Bins ``F``.

    Shape:
        - Input and output: ``[B, H, F, T]``
    """

    def __init__(self, num_channels: int, num_bins: int) -> None:
        super().__init__()
        middle = max(1, num_bins // NARROWING)
        self.narrow = nn.Linear(num_bins, middle, bias=False)
        self.finish_narrow = nn.Sequential(*_finish(num_channels))
        self.widen = nn.Linear(middle, num_bins, bias=False)
        self.finish_wide = nn.Sequential(*_finish(num_channels))

    def forward(self, features: Tensor) -> Tensor:
        """Add the output of the layers to ``features``."""
        middle = self.finish_narrow(_over_frequency(self.narrow, features))
        return _added(self.finish_wide(_over_frequency(self.widen, middle)), features)


def _over_frequency(layer: nn.Linear, features: Tensor) -> Tensor:
    if features.is_contiguous(memory_format=torch.channels_last):
        # Frames and channels are merged into one axis without a copy.
        num_channels, num_frames = features.shape[1], features.shape[3]
        product = torch.matmul(layer.weight, features.permute(0, 2, 3, 1).flatten(2))
        return product.reshape(*product.shape[:2], num_frames, num_channels).permute(0, 3, 1, 2)
    return torch.matmul(layer.weight, features)


class FoldedBlock(nn.Module):
    """Two convolutions with dense layers over frequency between them, each with a residual connection.

    Args:
        num_inputs: Number of input channels.
        num_outputs: Number of output channels.
        num_bins: Number of bins ``F``; 0 for no dense layers.

    Shape:
        - Input: ``[B, num_inputs, F, T]``
        - Output: ``[B, num_outputs, F, T]``
    """

    def __init__(self, num_inputs: int, num_outputs: int, num_bins: int) -> None:
        super().__init__()
        self.first = ConvUnit(num_inputs, num_outputs)
        self.dense = DenseOverFrequency(num_outputs, num_bins) if num_bins else nn.Identity()
        self.second = ConvUnit(num_outputs, num_outputs)
        self.same_width = num_inputs == num_outputs

    def forward(self, features: Tensor) -> Tensor:
        """Apply the block."""
        first = self.first(features)
        if self.same_width:
            first = _added(first, features)
        middle = self.dense(first)
        return _added(self.second(middle), middle)


class FoldedUp(nn.Module):
    """Doubles the resolution by a transposed convolution, adds the skip connection, and applies a block.

    Args:
        num_inputs: Number of channels from the level below.
        num_outputs: Number of channels of the skip connection and the output.
        num_bins: Number of bins ``F`` of the skip connection.
    """

    def __init__(self, num_inputs: int, num_outputs: int, num_bins: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(num_inputs, num_outputs, 2, stride=2)
        self.block = FoldedBlock(num_outputs, num_outputs, num_bins)

    def forward(self, features: Tensor, skip: Tensor) -> Tensor:
        """Upsample ``features`` to the size of ``skip`` and merge both."""
        features = self.up(features)
        # Pooling rounds down, so odd sizes come back one short.
        missing = skip.shape[-1] - features.shape[-1], skip.shape[-2] - features.shape[-2]
        if any(missing):
            features = F.pad(features, (0, missing[0], 0, missing[1]))
        return self.block(_added(features, skip))  # type: ignore[no-any-return]


class DenseOverAll(nn.Module):
    """Two dense layers over all channels and bins of a frame, with a residual connection.

    Args:
        num_features: Number of channels times number of bins.
        hidden_size: Number of features between the layers.

    Shape:
        - Input and output: ``[B, H, F, T]``
    """

    def __init__(self, num_features: int, hidden_size: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(num_features, hidden_size),
            nn.ReLU(),
            nn.Linear(hidden_size, num_features),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Add the output of the layers to ``features``."""
        frames = features.permute(0, 3, 1, 2)
        return features + self.layers(frames.flatten(2)).reshape(frames.shape).permute(0, 2, 3, 1)  # type: ignore[no-any-return]
