"""TFC-TDF, version 2: the net of the MDX-Net models, with multiplicative skip connections.

Sources: W. Choi et al., "Investigating U-Nets with Various Intermediate Blocks for Spectrogram-based Singing
Voice Separation", ISMIR 2020; M. Kim et al., "KUIELab-MDX-Net: A Two-Stream Neural Network for Music
Demixing", arXiv 2111.12203.

Shape letters: ``B`` batch, ``C`` feature channel, ``T`` frame, ``F`` frequency bin.
"""

from torch import Tensor, nn

from auralflow.nets.mdxnet.config import MDXNetConfig

__all__ = ["TFCTDF2"]


def _normed(layer: nn.Module, channels: int) -> nn.Sequential:
    return nn.Sequential(layer, nn.BatchNorm2d(channels), nn.ReLU())


class TFCTDFStage(nn.Module):
    """Several convolutions, then layers across frequency, added; input and output ``[B, C, T, F]``."""

    def __init__(self, channels: int, num_bins: int, bottleneck: int, num_convolutions: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            *(_normed(nn.Conv2d(channels, channels, 3, padding=1), channels) for _ in range(num_convolutions))
        )
        self.across = nn.Sequential(
            _normed(nn.Linear(num_bins, num_bins // bottleneck, bias=False), channels),
            _normed(nn.Linear(num_bins // bottleneck, num_bins, bias=False), channels),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Transform the features."""
        features = self.convolutions(features)
        out: Tensor = features + self.across(features)
        return out


class TFCTDF2(nn.Module):
    """The net, from the spectrogram of a mixture to that of the target.

    Args:
        config: Settings of the model.

    Shape:
        - Input: ``[B, 2C, F, T]`` with ``C`` channels of audio and ``T`` a multiple of ``2 ** num_stages``
        - Output: the same

    Example:
        >>> import torch
        >>> net = TFCTDF2(MDXNetConfig(num_bins=64, growth=4, num_stages=2))
        >>> list(net(torch.randn(1, 4, 64, 8)).shape)
        [1, 4, 64, 8]
    """

    def __init__(self, config: MDXNetConfig) -> None:
        super().__init__()
        num_channels, growth = 2 * config.num_channels, config.growth
        stages = range(config.num_stages)
        width = [growth * (stage + 1) for stage in range(config.num_stages + 1)]

        def stage(index: int) -> TFCTDFStage:
            rows = config.num_bins // 2**index
            return TFCTDFStage(width[index], rows, config.bottleneck, config.num_convolutions)

        self.first = _normed(nn.Conv2d(num_channels, growth, 1), growth)
        self.encoder = nn.ModuleList(stage(index) for index in stages)
        self.down = nn.ModuleList(
            _normed(nn.Conv2d(width[i], width[i + 1], 2, stride=2), width[i + 1]) for i in stages
        )
        self.bottom = stage(config.num_stages)
        self.up = nn.ModuleList(
            _normed(nn.ConvTranspose2d(width[i + 1], width[i], 2, stride=2), width[i])
            for i in reversed(stages)
        )
        self.decoder = nn.ModuleList(stage(index) for index in reversed(stages))
        self.last = nn.Conv2d(growth, num_channels, 1)

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Map the mixture's spectrogram to the target's."""
        features = self.first(spectrogram).transpose(2, 3)
        skips = []
        for encoder, down in zip(self.encoder, self.down, strict=True):
            skips.append(encoder(features))
            features = down(skips[-1])
        features = self.bottom(features)
        for up, decoder in zip(self.up, self.decoder, strict=True):
            features = decoder(up(features) * skips.pop())
        out: Tensor = self.last(features.transpose(2, 3))
        return out
