"""The transformer between encoder and decoder of Hybrid Transformer Demucs.

Source: S. Rouard, F. Massa and A. Défossez, "Hybrid Transformers for Music Source Separation", ICASSP 2023.

Shape letters: ``B`` batch, ``C`` feature channel, ``F`` frequency row, ``T`` frame, ``L`` length of a
sequence.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["CrossTransformer", "positions_1d", "positions_2d"]

LONGEST_PERIOD = 10000.0


def positions_1d(length: int, channels: int, device: torch.device | None = None) -> Tensor:
    """Positional embedding ``[length, channels]``: cosines, then sines.

    Example:
        >>> list(positions_1d(5, 8).shape)
        [5, 8]
    """
    half = channels // 2
    steps = torch.arange(half, device=device) / (half - 1)
    angles = torch.arange(length, device=device)[:, None] / LONGEST_PERIOD**steps
    return torch.cat((angles.cos(), angles.sin()), dim=-1)


def positions_2d(num_frames: int, num_rows: int, channels: int, device: torch.device | None = None) -> Tensor:
    """Positional embedding with alternating sines and cosines: frames in the first half, rows in the second.

    Returns:
        The embedding ``[num_frames, num_rows, channels]``.

    Example:
        >>> list(positions_2d(5, 3, 8).shape)
        [5, 3, 8]
    """
    half = channels // 2
    rates = torch.exp(torch.arange(0, half, 2, device=device) * (-math.log(LONGEST_PERIOD) / half))

    def waves(length: int) -> Tensor:
        angles = torch.arange(length, device=device)[:, None] * rates
        return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(-2)

    frames = waves(num_frames)[:, None].expand(-1, num_rows, -1)
    rows = waves(num_rows)[None].expand(num_frames, -1, -1)
    return torch.cat((frames, rows), dim=-1)


class Attention(nn.Module):
    """Attention of one sequence to another or to itself; input and output ``[B, L, C]``."""

    def __init__(self, channels: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.in_proj = nn.Linear(channels, 3 * channels)
        self.out_proj = nn.Linear(channels, channels)

    def forward(self, query: Tensor, other: Tensor | None = None) -> Tensor:
        """Attend to ``other``. Default: to ``query`` itself."""
        if other is None:
            parts = self.in_proj(query).chunk(3, dim=-1)
        else:
            channels = query.shape[-1]
            weight, bias = self.in_proj.weight, self.in_proj.bias
            asked = F.linear(query, weight[:channels], bias[:channels])
            parts = (asked, *F.linear(other, weight[channels:], bias[channels:]).chunk(2, dim=-1))
        asked, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        dropout = self.dropout if self.training else 0.0
        attended = F.scaled_dot_product_attention(asked, key, value, dropout_p=dropout)
        out: Tensor = self.out_proj(attended.transpose(1, 2).flatten(-2))
        return out


class Gain(nn.Module):
    """Scales each feature of ``[B, L, C]``."""

    def __init__(self, channels: int, initial: float = 1e-4) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((channels,), initial))

    def forward(self, features: Tensor) -> Tensor:
        """Scale the features."""
        return self.scale * features


class Layer(nn.Module):
    """Attention and a feed-forward net, with norms before each and one after; input and output ``[B, L, C]``.

    Args:
        channels: Number of features ``C``.
        hidden: Width of the feed-forward net.
        heads: Number of attention heads.
        dropout: Probability of dropout in training.
        crossing: Whether it attends to another sequence.
    """

    def __init__(self, channels: int, hidden: int, heads: int, dropout: float, *, crossing: bool) -> None:
        super().__init__()
        self.attention = Attention(channels, heads, dropout)
        self.norm_query = nn.LayerNorm(channels)
        self.norm_other = nn.LayerNorm(channels) if crossing else None
        self.norm_feed = nn.LayerNorm(channels)
        self.linear1 = nn.Linear(channels, hidden)
        self.linear2 = nn.Linear(hidden, channels)
        self.dropout = nn.Dropout(dropout)
        self.gain1, self.gain2 = Gain(channels), Gain(channels)
        self.norm_out = nn.GroupNorm(1, channels)

    def forward(self, features: Tensor, other: Tensor | None = None) -> Tensor:
        """Transform a sequence, attending to another one if this layer uses cross-attention."""
        if self.norm_other is not None and other is not None:
            other = self.norm_other(other)
        attended = self.dropout(self.attention(self.norm_query(features), other))
        features = features + self.gain1(attended)
        hidden = self.dropout(F.gelu(self.linear1(self.norm_feed(features))))
        features = features + self.gain2(self.dropout(self.linear2(hidden)))
        normed: Tensor = self.norm_out(features.transpose(1, 2))
        return normed.transpose(1, 2)


class CrossTransformer(nn.Module):
    """Alternating self-attention within and cross-attention between spectrogram and waveform.

    Args:
        channels: Number of features ``C`` of both.
        depth: Number of layers; every second one uses cross-attention. Default: 5.
        heads: Number of attention heads. Default: 8.
        hidden_scale: Width of the feed-forward nets, relative to ``channels``. Default: 4.
        dropout: Probability of dropout in training. Default: 0.

    Shape:
        - Input: spectrogram features ``[B, C, F, T]`` and waveform features ``[B, C, L]``
        - Output: the same
    """

    def __init__(
        self,
        channels: int,
        *,
        depth: int = 5,
        heads: int = 8,
        hidden_scale: float = 4.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        hidden = int(channels * hidden_scale)
        self.norm_in = nn.LayerNorm(channels)
        self.norm_in_time = nn.LayerNorm(channels)

        def layers() -> nn.ModuleList:
            return nn.ModuleList(
                Layer(channels, hidden, heads, dropout, crossing=index % 2 == 1) for index in range(depth)
            )

        self.layers, self.layers_time = layers(), layers()

    def forward(self, spectral: Tensor, temporal: Tensor) -> tuple[Tensor, Tensor]:
        """Transform both."""
        _, channels, num_rows, num_frames = spectral.shape
        places = positions_2d(num_frames, num_rows, channels, spectral.device).flatten(0, 1)
        tokens = self.norm_in(spectral.permute(0, 3, 2, 1).flatten(1, 2)) + places
        samples = self.norm_in_time(temporal.transpose(1, 2))
        samples = samples + positions_1d(temporal.shape[-1], channels, temporal.device)
        for index, (layer, layer_time) in enumerate(zip(self.layers, self.layers_time, strict=True)):
            if index % 2 == 0:
                tokens, samples = layer(tokens), layer_time(samples)
            else:
                tokens, samples = layer(tokens, samples), layer_time(samples, tokens)
        spectral = tokens.unflatten(1, (num_frames, num_rows)).permute(0, 3, 2, 1)
        return spectral, samples.transpose(1, 2)
