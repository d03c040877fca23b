"""Distance between spectra."""

import torch
from torch import Tensor

from auralflow.errors import UsageError
from auralflow.metrics.ratios import as_pair, is_silent

__all__ = ["log_spectral_distance"]

POWER_FLOOR = 1e-10
"""Power below which all levels count as equal, relative to a full-scale sine: -100 dB."""
FRAMES_AT_ONCE = 512


def log_spectral_distance(
    estimate: Tensor, reference: Tensor, *, num_fft: int = 2048, hop_length: int | None = None
) -> Tensor:
    """Log-spectral distance: in each frame, the RMS over frequency of the difference of levels.

    ``LSD = mean_t sqrt(mean_f (10 log10(|S|^2 / |E|^2))^2)`` over whole Hann frames, both powers raised
    to -100 dB relative to a sine at full scale first: the distance of two signals below that is 0.

    Args:
        estimate: Estimated samples ``(..., time)``, full scale at 1.
        reference: True samples, same shape.
        num_fft: Length of a frame in samples; audio shorter than that is padded with zeros on both sides.
        hop_length: Samples between frames. Default: a quarter of a frame.

    Returns:
        Decibels ``(...)``, float64, 0 or more, lower is better; NaN where the reference is silent.

    Raises:
        UsageError: If the shapes differ or the lengths are not positive.

    Source:
        Gray and Markel, "Distance measures for speech processing", IEEE Trans. ASSP 24(5), 1976.

    Example:
        >>> noise = torch.randn(4000, generator=torch.Generator().manual_seed(0))
        >>> round(log_spectral_distance(0.1 * noise, noise, num_fft=256).item(), 6)
        20.0
    """
    estimate, reference = as_pair(estimate, reference)
    hop = max(1, num_fft // 4) if hop_length is None else hop_length
    if num_fft < 2 or hop < 1:
        raise UsageError(
            "cannot cut audio into frames",
            found=f"num_fft {num_fft}, hop_length {hop}",
            expected="2, 1 or more",
        )
    silent = is_silent(reference)
    missing = max(0, num_fft - reference.shape[-1])
    window = torch.hann_window(num_fft, dtype=torch.float64, device=reference.device)
    # Views: only the frames that are being transformed are copied.
    views = [
        torch.nn.functional.pad(audio, (missing // 2, missing - missing // 2)).unfold(-1, num_fft, hop)
        for audio in (estimate, reference)
    ]
    total = torch.zeros_like(silent, dtype=torch.float64)
    count = views[0].shape[-2]
    for first in range(0, count, FRAMES_AT_ONCE):
        levels = [_level(view[..., first : first + FRAMES_AT_ONCE, :], window) for view in views]
        total += (levels[0] - levels[1]).square().mean(dim=-1).sqrt().sum(dim=-1)
    return (total / count).masked_fill(silent, torch.nan)


def _level(frames: Tensor, window: Tensor) -> Tensor:
    power = (torch.fft.rfft(frames * window).abs() * (2 / window.sum())).square()
    return 10 * torch.log10(power.clamp_min(POWER_FLOOR))
