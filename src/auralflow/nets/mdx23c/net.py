"""TFC-TDF, version 3: a U-Net of convolutions over time and frequency and of layers across frequency.

Sources: W. Choi et al., "Investigating U-Nets with Various Intermediate Blocks for Spectrogram-based Singing
Voice Separation", ISMIR 2020; M. Kim, J. H. Lee and S. Jung, "Sound Demixing Challenge 2023 Music Demixing
Track Technical Report: TFC-TDF-UNet v3", arXiv 2306.09382.

Shape letters: ``B`` batch, ``C`` feature channel, ``T`` frame, ``F`` frequency row, ``S`` source.
"""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

from auralflow.nets.mdx23c.config import MDX23CConfig

__all__ = ["TFCTDF3"]


class TFCTDFBlock(nn.Module):
    """Convolutions with layers across frequency between them, and a shortcut; input ``[B, C, T, F]``."""

    def __init__(self, inputs: int, outputs: int, num_rows: int, bottleneck: int) -> None:
        super().__init__()
        self.before = _activated(inputs, nn.Conv2d(inputs, outputs, 3, padding=1, bias=False))
        self.across = nn.Sequential(
            *_activated(outputs, nn.Linear(num_rows, num_rows // bottleneck, bias=False)),
            *_activated(outputs, nn.Linear(num_rows // bottleneck, num_rows, bias=False)),
        )
        self.after = _activated(outputs, nn.Conv2d(outputs, outputs, 3, padding=1, bias=False))
        self.shortcut = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """Transform the features."""
        inner = self.before(features)
        inner = inner + self.across(inner)
        out: Tensor = self.after(inner) + self.shortcut(features)
        return out


def _activated(channels: int, layer: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.InstanceNorm2d(channels, affine=True), nn.GELU(), layer)


def _blocks(inputs: int, outputs: int, count: int, num_rows: int, bottleneck: int) -> nn.Sequential:
    sizes = (inputs, *[outputs] * count)
    return nn.Sequential(*(TFCTDFBlock(a, b, num_rows, bottleneck) for a, b in pairwise(sizes)))


class TFCTDF3(nn.Module):
    """The net, from the spectrogram of a mixture to those of the targets.

    Args:
        config: Settings of the model.

    Shape:
        - Input: ``[B, 2C, F, T]`` with ``C`` channels of audio and ``T`` a multiple of ``2 ** num_scales``
        - Output: ``[B, S, 2C, F, T]``

    Example:
        >>> net = TFCTDF3(MDX23CConfig(num_bins=64, num_scales=2, num_hidden_channels=4, growth=4))
        >>> list(net(torch.randn(1, 4, 64, 8)).shape)
        [1, 1, 4, 64, 8]
    """

    def __init__(self, config: MDX23CConfig) -> None:
        super().__init__()
        self.num_targets = len(config.targets)
        self.num_subbands = config.num_subbands
        folded = 2 * config.num_channels * config.num_subbands
        hidden = config.num_hidden_channels
        scales = range(config.num_scales)
        self.first = nn.Conv2d(folded, hidden, 1, bias=False)
        width = [hidden + config.growth * scale for scale in range(config.num_scales + 1)]
        rows = [config.num_bins // config.num_subbands // 2**scale for scale in range(config.num_scales + 1)]

        def blocks(inputs: int, scale: int) -> nn.Sequential:
            return _blocks(inputs, width[scale], config.num_blocks, rows[scale], config.bottleneck)

        def resampled(kind: Callable[..., nn.Module], inputs: int, outputs: int) -> nn.Sequential:
            return _activated(inputs, kind(inputs, outputs, 2, stride=2, bias=False))

        self.encoder = nn.ModuleList(blocks(width[i], i) for i in scales)
        self.down = nn.ModuleList(resampled(nn.Conv2d, width[i], width[i + 1]) for i in scales)
        self.bottom = blocks(width[-1], config.num_scales)
        self.up = nn.ModuleList(
            resampled(nn.ConvTranspose2d, width[i + 1], width[i]) for i in reversed(scales)
        )
        self.decoder = nn.ModuleList(blocks(2 * width[i], i) for i in reversed(scales))
        self.last = nn.Sequential(
            nn.Conv2d(folded + hidden, hidden, 1, bias=False),
            nn.GELU(),
            nn.Conv2d(hidden, self.num_targets * folded, 1, bias=False),
        )

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Map the mixture's spectrogram to those of the targets."""
        mixture = spectrogram.unflatten(2, (self.num_subbands, -1)).flatten(1, 2)  # [B, C, F, T]
        first = self.first(mixture)
        features = first.transpose(2, 3)
        skips = []
        for encoder, down in zip(self.encoder, self.down, strict=True):
            skips.append(encoder(features))
            features = down(skips[-1])
        features = self.bottom(features)
        for up, decoder in zip(self.up, self.decoder, strict=True):
            features = decoder(torch.cat((up(features), skips.pop()), dim=1))
        features = features.transpose(2, 3) * first
        folded = self.last(torch.cat((mixture, features), dim=1))
        bands = folded.unflatten(1, (self.num_targets, -1, self.num_subbands))
        out: Tensor = bands.flatten(3, 4)
        return out
