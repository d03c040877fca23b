"""The layers of Hybrid Demucs, for both spectrograms and waveforms.

Source: A. Défossez, "Hybrid Spectrogram and Waveform Source Separation", ISMIR 2021 workshop on music
demixing.

Shape letters: ``B`` batch, ``C`` feature channel, ``F`` frequency row, ``T`` frame or sample.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["Decoder", "Encoder", "LayerShape", "ResidualBranch"]

ROWS_AT_ONCE = 64
"""Frequency rows that a residual branch processes at once, so that its features fit into a CPU's cache."""
LSTM_SPAN = 200
"""Number of frames in a span that the LSTM processes; half of them overlap the next span."""


class LayerScale(nn.Module):
    """Scales each channel by a gain that is initially near zero, so that a residual branch starts silent."""

    def __init__(self, channels: int, initial: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((channels,), initial))

    def forward(self, features: Tensor) -> Tensor:
        """Scale ``[B, C, T]``."""
        return self.scale[:, None] * features


class Recurrence(nn.Module):
    """A bidirectional LSTM over spans of the sequence, added to its input ``[B, C, T]``."""

    def __init__(self, channels: int, depth: int = 2) -> None:
        super().__init__()
        self.lstm = nn.LSTM(channels, channels, depth, bidirectional=True)
        self.linear = nn.Linear(2 * channels, channels)

    def forward(self, features: Tensor) -> Tensor:
        """Apply the LSTM."""
        batch, _, length = features.shape
        spans = features
        step = LSTM_SPAN // 2
        count = math.ceil(length / step)
        if length > LSTM_SPAN:
            padded = F.pad(features, (0, (count - 1) * step + LSTM_SPAN - length))
            spans = padded.unfold(-1, LSTM_SPAN, step).transpose(1, 2).flatten(0, 1)  # [B count, C, span]
        found, _ = self.lstm(spans.permute(2, 0, 1))
        found = self.linear(found).permute(1, 2, 0)
        if length > LSTM_SPAN:
            # A span has the least context at its ends, so each one provides the half of the overlap nearer to
            # its centre.
            spans = found.unflatten(0, (batch, count))
            quarter = step // 2
            kept = [spans[:, 0, :, :-quarter]]
            kept += [spans[:, index, :, quarter:-quarter] for index in range(1, count - 1)]
            kept += [spans[:, -1, :, quarter:]]
            found = torch.cat(kept, dim=-1)[..., :length]
        out: Tensor = features + found
        return out


class LocalAttention(nn.Module):
    """Attention that decays with distance, at rates that depend on the query; in and out ``[B, C, T]``."""

    def __init__(self, channels: int, heads: int = 4, num_decays: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.num_decays = num_decays
        self.content = nn.Conv1d(channels, channels, 1)
        self.query = nn.Conv1d(channels, channels, 1)
        self.key = nn.Conv1d(channels, channels, 1)
        self.query_decay = nn.Conv1d(channels, heads * num_decays, 1)
        self.proj = nn.Conv1d(channels, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Attend to all other positions."""
        length = features.shape[-1]

        def split(numbers: Tensor) -> Tensor:
            heads: Tensor = numbers.unflatten(1, (self.heads, -1))
            return heads

        query, key, content = (split(f(features)) for f in (self.query, self.key, self.content))
        scores = torch.einsum("bhct,bhcs->bhts", key, query) / key.shape[2] ** 0.5
        positions = torch.arange(length, device=features.device, dtype=features.dtype)
        distance = (positions[:, None] - positions).abs()
        rates = torch.arange(1, self.num_decays + 1, device=features.device, dtype=features.dtype)
        decays = split(self.query_decay(features)).sigmoid() / 2  # [B, heads, decays, T]
        slopes = (rates[:, None] * decays).sum(2) / self.num_decays**0.5
        scores = scores - distance * slopes.unsqueeze(2)
        itself = torch.eye(length, dtype=torch.bool, device=features.device)
        weights = scores.masked_fill(itself, -100.0).softmax(dim=2)
        attended = torch.einsum("bhts,bhct->bhcs", weights, content).flatten(1, 2)
        out: Tensor = features + self.proj(attended)
        return out


class ResidualBranch(nn.Module):
    """Dilated convolutions over time in a narrow branch, added to their input ``[B, C, T]``.

    Args:
        channels: Number of channels ``C``.
        compress: Factor by which the number of channels is reduced inside. Default: 4.
        depth: Number of branches, each with twice the dilation of the previous one. Default: 2.
        initial: Initial gain of a branch. Default: 1e-4.
        recurrent: Whether a branch has an LSTM. Default: False.
        attentive: Whether a branch has attention. Default: False.
    """

    def __init__(
        self,
        channels: int,
        *,
        compress: float = 4,
        depth: int = 2,
        initial: float = 1e-4,
        recurrent: bool = False,
        attentive: bool = False,
    ) -> None:
        super().__init__()
        hidden = int(channels / compress)
        self.blocks = nn.ModuleList()
        for level in range(depth):
            middle: list[nn.Module] = []
            if recurrent:
                middle.append(Recurrence(hidden))
            if attentive:
                middle.append(LocalAttention(hidden))
            self.blocks.append(
                nn.Sequential(
                    nn.Conv1d(channels, hidden, 3, dilation=2**level, padding=2**level),
                    nn.GroupNorm(1, hidden),
                    nn.GELU(),
                    *middle,
                    nn.Conv1d(hidden, 2 * channels, 1),
                    nn.GroupNorm(1, 2 * channels),
                    nn.GLU(dim=1),
                    LayerScale(channels, initial),
                )
            )

    def forward(self, features: Tensor) -> Tensor:
        """Transform ``[B, C, T]``, or each row of ``[B, C, F, T]`` separately."""
        if features.ndim == 3:
            return self._transformed(features)
        rows = features.transpose(1, 2).flatten(0, 1)
        at_once = ROWS_AT_ONCE if rows.device.type == "cpu" else len(rows)
        done = torch.cat([self._transformed(part) for part in rows.split(at_once)])
        out: Tensor = done.unflatten(0, (features.shape[0], -1)).transpose(1, 2)
        return out

    def _transformed(self, rows: Tensor) -> Tensor:
        for block in self.blocks:
            *layers, gain = block.children()
            assert isinstance(gain, LayerScale)
            branch = rows
            for layer in layers:
                branch = layer(branch)
            # Scale and add in one pass: the features of the outer layers do not fit into any cache.
            rows = torch.addcmul(rows, gain.scale[:, None], branch)
        return rows


@dataclass(frozen=True, kw_only=True)
class LayerShape:
    """Parameters shared by a layer of the encoder and the corresponding layer of the decoder.

    Attributes:
        outer: Number of channels on the outside.
        inner: Number of channels on the inside.
        kernel: Kernel size of the convolution.
        stride: Stride of the convolution.
        padding: Padding at both ends, which the decoder crops.
        over_frequency: Whether it runs over the rows of a spectrogram instead of over time.
        norm_groups: Number of groups of the norms, 0 without norms. Default: 0.
        bare: Whether the layer is only a convolution: the waveform's last layer, which joins the spectrogram.
            Default: False.
    """

    outer: int
    inner: int
    kernel: int
    stride: int
    padding: int
    over_frequency: bool
    norm_groups: int = 0
    bare: bool = False

    def norm(self, channels: int) -> nn.Module:
        """Create a norm of this layer."""
        return nn.GroupNorm(self.norm_groups, channels) if self.norm_groups else nn.Identity()


class Encoder(nn.Module):
    """One encoder layer: a strided convolution, a residual branch, and gated mixing of channels."""

    def __init__(self, shape: LayerShape, branch: nn.Module, *, context: int = 0) -> None:
        super().__init__()
        self.shape = shape
        size = 1 + 2 * context
        if shape.over_frequency:
            kernel, stride, padding = (shape.kernel, 1), (shape.stride, 1), (shape.padding, 0)
            self.conv: nn.Module = nn.Conv2d(shape.outer, shape.inner, kernel, stride, padding)
        else:
            self.conv = nn.Conv1d(shape.outer, shape.inner, shape.kernel, shape.stride, shape.padding)
        if shape.bare:
            return
        self.norm1 = shape.norm(shape.inner)
        self.branch = branch
        mixing = nn.Conv2d if shape.over_frequency else nn.Conv1d
        self.rewrite = mixing(shape.inner, 2 * shape.inner, size, padding=context)
        self.norm2 = shape.norm(2 * shape.inner)

    def forward(self, features: Tensor, joining: Tensor | None = None) -> Tensor:
        """Encode ``[B, C, F, T]`` or ``[B, C, T]``; ``joining`` is added after the convolution."""
        if not self.shape.over_frequency:
            if features.ndim == 4:
                features = features.flatten(1, 2)
            features = F.pad(features, (0, -features.shape[-1] % self.shape.stride))
        out: Tensor = self.conv(features)
        if self.shape.bare:
            return out
        if joining is not None:
            out = out + (joining.unsqueeze(2) if out.ndim == 4 else joining)
        out = self.branch(F.gelu(self.norm1(out)))
        return F.glu(self.norm2(self.rewrite(out)), dim=1)


class Decoder(nn.Module):
    """One decoder layer: mixes in the skip connection and inverts the stride by transposed convolution."""

    def __init__(
        self, shape: LayerShape, outputs: int, branch: nn.Module, *, context: int = 1, last: bool = False
    ) -> None:
        super().__init__()
        self.shape = shape
        self.last = last
        size = 1 + 2 * context
        if shape.over_frequency:
            kernel, stride = (shape.kernel, 1), (shape.stride, 1)
            self.conv_tr: nn.Module = nn.ConvTranspose2d(shape.inner, outputs, kernel, stride)
        else:
            self.conv_tr = nn.ConvTranspose1d(shape.inner, outputs, shape.kernel, shape.stride)
        self.norm2 = shape.norm(outputs)
        if shape.bare:
            return
        mixing = nn.Conv2d if shape.over_frequency else nn.Conv1d
        self.rewrite = mixing(shape.inner, 2 * shape.inner, size, padding=context)
        self.norm1 = shape.norm(2 * shape.inner)
        self.branch = branch

    def forward(self, features: Tensor, skip: Tensor | None, length: int) -> tuple[Tensor, Tensor]:
        """Decode.

        Args:
            features: Features ``[B, C, F, T]`` or ``[B, C, T]``.
            skip: Skip connection from the encoder; None for a bare layer.
            length: Number of samples to return, for a layer over time.

        Returns:
            The features after and before the transposed convolution.
        """
        if self.shape.over_frequency and features.ndim == 3:
            features = features.unsqueeze(2)
        if skip is not None:
            features = self.branch(F.glu(self.norm1(self.rewrite(features + skip)), dim=1))
        out = self.norm2(self.conv_tr(features))
        padding = self.shape.padding
        if not self.shape.over_frequency:
            out = out[..., padding : padding + length]
        elif padding:
            out = out[..., padding:-padding, :]
        return out if self.last else F.gelu(out), features
