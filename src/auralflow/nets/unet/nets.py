"""Version 1 of the three nets: one U-Net on magnitude spectrograms, three bottlenecks.

Shape letters: ``B`` batch, ``S`` source, ``C`` channel, ``F`` frequency bin, ``T`` frame,
``H`` hidden channel.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from auralflow.nets.unet.blocks import (
    BinAffine,
    ConvBlock,
    Mask,
    MaskEstimate,
    RecurrentBottleneck,
    UpBlock,
    VariationalBottleneck,
    kl_divergence,
    lecun_init,
)
from auralflow.nets.unet.config import RecurrentNetConfig, SpectrogramNetConfig
from auralflow.nets.unet.folded import FoldedNetSimple, create_folded_net

__all__ = [
    "MaskNet",
    "SpectrogramNetLSTM",
    "SpectrogramNetSimple",
    "SpectrogramNetVAE",
    "create_net",
]

NUM_LEVELS = 5
SMALLEST_SIDE = 2**NUM_LEVELS


class MaskNet(nn.Module):
    """A U-Net that estimates one soft mask per target from a magnitude spectrogram.

    Five levels of two 3x3 convolutions, 2x2 max pooling down, 2x2 transposed convolutions up, skip
    connections, and a bottleneck defined by subclasses.
    Source: A. Jansson et al., "Singing Voice Separation with Deep U-Net Convolutional Networks", ISMIR 2017.

    Args:
        config: Settings of the model.

    Shape:
        - Input: magnitudes ``[B, C, F, T]``
        - Output: `MaskEstimate` with a mask ``[B, S, C, F, T]``
    """

    self_normalizing = False

    def __init__(self, config: SpectrogramNetConfig) -> None:
        super().__init__()
        self.num_targets = len(config.targets)
        self.num_channels = config.num_channels
        width = [config.num_hidden_channels * 2**level for level in range(NUM_LEVELS + 1)]
        block = {"self_normalizing": self.self_normalizing}

        # Magnitudes span five orders of magnitude; the square root, a running mean and variance bring them to
        # about the unit scale that the convolutions expect, whatever the level of the music.
        self.standardize = nn.BatchNorm2d(config.num_channels)
        self.input_affine = BinAffine(config.num_bins) if config.normalize_input else nn.Identity()
        self.down = nn.ModuleList(
            ConvBlock(inputs, outputs, **block)
            for inputs, outputs in zip([config.num_channels, *width], width[:-1], strict=False)
        )
        self.bottom = ConvBlock(width[-2], width[-1], **block)
        self.dropout = (nn.AlphaDropout if self.self_normalizing else nn.Dropout)(config.dropout_p)
        self.up = nn.ModuleList(UpBlock(width[i + 1], width[i], **block) for i in reversed(range(NUM_LEVELS)))
        self.head = nn.Conv2d(width[0], self.num_targets * config.num_channels, 1)
        self.output_affine = BinAffine(config.num_bins) if config.normalize_output else nn.Identity()
        self.mask = Mask(config.mask_act_fn, config.leak_factor)

    def bottleneck(self, features: Tensor) -> tuple[Tensor, Tensor | None]:
        """Transform the deepest features ``[B, H, F', T']``; a VAE adds its KL term."""
        return features, None

    def forward(self, magnitudes: Tensor) -> MaskEstimate:
        """Estimate the masks of all targets."""
        num_bins, num_frames = magnitudes.shape[-2:]
        features = self.input_affine(self.standardize(magnitudes.clamp_min(1e-12).sqrt()))
        # Five poolings need at least 32 bins and frames.
        features = F.pad(
            features, (0, max(0, SMALLEST_SIDE - num_frames), 0, max(0, SMALLEST_SIDE - num_bins))
        )
        features = features.contiguous(memory_format=torch.channels_last)

        skips = []
        for down in self.down:
            skips.append(down(features))
            features = F.max_pool2d(skips[-1], 2)
        features, penalty = self.bottleneck(self.dropout(self.bottom(features)))
        for up in self.up:
            features = up(features, skips.pop())

        logits = self.head(features)[..., :num_bins, :num_frames]
        logits = logits.unflatten(1, (self.num_targets, self.num_channels))
        return MaskEstimate(self.mask(self.output_affine(logits)), penalty)


class SpectrogramNetSimple(MaskNet):
    """The U-Net alone: any number of frames, 7.8 million parameters at 16 hidden channels.

    Example:
        >>> config = SpectrogramNetConfig(targets=("vocals", "drums"), num_hidden_channels=2)
        >>> estimate = SpectrogramNetSimple(config)(torch.rand(3, 1, 513, 40))
        >>> list(estimate.mask.shape)
        [3, 2, 1, 513, 40]
    """

    def __init__(self, config: SpectrogramNetConfig) -> None:
        super().__init__(config)
        _use_channels_last(self)


class SpectrogramNetLSTM(MaskNet):
    """The U-Net with a recurrent bottleneck.

    With ``input_axis`` 1 the number of frames is fixed.

    Example:
        >>> config = RecurrentNetConfig(num_hidden_channels=2, hidden_size=8, sample_length=1)
        >>> net = SpectrogramNetLSTM(config)
        >>> list(net(torch.rand(1, 1, config.num_bins, config.num_frames)).mask.shape)
        [1, 1, 1, 513, 88]
    """

    def __init__(self, config: RecurrentNetConfig) -> None:
        super().__init__(config)
        side = config.num_bins if config.input_axis == 0 else config.num_frames
        self.recurrent = RecurrentBottleneck(
            config.num_hidden_channels * 2**NUM_LEVELS,
            max(side, SMALLEST_SIDE) // SMALLEST_SIDE,
            axis=config.input_axis,
            hidden_size=config.hidden_size,
            depth=config.recurrent_depth,
            dropout_p=config.dropout_p,
            self_normalizing=self.self_normalizing,
        )
        _use_channels_last(self)

    def bottleneck(self, features: Tensor) -> tuple[Tensor, Tensor | None]:
        """Run the recurrent stack."""
        return self.recurrent(features), None


class SpectrogramNetVAE(SpectrogramNetLSTM):
    """The U-Net with a variational latent before the recurrent stack, self-normalising.

    The latent is sampled in training. In evaluation mode it is the mean, so that the net is deterministic.

    Example:
        >>> config = RecurrentNetConfig(net="SpectrogramNetVAE", num_hidden_channels=2, hidden_size=8)
        >>> net = SpectrogramNetVAE(config).eval()
        >>> magnitudes = torch.rand(1, 1, config.num_bins, config.num_frames)
        >>> torch.equal(net(magnitudes).mask, net(magnitudes).mask)
        True
    """

    self_normalizing = True

    def __init__(self, config: RecurrentNetConfig) -> None:
        super().__init__(config)
        self.variational = VariationalBottleneck(config.num_hidden_channels * 2**NUM_LEVELS)
        self.apply(lecun_init)
        _use_channels_last(self)

    def bottleneck(self, features: Tensor) -> tuple[Tensor, Tensor | None]:
        """Sample the latent, then run the recurrent stack."""
        decoded, mu, log_var = self.variational(features)
        return self.recurrent(decoded), kl_divergence(mu, log_var)


def _use_channels_last(net: nn.Module) -> None:
    # Several times faster on the CPU for the first level, with few channels on a large map.
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def create_net(config: SpectrogramNetConfig) -> MaskNet | FoldedNetSimple:
    """Build the net that ``config.net`` names, in the version given there, with random weights.

    Example:
        >>> type(create_net(SpectrogramNetConfig(num_hidden_channels=2))).__name__
        'SpectrogramNetSimple'
    """
    if config.net_version == 2:
        return create_folded_net(config)
    if isinstance(config, RecurrentNetConfig):
        net = SpectrogramNetVAE if config.net == "SpectrogramNetVAE" else SpectrogramNetLSTM
        return net(config)
    return SpectrogramNetSimple(config)
