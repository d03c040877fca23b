"""Version 2 of the nets: frequency bands folded into channels, dense layers over frequency.

Shape letters: ``B`` batch, ``S`` source, ``C`` channel, ``F`` frequency bin, ``T`` frame,
``H`` hidden channel.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from auralflow.nets.unet.blocks import (
    BinAffine,
    Mask,
    MaskEstimate,
    RecurrentBottleneck,
    VariationalBottleneck,
    kl_divergence,
    lecun_init,
)
from auralflow.nets.unet.config import RecurrentNetConfig, SpectrogramNetConfig
from auralflow.nets.unet.folded_blocks import DenseOverAll, FoldedBlock, FoldedUp

__all__ = ["FoldedNetLSTM", "FoldedNetSimple", "FoldedNetVAE", "create_folded_net"]

BANDS = 4
"""Number of frequency bands that are folded into channels. Convolutions on the full map have so few channels
that most time is spent on moving data; besides, each band gets its own filters."""
NUM_LEVELS = 4
SMALLEST_SIDE = 2**NUM_LEVELS
MIDDLE = 3
"""Number of hidden features of the deepest dense layers, as a multiple of the first level's channels."""
RECURRENT_FEATURES = 4
"""Number of features of the recurrent stack, as a multiple of the deepest channels, for any chunk length."""


class FoldedNetSimple(nn.Module):
    """A U-Net on folded bands that estimates one soft mask per target from a magnitude spectrogram.

    The spectrum is split into four bands, which are stacked as channels. The first of the four levels thus
    has a quarter of the bins, and twice the channels given in the settings; the number of channels doubles
    with each level down. Every level has dense layers over frequency, and dense layers mix all the deepest
    features of a frame. The output is unfolded again. The number of bins is fixed, the number of frames is
    not. Source: H. Liu et al., "Channel-wise Subband Input for Better Voice and Accompaniment Separation on
    High Resolution Music", Interspeech 2020, for bands as channels.

    Args:
        config: Settings of the model.

    Shape:
        - Input: magnitudes ``[B, C, F, T]``
        - Output: `MaskEstimate` with a mask ``[B, S, C, F, T]``

    Example:
        >>> config = SpectrogramNetConfig(targets=("vocals", "drums"), num_hidden_channels=2)
        >>> estimate = FoldedNetSimple(config)(torch.rand(3, 1, 513, 40))
        >>> list(estimate.mask.shape)
        [3, 2, 1, 513, 40]
    """

    def __init__(self, config: SpectrogramNetConfig) -> None:
        super().__init__()
        self.num_targets = len(config.targets)
        self.num_channels = config.num_channels
        self.num_bins = config.num_bins
        width = [2 * config.num_hidden_channels * 2**level for level in range(NUM_LEVELS + 1)]
        # Leave out the highest bin, which contains next to nothing, so that all bands have the same size.
        self.used_bins = max((config.num_bins - config.num_bins % BANDS) // BANDS, SMALLEST_SIDE) * BANDS
        bins = [self.used_bins // BANDS // 2**level for level in range(NUM_LEVELS + 1)]
        folded = config.num_channels * BANDS

        self.standardize = nn.BatchNorm2d(config.num_channels)
        self.input_affine = BinAffine(config.num_bins) if config.normalize_input else nn.Identity()
        self.down = nn.ModuleList(
            FoldedBlock(inputs, outputs, size)
            for inputs, outputs, size in zip([folded, *width], width[:-1], bins, strict=False)
        )
        self.bottom = FoldedBlock(width[-2], width[-1], 0)
        self.over_all = DenseOverAll(width[-1] * bins[-1], MIDDLE * config.num_hidden_channels)
        self.dropout = nn.Dropout(config.dropout_p)
        self.up = nn.ModuleList(
            FoldedUp(width[level + 1], width[level], bins[level]) for level in reversed(range(NUM_LEVELS))
        )
        # The last layer also gets the input; its channels contain four bands per position.
        self.head = nn.Conv2d(width[0] + folded, self.num_targets * folded, 1)
        self.output_affine = BinAffine(config.num_bins) if config.normalize_output else nn.Identity()
        self.mask = Mask(config.mask_act_fn, config.leak_factor)
        self.deepest = (width[-1], bins[-1])

    def bottleneck(self, features: Tensor) -> tuple[Tensor, Tensor | None]:
        """Transform the deepest features ``[B, H, F', T']``; a VAE adds its KL term."""
        return features, None

    def forward(self, magnitudes: Tensor) -> MaskEstimate:
        """Estimate the masks of all targets."""
        num_bins, num_frames = magnitudes.shape[-2:]
        features = self.input_affine(self.standardize(magnitudes.clamp_min(1e-12).sqrt()))
        missing_frames = max(0, SMALLEST_SIDE - num_frames)
        features = F.pad(
            features[:, :, : self.used_bins], (0, missing_frames, 0, max(0, self.used_bins - num_bins))
        )
        # On the CPU, channels last is fastest, except for the gradients of convolutions.
        layout = torch.contiguous_format if self.training else torch.channels_last
        entrance = self._fold(features).contiguous(memory_format=layout)

        features, skips = entrance, []
        for down in self.down:
            skips.append(down(features))
            features = F.max_pool2d(skips[-1], 2)
        features, penalty = self.bottleneck(self.over_all(self.dropout(self.bottom(features))))
        for up in self.up:
            features = up(features, skips.pop())

        # Equivalent to concatenating both, without the copy.
        width = features.shape[1]
        weight, bias = self.head.weight, self.head.bias
        folded = F.conv2d(features, weight[:, :width], bias) + F.conv2d(entrance, weight[:, width:])
        logits = self._unfold(folded, num_bins)[..., :num_bins, :num_frames]
        return MaskEstimate(self.mask(self.output_affine(logits)), penalty)

    def _fold(self, features: Tensor) -> Tensor:
        """``[B, C, F, T]`` to ``[B, C * 4, F / 4, T]``."""
        batch, channels, bins, frames = features.shape
        return features.reshape(batch, channels * BANDS, bins // BANDS, frames)

    def _unfold(self, features: Tensor, num_bins: int) -> Tensor:
        """``[B, S * C * 4, F / 4, T]`` to ``[B, S, C, F, T]``, contiguous by frame, in a single copy."""
        batch, _, rows, frames = features.shape
        shape = (batch, self.num_targets, self.num_channels, BANDS, rows, frames)
        bands = list(features.reshape(shape).transpose(-1, -2).unbind(3))
        if (lost := num_bins - self.used_bins) > 0:
            # Bins left out get the mask of the highest bin below them.
            bands.append(bands[-1][..., -1:].expand(*bands[-1].shape[:-1], lost))
        return torch.cat(bands, dim=-1).transpose(-1, -2)


class FoldedNetLSTM(FoldedNetSimple):
    """The U-Net on folded bands with a recurrent bottleneck, whose size does not depend on the chunk length.

    With ``input_axis`` 1 the number of frames is fixed.

    Example:
        >>> config = RecurrentNetConfig(num_hidden_channels=2, hidden_size=8, sample_length=1)
        >>> net = FoldedNetLSTM(config)
        >>> list(net(torch.rand(1, 1, config.num_bins, config.num_frames)).mask.shape)
        [1, 1, 1, 513, 88]
    """

    def __init__(self, config: RecurrentNetConfig) -> None:
        super().__init__(config)
        width, num_bins = self.deepest
        num_frames = max(config.num_frames, SMALLEST_SIDE) // SMALLEST_SIDE
        side = num_bins if config.input_axis == 0 else num_frames
        channels = max(1, RECURRENT_FEATURES * width // side)
        self.enter = nn.Conv2d(width, channels, 1)
        self.recurrent = RecurrentBottleneck(
            channels,
            side,
            axis=config.input_axis,
            hidden_size=config.hidden_size,
            depth=config.recurrent_depth,
            dropout_p=config.dropout_p,
            self_normalizing=False,
        )
        self.leave = nn.Conv2d(channels, width, 1)

    def bottleneck(self, features: Tensor) -> tuple[Tensor, Tensor | None]:
        """Run the recurrent stack."""
        return features + self.leave(self.recurrent(self.enter(features))), None


class FoldedNetVAE(FoldedNetLSTM):
    """The U-Net on folded bands with a variational, self-normalising latent before the recurrent stack.

    The latent is sampled in training. In evaluation mode it is the mean, so that the net is deterministic.
    The other parts match those of the smaller nets, so that training can start from their weights.
    """

    def __init__(self, config: RecurrentNetConfig) -> None:
        super().__init__(config)
        self.variational = VariationalBottleneck(self.deepest[0])
        self.variational.apply(lecun_init)

    def bottleneck(self, features: Tensor) -> tuple[Tensor, Tensor | None]:
        """Sample the latent, then run the recurrent stack."""
        decoded, mu, log_var = self.variational(features)
        return super().bottleneck(decoded)[0], kl_divergence(mu, log_var)


def create_folded_net(config: SpectrogramNetConfig) -> FoldedNetSimple:
    """Build the net that ``config.net`` names, with random weights."""
    if isinstance(config, RecurrentNetConfig):
        return (FoldedNetVAE if config.net == "SpectrogramNetVAE" else FoldedNetLSTM)(config)
    return FoldedNetSimple(config)
