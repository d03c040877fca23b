"""BS-RoFormer and Mel-Band RoFormer: alternating transformers over time and over bands.

Sources: W.-T. Lu et al., "Music Source Separation with Band-Split RoPE Transformer", ICASSP 2024; J.-C. Wang
et al., "Mel-Band RoFormer for Music Source Separation", arXiv 2310.01809, 2023; rotary positions: J. Su
et al., "RoFormer", arXiv 2104.09864, 2021.

Shape letters: ``B`` batch, ``S`` source, ``K`` band, ``T`` frame, ``D`` feature, ``L`` length of a sequence.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from auralflow.nets.roformer.bands import adjacent_bands, mel_bands
from auralflow.nets.roformer.config import BSRoformerConfig, MelBandRoformerConfig

__all__ = ["BandTransformer"]

ROTARY_BASE = 10000.0
VECTORS_AT_ONCE = 2048
"""Vectors that a transformer processes at once on a CPU, so that intermediate results fit into the cache."""


class RMSNorm(nn.Module):
    """Scale vectors ``[..., D]`` to the length ``sqrt(D)``, then each feature by its own gain."""

    gain: nn.Parameter | None

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.scale = dim**0.5
        self.gain = nn.Parameter(torch.ones(dim))

    def forward(self, features: Tensor) -> Tensor:
        """Normalise the last axis."""
        normed: Tensor = F.normalize(features, dim=-1)
        return normed if self.gain is None else normed * (self.gain * self.scale)

    def fold_into(self, *layers: nn.Linear) -> None:
        """Fold the gains into the layers that use the output, and remove them here."""
        if self.gain is not None:
            for layer in layers:
                layer.weight.data *= self.gain * self.scale
            self.gain = None


class Rotary(nn.Module):
    """Rotates pairs of neighbouring features by angles that grow with the position in the sequence."""

    frequencies: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        frequencies = ROTARY_BASE ** (-torch.arange(0, dim, 2) / dim)
        self.register_buffer("frequencies", frequencies)

    def turns(self, length: int) -> Tensor:
        """The rotations of the pairs as complex numbers ``[length, D / 2]`` of magnitude 1."""
        positions = torch.arange(length, device=self.frequencies.device, dtype=torch.float32)
        angles = positions[:, None] * self.frequencies.float()
        return torch.polar(torch.ones_like(angles), angles)


def _turned(features: Tensor, turns: Tensor) -> Tensor:
    # With each pair as a complex number, a single product replaces six operations and a copy.
    pairs = torch.view_as_complex(features.float().unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * turns).flatten(-2).to(features.dtype)


class Attention(nn.Module):
    """Self-attention with rotary positions and a gate per head; input and output ``[B, L, D]``."""

    def __init__(self, dim: int, heads: int, dim_head: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        inner = heads * dim_head
        self.norm = RMSNorm(dim)
        self.qkv = nn.Linear(dim, 3 * inner, bias=False)
        self.gates = nn.Linear(dim, heads)
        self.out = nn.Linear(inner, dim, bias=False)

    def forward(self, features: Tensor, turns: Tensor) -> Tensor:
        """Attend to all positions."""
        features = self.norm(features)
        parts = self.qkv(features).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        (query, key), value = _turned(parts[:2], turns), parts[2]
        dropout = self.dropout if self.training else 0.0
        attended = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
        gates = self.gates(features).sigmoid().transpose(1, 2).unsqueeze(-1)
        out: Tensor = self.out((attended * gates).transpose(1, 2).flatten(-2))
        return out


class FeedForward(nn.Sequential):
    """A norm, a dense layer to four times the width, and one back."""

    def __init__(self, dim: int, dropout: float) -> None:
        super().__init__(
            RMSNorm(dim),
            nn.Linear(dim, 4 * dim),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(4 * dim, dim),
            nn.Dropout(dropout),
        )


class Transformer(nn.Module):
    """Layers of attention and feed-forward, each added to its input."""

    def __init__(
        self, dim: int, depth: int, *, heads: int, dim_head: int, dropout: float, normalized: bool
    ) -> None:
        super().__init__()
        self.attention = nn.ModuleList(Attention(dim, heads, dim_head, dropout) for _ in range(depth))
        self.feed_forward = nn.ModuleList(FeedForward(dim, dropout) for _ in range(depth))
        self.norm = RMSNorm(dim) if normalized else nn.Identity()

    def forward(self, features: Tensor, turns: Tensor) -> Tensor:
        """Transform sequences ``[B, L, D]``."""
        if self.training or features.device.type != "cpu":
            return self._transformed(features, turns)
        at_once = max(1, VECTORS_AT_ONCE // features.shape[1])
        return torch.cat([self._transformed(part, turns) for part in features.split(at_once)])

    def _transformed(self, features: Tensor, turns: Tensor) -> Tensor:
        for attention, feed_forward in zip(self.attention, self.feed_forward, strict=True):
            features = attention(features, turns) + features
            features = feed_forward(features) + features
        normed: Tensor = self.norm(features)
        return normed


class BandEncoder(nn.Module):
    """Maps the values of each band to features of equal width."""

    def __init__(self, widths: Sequence[int], dim: int) -> None:
        super().__init__()
        self.widths = list(widths)
        self.norms = nn.ModuleList(RMSNorm(width) for width in widths)
        self.linears = nn.ModuleList(nn.Linear(width, dim) for width in widths)

    def forward(self, numbers: Tensor) -> Tensor:
        """Map ``[B, T, sum of widths]`` to ``[B, T, K, D]``."""
        bands = numbers.split(self.widths, dim=-1)
        mapped = [
            linear(norm(band)) for band, norm, linear in zip(bands, self.norms, self.linears, strict=True)
        ]
        return torch.stack(mapped, dim=-2)


class BandDecoder(nn.Module):
    """Maps the features of each band to the values of its mask, for one target."""

    def __init__(self, widths: Sequence[int], dim: int, hidden: int, depth: int) -> None:
        super().__init__()
        self.bands = nn.ModuleList(_mask_layers(dim, hidden, depth, width) for width in widths)

    def forward(self, features: Tensor) -> Tensor:
        """Map ``[B, T, K, D]`` to ``[B, T, sum of widths]``."""
        # Contiguous per band, as the matrix products need them.
        vectors = features.movedim(-2, 0).contiguous()
        numbers = [band(vector) for band, vector in zip(self.bands, vectors, strict=True)]
        return torch.cat(numbers, dim=-1)


def _mask_layers(dim: int, hidden: int, depth: int, width: int) -> nn.Sequential:
    sizes = (dim, *[hidden] * depth)
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.Tanh()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], 2 * width), nn.GLU(dim=-1))


class BandTransformer(nn.Module):
    """Estimates complex masks from a complex spectrogram, through features of bands.

    Args:
        config: Settings of the model.

    Shape:
        - Input: complex ``[B, C, F, T]``
        - Output: complex masks ``[B, S, C, F, T]``

    Raises:
        SettingsError: If there are too many mel bands for the bins of the transform.

    Example:
        >>> net = BandTransformer(MelBandRoformerConfig(dim=16, depth=1, heads=2, dim_head=8, mask_hidden=16))
        >>> list(net(torch.randn(3, 2, 1025, 5, dtype=torch.complex64)).shape)
        [3, 1, 2, 1025, 5]
    """

    rows: Tensor
    shares: Tensor

    def __init__(self, config: BSRoformerConfig | MelBandRoformerConfig) -> None:
        super().__init__()
        self.num_channels = config.num_channels
        self.num_bins = config.num_bins
        self.summed_blocks = config.summed_blocks
        if isinstance(config, MelBandRoformerConfig):
            bands = mel_bands(config.num_bands, config.num_bins, config.sample_rate)
        else:
            bands = adjacent_bands(config.band_sizes)
        rows = [row for band in bands for row in band]
        counts = Counter(rows)
        shares = torch.tensor([1 / counts[row] for row in range(self.num_bins)])
        self.register_buffer("rows", torch.tensor(rows), persistent=False)
        self.register_buffer("shares", shares, persistent=False)
        self.overlapping = len(rows) > self.num_bins
        widths = [2 * config.num_channels * len(band) for band in bands]

        self.time_rotary, self.freq_rotary = Rotary(config.dim_head), Rotary(config.dim_head)
        self.band_encoder = BandEncoder(widths, config.dim)
        # In Mel-Band RoFormer each transformer ends with a norm, in BS-RoFormer only the last one.
        normed_blocks = isinstance(config, MelBandRoformerConfig)
        self.norm = nn.Identity() if normed_blocks else RMSNorm(config.dim)

        def transformer(depth: int) -> Transformer:
            return Transformer(
                config.dim,
                depth,
                heads=config.heads,
                dim_head=config.dim_head,
                dropout=config.dropout_p,
                normalized=normed_blocks,
            )

        self.over_time = nn.ModuleList(transformer(config.time_depth) for _ in range(config.depth))
        self.over_bands = nn.ModuleList(transformer(config.freq_depth) for _ in range(config.depth))
        self.decoders = nn.ModuleList(
            BandDecoder(widths, config.dim, config.mask_hidden, config.mask_depth) for _ in config.targets
        )

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Estimate the complex masks of all targets."""
        batch, _, _, num_frames = spectrogram.shape
        # Values of a frame by bin, channel, real and imaginary part; bins are ordered by band.
        numbers = torch.view_as_real(spectrogram).permute(0, 3, 2, 1, 4)  # [B, T, F, C, 2]
        if self.overlapping:
            numbers = numbers[:, :, self.rows]
        features = self.band_encoder(numbers.flatten(2))  # [B, T, K, D]

        time_turns = self.time_rotary.turns(num_frames)
        band_turns = self.freq_rotary.turns(features.shape[2])
        outputs: list[Tensor] = []
        for over_time, over_bands in zip(self.over_time, self.over_bands, strict=True):
            if self.summed_blocks and outputs:
                features = features + torch.stack(outputs).sum(0)
            sequences = features.transpose(1, 2).flatten(0, 1)  # [B K, T, D]
            sequences = over_time(sequences, time_turns)
            features = sequences.unflatten(0, (batch, -1)).transpose(1, 2)
            sequences = over_bands(features.flatten(0, 1), band_turns)  # [B T, K, D]
            features = sequences.unflatten(0, (batch, -1))
            if self.summed_blocks:
                outputs.append(features)
        features = self.norm(features)
        return torch.stack([self._mask(decoder(features)) for decoder in self.decoders], dim=1)

    def fold_norms(self) -> None:
        """Fold the gains of all norms into the layers after them: faster, but not trainable."""
        for module in self.modules():
            if isinstance(module, Attention):
                module.norm.fold_into(module.qkv, module.gates)
            elif isinstance(module, FeedForward):
                norm, layer = module[0], module[1]
                assert isinstance(norm, RMSNorm)
                assert isinstance(layer, nn.Linear)
                norm.fold_into(layer)

    def _mask(self, numbers: Tensor) -> Tensor:
        """Turn values ``[B, T, sum of widths]`` into a complex mask ``[B, C, F, T]``."""
        parts = numbers.float().unflatten(-1, (-1, self.num_channels, 2))
        mask = torch.view_as_complex(parts.contiguous()).permute(0, 3, 2, 1)  # [B, C, rows, T]
        if not self.overlapping:
            return mask
        # A bin in several bands gets the mean of their masks.
        summed = mask.new_zeros(*mask.shape[:2], self.num_bins, mask.shape[-1])
        return summed.index_add(2, self.rows, mask) * self.shares[:, None]
