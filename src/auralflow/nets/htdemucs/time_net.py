"""Demucs in the time domain only: versions 2 and 3.

Sources: A. Défossez, N. Usunier, L. Bottou and F. Bach, "Music Source Separation in the Waveform Domain",
arXiv 1911.13254; the resampling follows J. O. Smith, "Digital Audio Resampling".

Shape letters: ``B`` batch, ``S`` source, ``C`` channel, ``N`` sample, ``T`` step of a layer.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from auralflow.nets.htdemucs.config import DemucsConfig
from auralflow.nets.htdemucs.layers import ResidualBranch

__all__ = ["TimeDemucs", "valid_length"]

KERNEL, STRIDE = 8, 4
NORM_GROUPS = 4
CROSSINGS = 24
"""Number of zero crossings of the sinc filter on either side."""
ROLLOFF = 0.945
"""Cut-off of the filter, relative to the lower of the two Nyquist frequencies."""
WEIGHT_DEVIATION = 0.1
"""Approximate standard deviation of the initial weights of convolutions."""


def valid_length(num_samples: int, depth: int, *, doubled: bool) -> int:
    """The smallest valid input length of at least ``num_samples``, for which no layer drops samples.

    Args:
        num_samples: Minimum number of samples.
        depth: Number of layers.
        doubled: Whether they run at twice the sample rate.

    Returns:
        The number of samples.

    Example:
        >>> valid_length(1, 2, doubled=False), valid_length(37, 2, doubled=False)
        (36, 52)
    """
    length = 2 * num_samples if doubled else num_samples
    for _ in range(depth):
        length = max(1, math.ceil((length - KERNEL) / STRIDE) + 1)
    for _ in range(depth):
        length = (length - 1) * STRIDE + KERNEL
    return math.ceil(length / 2) if doubled else length


def sinc_filters(old: int, new: int) -> tuple[Tensor, int]:
    """Windowed sinc filters for resampling.

    Args:
        old: The input rate.
        new: The output rate, without a common factor with the input rate.

    Returns:
        A filter for each of ``new`` output samples, ``[new, 1, 2 reach + old]``, and their reach in samples.
    """
    rate = ROLLOFF * min(old, new)
    reach = math.ceil(CROSSINGS * old / rate)
    places = torch.arange(-reach, reach + old) / old
    times = (places - torch.arange(new)[:, None] / new) * rate
    times = times.clamp(-CROSSINGS, CROSSINGS)
    filters = torch.sinc(times) * torch.cos(math.pi * times / CROSSINGS / 2) ** 2
    return (filters / filters.sum(1, keepdim=True)).unsqueeze(1), reach


class Resampling(nn.Module):
    """Changes the sample rate of ``[B, C, N]`` by a simple ratio, repeating the first and last values."""

    filters: Tensor

    def __init__(self, old: int, new: int) -> None:
        super().__init__()
        self.old, self.new = old, new
        filters, self.reach = sinc_filters(old, new)
        self.register_buffer("filters", filters, persistent=False)

    def forward(self, audio: Tensor) -> Tensor:
        """Resample to ``[B, C, floor(N new / old)]``."""
        rows = F.pad(audio.flatten(0, 1).unsqueeze(1), (self.reach, self.reach + self.old), mode="replicate")
        found: Tensor = F.conv1d(rows, self.filters.to(rows), stride=self.old).transpose(1, 2).flatten(1)
        num_samples = audio.shape[-1] * self.new // self.old
        return found[:, :num_samples].reshape(*audio.shape[:2], num_samples)


class Down(nn.Module):
    """One encoder layer: a strided convolution, a residual branch, and gated mixing of channels."""

    def __init__(
        self, outer: int, inner: int, branch: nn.Module, activation: nn.Module, *, normed: bool
    ) -> None:
        super().__init__()
        self.conv = nn.Conv1d(outer, inner, KERNEL, STRIDE)
        self.norm1 = nn.GroupNorm(NORM_GROUPS, inner) if normed else nn.Identity()
        self.activation = activation
        self.branch = branch
        self.rewrite = nn.Conv1d(inner, 2 * inner, 1)
        self.norm2 = nn.GroupNorm(NORM_GROUPS, 2 * inner) if normed else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        """Encode ``[B, C, T]``."""
        found = self.branch(self.activation(self.norm1(self.conv(features))))
        return F.glu(self.norm2(self.rewrite(found)), dim=1)


class Up(nn.Module):
    """One decoder layer: mixes in the skip connection and inverts the stride by transposed convolution."""

    def __init__(
        self, inner: int, outputs: int, branch: nn.Module, after: nn.Module, *, context: int, normed: bool
    ) -> None:
        super().__init__()
        self.rewrite = nn.Conv1d(inner, 2 * inner, 2 * context + 1, padding=context)
        self.norm1 = nn.GroupNorm(NORM_GROUPS, 2 * inner) if normed else nn.Identity()
        self.branch = branch
        self.conv_tr = nn.ConvTranspose1d(inner, outputs, KERNEL, STRIDE)
        self.after = after

    def forward(self, features: Tensor, skip: Tensor) -> Tensor:
        """Decode ``[B, C, T]``."""
        found = self.branch(F.glu(self.norm1(self.rewrite(features + skip)), dim=1))
        out: Tensor = self.after(self.conv_tr(found))
        return out


class DeepRecurrence(nn.Module):
    """A bidirectional LSTM between encoder and decoder; input and output ``[B, C, T]``."""

    def __init__(self, channels: int, depth: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(channels, channels, depth, bidirectional=True)
        self.linear = nn.Linear(2 * channels, channels)

    def forward(self, features: Tensor) -> Tensor:
        """Apply the LSTM."""
        found: Tensor = self.linear(self.lstm(features.permute(2, 0, 1))[0])
        return found.permute(1, 2, 0)


class TimeDemucs(nn.Module):
    """The net, from the samples of a mixture to those of the targets.

    Args:
        config: Settings of the model.

    Shape:
        - Input: ``[B, C, N]``
        - Output: ``[B, S, C, N]``
    """

    def __init__(self, config: DemucsConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder, self.decoder = nn.ModuleList(), nn.ModuleList()
        self.to_double_rate: nn.Module = Resampling(1, 2) if config.doubled else nn.Identity()
        self.to_own_rate: nn.Module = Resampling(2, 1) if config.doubled else nn.Identity()
        activation: type[nn.Module] = nn.GELU if config.activation == "gelu" else nn.ReLU

        def branch(width: int, level: int, *, decoding: bool) -> nn.Module:
            if config.branches == "none" or (decoding and config.branches == "encoder"):
                return nn.Identity()
            return ResidualBranch(
                width,
                compress=config.branch_compress,
                depth=config.branch_depth,
                recurrent=level >= config.recurrent_from,
                attentive=level >= config.attentive_from,
            )

        outer, inner = config.num_channels, config.num_hidden_channels
        for level in range(config.depth):
            normed = level >= config.norm_from
            self.encoder.append(
                Down(outer, inner, branch(inner, level, decoding=False), activation(), normed=normed)
            )
            outputs = outer if level else config.num_channels * len(config.targets)
            norm = nn.GroupNorm(NORM_GROUPS, outputs) if normed and level else nn.Identity()
            after = nn.Sequential(norm, activation()) if level else nn.Identity()
            across = branch(inner, level, decoding=True)
            self.decoder.insert(0, Up(inner, outputs, across, after, context=config.context, normed=normed))
            outer, inner = inner, 2 * inner
        self.recurrence: nn.Module = nn.Identity()
        if config.recurrence_depth:
            self.recurrence = DeepRecurrence(outer, config.recurrence_depth)
        _rescale(self)

    def valid_length(self, num_samples: int) -> int:
        """The smallest valid input length of at least ``num_samples``."""
        return valid_length(num_samples, self.config.depth, doubled=self.config.doubled)

    @property
    def furthest_context(self) -> int:
        """Maximum context on either side, in samples, that extends a chunk of any length to a valid one."""
        between = STRIDE**self.config.depth  # distance between valid lengths
        return int(max(self.valid_length(1), between)) // 2 + 1

    def forward(self, mixture: Tensor) -> Tensor:
        """Map a mixture to its targets."""
        num_samples = mixture.shape[-1]
        features = mixture
        if self.config.levelled:
            mono = mixture.mean(dim=1, keepdim=True)
            mean = mono.mean(-1, keepdim=True)
            deviation = mono.std(-1, keepdim=True, correction=min(1, num_samples - 1))
            features = (mixture - mean) / (1e-5 + deviation)
        missing = self.valid_length(num_samples) - num_samples
        features = self.to_double_rate(F.pad(features, (missing // 2, missing - missing // 2)))
        skips = []
        for down in self.encoder:
            features = down(features)
            skips.append(features)
        features = self.recurrence(features)
        for up in self.decoder:
            features = up(features, skips.pop())
        audio: Tensor = self.to_own_rate(features)
        if self.config.levelled:
            audio = audio * deviation + mean
        audio = audio[..., missing // 2 : missing // 2 + num_samples]
        return audio.reshape(len(audio), len(self.config.targets), -1, num_samples)


@torch.no_grad()
def _rescale(net: nn.Module) -> None:
    """Scale the weights of convolutions towards `WEIGHT_DEVIATION`: deep nets without norms learn faster."""
    for module in net.modules():
        if isinstance(module, nn.Conv1d | nn.ConvTranspose1d) and module.weight.device.type != "meta":
            scale = (module.weight.std() / WEIGHT_DEVIATION).sqrt()
            module.weight /= scale
            if module.bias is not None:
                module.bias /= scale
