"""SCNet: unequally compressed bands, a dual-path recurrent core, and complex spectrograms out.

The low bins, where music is densest, keep their resolution; the encoder compresses the middle ones 4 times
and the high ones 16 times. Source: W. Tong et al., "SCNet: Sparse Compression Network for Music Source
Separation", ICASSP 2024.

Shape letters: ``B`` batch, ``C`` feature channel, ``F`` frequency row, ``T`` frame.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from auralflow.nets.scnet.config import SCNetConfig

__all__ = ["SCNet"]


class ConvolutionModule(nn.Module):
    """Residual convolutions over time, separately for each frequency row; input and output ``[B, C, F, T]``.

    Args:
        channels: Number of channels ``C``.
        hidden: Number of inner channels.
        depth: Number of residual blocks.
        kernel: Kernel width of each convolution in frames, odd.
    """

    def __init__(self, channels: int, hidden: int, depth: int, kernel: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.GroupNorm(1, channels),
                nn.Conv1d(channels, 2 * hidden, kernel, padding=kernel // 2),
                nn.GLU(dim=1),
                nn.Conv1d(hidden, hidden, kernel, padding=kernel // 2, groups=hidden),
                nn.GroupNorm(1, hidden),
                nn.SiLU(),
                nn.Conv1d(hidden, channels, 1),
            )
            for _ in range(depth)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Transform every row along time."""
        batch = features.shape[0]
        rows = features.transpose(1, 2).flatten(0, 1)  # [B F, C, T]
        for block in self.blocks:
            rows = rows + block(rows)
        out: Tensor = rows.unflatten(0, (batch, -1)).transpose(1, 2)
        return out


class Bands:
    """Boundaries of the three bands of a stage.

    Args:
        shares: Fraction of the rows in each band, from low to high.

    Example:
        >>> Bands((0.175, 0.392, 0.433)).sizes(2049)
        [359, 803, 887]
    """

    def __init__(self, shares: Sequence[float]) -> None:
        self.shares = tuple(shares)

    def sizes(self, num_rows: int) -> list[int]:
        """Number of rows in each band, of ``num_rows`` in total."""
        low = math.ceil(num_rows * self.shares[0])
        middle = math.ceil(num_rows * (self.shares[0] + self.shares[1]))
        return [low, middle - low, num_rows - middle]


class SparseDown(nn.Module):
    """One stage of the encoder: each band is compressed in frequency by its own stride.

    Args:
        inputs: Number of input channels.
        outputs: Number of output channels.
        bands: Boundaries of the bands.
        strides: Compression of each band.
        kernels: Kernel height of the convolution in each band.
        depths: Number of residual blocks in each band.
        compress: Factor by which these reduce the number of channels inside.
        kernel: Kernel width of their convolutions in frames.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        bands: Bands,
        *,
        strides: Sequence[int],
        kernels: Sequence[int],
        depths: Sequence[int],
        compress: int,
        kernel: int,
    ) -> None:
        super().__init__()
        self.bands = bands
        self.strides = tuple(strides)
        self.kernels = tuple(kernels)
        self.compressions = nn.ModuleList(
            nn.Conv2d(inputs, outputs, (k, 1), (s, 1)) for k, s in zip(kernels, strides, strict=True)
        )
        self.convolutions = nn.ModuleList(
            ConvolutionModule(outputs, outputs // compress, depth, kernel) for depth in depths
        )
        self.mix = nn.Conv2d(outputs, outputs, 3, padding=1)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, list[int], list[int]]:
        """Compress ``[B, C, F, T]``.

        Returns:
            The features, the skip connection, and the number of rows of each band before and after.
        """
        sizes = self.bands.sizes(features.shape[2])
        compressed = []
        for band, stride, kernel, compression, convolution in zip(
            features.split(sizes, dim=2),
            self.strides,
            self.kernels,
            self.compressions,
            self.convolutions,
            strict=True,
        ):
            missing = kernel - stride if stride == 1 else -band.shape[2] % stride
            front = missing // 2
            rows = compression(F.pad(band, (0, 0, front, missing - front)))
            compressed.append(F.gelu(convolution(rows)))
        skip = torch.cat(compressed, dim=2)
        return self.mix(skip), skip, sizes, [band.shape[2] for band in compressed]


class SparseUp(nn.Module):
    """One stage of the decoder: fuses the skip connection and expands each band to its original rows.

    Args:
        inputs: Number of input channels.
        outputs: Number of output channels.
        strides: Expansion of each band.
        kernels: Kernel height of the transposed convolution in each band.
    """

    def __init__(self, inputs: int, outputs: int, *, strides: Sequence[int], kernels: Sequence[int]) -> None:
        super().__init__()
        self.fuse = nn.Conv2d(2 * inputs, 2 * inputs, 3, padding=1)
        self.expansions = nn.ModuleList(
            nn.ConvTranspose2d(inputs, outputs, (k, 1), (s, 1)) for k, s in zip(kernels, strides, strict=True)
        )

    def forward(self, features: Tensor, skip: Tensor, sizes: list[int], compressed: list[int]) -> Tensor:
        """Expand ``[B, C, F, T]`` to bands of ``sizes`` rows."""
        features = F.glu(self.fuse((features + skip).repeat(1, 2, 1, 1)), dim=1)
        bands = []
        for band, size, expansion in zip(
            features.split(compressed, dim=2), sizes, self.expansions, strict=True
        ):
            rows = expansion(band)
            front = (rows.shape[2] - size) // 2
            bands.append(rows[:, :, front : front + size])
        return torch.cat(bands, dim=2)


class DualPath(nn.Module):
    """Recurrence over frequency, then over time, each with a residual; input and output ``[B, C, F, T]``.

    Args:
        channels: Number of channels ``C``.
        hidden: Number of LSTM features per direction.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.GroupNorm(1, channels) for _ in range(2))
        self.lstms = nn.ModuleList(
            nn.LSTM(channels, hidden, batch_first=True, bidirectional=True) for _ in range(2)
        )
        self.linears = nn.ModuleList(nn.Linear(2 * hidden, channels) for _ in range(2))

    def forward(self, features: Tensor) -> Tensor:
        """Apply both recurrences."""
        # The sequence is frequency for axes [B, T, F, C], and time for [B, F, T, C].
        for axes, norm, lstm, linear in zip(
            ((0, 3, 2, 1), (0, 2, 3, 1)), self.norms, self.lstms, self.linears, strict=True
        ):
            rows = norm(features).permute(axes)
            # In 32 bits even under autocast: CPUs without bfloat16 units do not support LSTMs in it.
            with torch.autocast(rows.device.type, enabled=False):
                found, _ = lstm(rows.flatten(0, 1).float())
            back = (0, 3, 2, 1) if axes == (0, 3, 2, 1) else (0, 3, 1, 2)
            features = features + linear(found).unflatten(0, rows.shape[:2]).permute(back)
        return features


class SCNet(nn.Module):
    """The net, which maps the channels of a spectrogram to those of the targets.

    Every second dual-path layer works on the Fourier transform of the features over time.

    Args:
        config: Settings of the model.

    Shape:
        - Input: ``[B, 2C, F, T]`` with an even number of frames
        - Output: ``[B, S, 2C, F, T]``

    Example:
        >>> net = SCNet(SCNetConfig(stage_channels=(8, 16), num_dual_paths=2))
        >>> list(net(torch.randn(1, 4, 129, 6)).shape)
        [1, 4, 4, 129, 6]
    """

    def __init__(self, config: SCNetConfig) -> None:
        super().__init__()
        self.num_targets = len(config.targets)
        bands = Bands(config.band_shares)
        strides, kernels = config.band_strides, config.band_kernels
        widths = (2 * config.num_channels, *config.stage_channels)
        self.encoder = nn.ModuleList(
            SparseDown(
                inputs,
                outputs,
                bands,
                strides=strides,
                kernels=kernels,
                depths=config.conv_depths,
                compress=config.compress,
                kernel=config.conv_kernel,
            )
            for inputs, outputs in pairwise(widths)
        )
        self.core = nn.ModuleList(
            DualPath(widths[-1] * width, widths[-1] * width * config.expand)
            for width in (1 + index % 2 for index in range(config.num_dual_paths))
        )
        outputs = (widths[0] * self.num_targets, *widths[1:-1])
        self.decoder = nn.ModuleList(
            SparseUp(widths[index + 1], outputs[index], strides=strides, kernels=kernels)
            for index in reversed(range(len(widths) - 1))
        )

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Map the mixture's spectrogram to those of the targets."""
        features = spectrogram
        crossing = []
        for down in self.encoder:
            features, *across = down(features)
            crossing.append(across)
        num_frames = features.shape[-1]
        for index, layer in enumerate(self.core):
            features = layer(features)
            if index % 2 == 0:
                waves = torch.fft.rfft(features.float(), norm="ortho")
                features = torch.cat((waves.real, waves.imag), dim=1)
            else:
                waves = torch.complex(*(part.contiguous().float() for part in features.chunk(2, dim=1)))
                features = torch.fft.irfft(waves, n=num_frames, norm="ortho")
        for up in self.decoder:
            features = up(features, *crossing.pop())
        out: Tensor = features.unflatten(1, (self.num_targets, -1))
        return out
