"""The U-Net of Spleeter, which estimates one instrument.

Shape letters: ``B`` batch, ``C`` channel, ``F`` frequency bin, ``T`` frame.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["STRIDE", "InstrumentNet", "NetActivation", "PixelShuffleUp", "TransposedUp"]

NUM_LEVELS = 6
STRIDE = 2**NUM_LEVELS
"""The numbers of frames and bins must be multiples of this."""

NUM_DROPOUTS = 3
NORM_EPSILON = 1e-3  # Keras' default; PyTorch's is 1e-5

NetActivation = Literal["leaky_relu", "elu"]


class TransposedUp(nn.ConvTranspose2d):
    """Doubles both sides of a map with TensorFlow's padding "SAME", cropping one row before and two after.

    Args:
        inputs: Number of input channels.
        outputs: Number of output channels.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, kernel_size=5, stride=2)

    def forward(self, features: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Double the map ``[B, C, T, F]``."""
        return super().forward(features)[..., 1:-2, 1:-2]


class PixelShuffleUp(nn.Sequential):
    """Equivalent of a `TransposedUp` with the same weights, several times faster on a CPU.

    Along one side, output ``2i`` reads the inputs ``i - 1`` and ``i`` with the taps 3 and 1 of the kernel,
    and output ``2i + 1`` the inputs ``i - 1``, ``i`` and ``i + 1`` with the taps 4, 2 and 0. So the four
    outputs of a square are four channels of a single 3x3 convolution.
    Source: W. Shi et al., "Is the deconvolution layer the same as a convolutional layer?", arXiv:1609.07009.

    Args:
        up: The layer to replace.

    Example:
        >>> up = TransposedUp(3, 2)
        >>> features = torch.rand(1, 3, 8, 8)
        >>> torch.allclose(PixelShuffleUp(up)(features), up(features), atol=1e-6)
        True
    """

    def __init__(self, up: TransposedUp) -> None:
        convolution = nn.Conv2d(up.in_channels, 4 * up.out_channels, 3, padding=1)
        taps = F.pad(up.weight.detach(), (0, 1, 0, 1))  # tap 5 is zero
        order = torch.tensor([[3, 1, 5], [4, 2, 0]], device=taps.device)
        # [in, out, row, row tap, column, column tap] to [out, row, column, in, row tap, column tap]
        kernel = taps[:, :, order][..., order].permute(1, 2, 4, 0, 3, 5).flatten(0, 2)
        with torch.no_grad():
            convolution.weight.copy_(kernel)
            if up.bias is not None and convolution.bias is not None:
                convolution.bias.copy_(up.bias.repeat_interleave(4))
        super().__init__(convolution, nn.PixelShuffle(2))


class InstrumentNet(nn.Module):
    """Estimates the magnitude of one instrument in each bin; `SpleeterModel` turns them into masks.

    Six 5x5 convolutions with stride 2 down, six transposed ones up, skip connections from the
    convolutions' outputs before normalisation, and a dilated convolution over the full map. Padding is
    TensorFlow's "SAME": one row before and two after. Sources: A. Jansson et al., "Singing Voice Separation
    with Deep U-Net Convolutional Networks", ISMIR 2017; R. Hennequin et al., "Spleeter: a fast and efficient
    music source separation tool with pre-trained models", JOSS 5(50), 2020.

    Args:
        num_channels: Number of channels ``C`` of the spectrogram.
        num_hidden_channels: Number of channels of the first level; doubles with each level down.
        activation: ``leaky_relu`` (ReLU in the decoder) as in the published model with 2 stems, or ``elu`` as
            in those with 4 and 5.

    Shape:
        - Input: magnitudes ``[B, C, T, F]``, with ``T`` and ``F`` multiples of `STRIDE`
        - Output: logits of the same shape

    Example:
        >>> net = InstrumentNet(num_channels=2)
        >>> list(net(torch.rand(1, 2, 64, 128)).shape)
        [1, 2, 64, 128]
    """

    def __init__(
        self, num_channels: int, num_hidden_channels: int = 16, activation: NetActivation = "leaky_relu"
    ) -> None:
        super().__init__()
        widths = [num_hidden_channels * 2**level for level in range(NUM_LEVELS)]
        self.down = nn.ModuleList(
            nn.Conv2d(inputs, outputs, 5, stride=2)
            for inputs, outputs in zip((num_channels, *widths[:-1]), widths, strict=True)
        )
        # The deepest output is not normalised, hence five normalisations for six convolutions.
        self.down_norm = nn.ModuleList(nn.BatchNorm2d(width, eps=NORM_EPSILON) for width in widths[:-1])
        outputs = (*reversed(widths[:-1]), 1)
        # Each level but the first takes the output of the one below and a skip connection of equal width.
        inputs = (widths[-1], *(2 * width for width in outputs[:-1]))
        self.up = nn.ModuleList(TransposedUp(*widths) for widths in zip(inputs, outputs, strict=True))
        self.up_norm = nn.ModuleList(nn.BatchNorm2d(width, eps=NORM_EPSILON) for width in outputs)
        is_leaky = activation == "leaky_relu"
        self.down_act: nn.Module = nn.LeakyReLU(0.2) if is_leaky else nn.ELU()
        self.up_act: nn.Module = nn.ReLU() if is_leaky else nn.ELU()
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Conv2d(1, num_channels, 4, dilation=2, padding=3)

    def forward(self, magnitudes: Tensor) -> Tensor:
        """Estimate the logits of one instrument."""
        features = magnitudes
        skips = []
        for level, convolution in enumerate(self.down):
            if level:
                features = self.down_act(self.down_norm[level - 1](features))
            features = convolution(F.pad(features, (1, 2, 1, 2)))
            skips.append(features)
        features = skips.pop()
        for level, convolution in enumerate(self.up):
            if level:
                features = torch.cat((skips.pop(), features), dim=1)
            features = self.up_norm[level](self.up_act(convolution(features)))
            if level < NUM_DROPOUTS:
                features = self.dropout(features)
        logits: Tensor = self.head(features)
        return logits

    def use_pixel_shuffle(self) -> None:
        """Replace the transposed convolutions by faster equivalents."""
        for level, convolution in enumerate(self.up):
            if isinstance(convolution, TransposedUp):
                self.up[level] = PixelShuffleUp(convolution)
