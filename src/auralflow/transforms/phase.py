"""Phases that are consistent with magnitudes.

Shape letters: ``F`` frequency bin, ``T`` frame, ``N`` sample.
"""

import torch
from torch import Tensor

from auralflow.transforms.spectra import Transform

__all__ = ["griffin_lim"]


def griffin_lim(estimate: Tensor, transform: Transform, num_samples: int, *, iterations: int = 16) -> Tensor:
    """Find phases consistent with the magnitudes of an estimate and with one another (Griffin-Lim).

    Masked spectrograms are rarely the transform of any signal. Each iteration takes the nearest signal,
    transforms it, keeps the phases and restores the wanted magnitudes.
    Source: D. W. Griffin and J. S. Lim, "Signal estimation from modified short-time Fourier transform",
    IEEE TASSP 32(2), 1984.

    Args:
        estimate: Complex ``[..., F, T]``; the search starts from its phases.
        transform: The transform that the estimate belongs to.
        num_samples: Length ``N`` of the signal.
        iterations: Number of rounds; 0 returns ``estimate``.

    Returns:
        Complex ``[..., F, T]`` with the magnitudes of ``estimate``.

    Example:
        >>> from auralflow.transforms import STFT
        >>> transform = STFT(64)
        >>> tone = torch.sin(torch.arange(640.0) / 3)
        >>> true = transform(tone)
        >>> found = griffin_lim(true.abs() * torch.exp(1j * (true.angle() + 0.3)), transform, 640)
        >>> torch.allclose(found.abs(), true.abs(), atol=1e-4)
        True
    """
    wanted = estimate.abs()
    tiny = torch.finfo(wanted.dtype).tiny
    for _ in range(iterations):
        consistent = transform(transform.inverse(estimate, num_samples))
        size = consistent.abs()
        direction = torch.where(size > 0, consistent / size.clamp_min(tiny), 1.0)
        estimate = wanted * direction
    return estimate
