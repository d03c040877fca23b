"""From frequency bins to mel bands.

Shape letters: ``F`` frequency bin, ``T`` frame, ``M`` mel band.
"""

import math

import torch
from torch import Tensor, nn

__all__ = ["MelScale", "mel_filters", "mel_scale"]


def mel_filters(num_bins: int, num_mels: int, sample_rate: int) -> Tensor:
    """Triangular filters that sum frequency bins to mel bands.

    Slaney's auditory scale (linear below 1 kHz, logarithmic above) without area normalisation.
    Source: M. Slaney, "Auditory Toolbox", 1998; checked against the definition of librosa.

    Args:
        num_bins: Number of frequency bins ``F``.
        num_mels: Number of mel bands ``M``.
        sample_rate: In hertz; the bands span 0 to half of it.

    Returns:
        ``[M, F]``, peaks at 1.

    Example:
        >>> list(mel_filters(513, 64, 44100).shape)
        [64, 513]
    """
    edges = _mel_to_hertz(
        torch.linspace(0.0, _hertz_to_mel(sample_rate / 2), num_mels + 2, dtype=torch.float64)
    )
    bins = torch.linspace(0.0, sample_rate / 2, num_bins, dtype=torch.float64)
    lower, centre, upper = (edges[i : i + num_mels, None] for i in range(3))
    rising = (bins - lower) / (centre - lower)
    falling = (upper - bins) / (upper - centre)
    return torch.minimum(rising, falling).clamp_min(0.0).float()


_MEL_BREAK_HERTZ = 1000.0
_MELS_PER_HERTZ = 3 / 200
_LOG_STEP = math.log(6.4) / 27


def _hertz_to_mel(hertz: float) -> float:
    if hertz < _MEL_BREAK_HERTZ:
        return hertz * _MELS_PER_HERTZ
    return _MEL_BREAK_HERTZ * _MELS_PER_HERTZ + math.log(hertz / _MEL_BREAK_HERTZ) / _LOG_STEP


def _mel_to_hertz(mel: Tensor) -> Tensor:
    knee = _MEL_BREAK_HERTZ * _MELS_PER_HERTZ
    return torch.where(
        mel < knee, mel / _MELS_PER_HERTZ, _MEL_BREAK_HERTZ * torch.exp((mel - knee) * _LOG_STEP)
    )


class MelScale(nn.Module):
    """Magnitude (or power) spectrograms summed to mel bands.

    Args:
        num_bins: Number of frequency bins ``F``.
        num_mels: Number of mel bands ``M``. Defaults to 128.
        sample_rate: In hertz. Defaults to 44100.

    Shape:
        - Input: ``[..., F, T]``
        - Output: ``[..., M, T]``

    Example:
        >>> list(MelScale(513, num_mels=64)(torch.rand(2, 513, 7)).shape)
        [2, 64, 7]
    """

    filters: Tensor

    def __init__(self, num_bins: int, num_mels: int = 128, sample_rate: int = 44100) -> None:
        super().__init__()
        self.register_buffer("filters", mel_filters(num_bins, num_mels, sample_rate), persistent=False)

    def forward(self, magnitudes: Tensor) -> Tensor:
        """Sum ``[..., F, T]`` to ``[..., M, T]``."""
        return self.filters @ magnitudes


def mel_scale(magnitudes: Tensor, num_mels: int = 128, sample_rate: int = 44100) -> Tensor:
    """Functional twin of `MelScale`, which see: ``[..., F, T]`` to ``[..., M, T]``."""
    return MelScale(magnitudes.shape[-2], num_mels, sample_rate).to(magnitudes.device)(magnitudes)  # type: ignore[no-any-return]
