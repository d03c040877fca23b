"""Multichannel Wiener filtering: estimates refined by where in space the sources are.

Shape letters: ``B`` batch, ``S`` source, ``C`` channel, ``F`` frequency bin, ``T`` frame.
"""

from typing import Literal

import torch
from torch import Tensor

__all__ = ["Residual", "wiener_filter"]

Residual = Literal["magnitude", "complex"]


def wiener_filter(
    magnitudes: Tensor,
    mixture: Tensor,
    *,
    iterations: int = 1,
    residual: Residual | None = "magnitude",
    excerpt: int | None = None,
    epsilon: float | None = None,
) -> Tensor:
    """Separate a mixture by the local Gaussian model, fitted by expectation-maximisation.

    The first estimate gives every source its magnitudes with the mixture's phase. Each iteration takes from
    the estimates the power of every source in each bin and frame and its covariance between the channels in
    each bin, and filters the mixture with the gains that are optimal for them.
    Sources: N. Q. K. Duong, E. Vincent and R. Gribonval, "Under-determined reverberant audio source
    separation using a full-rank spatial covariance model", IEEE TASLP 18(7), 2010; the order of steps and the
    regularisation are those of norbert (A. Liutkus and F.-R. Stoeter, 2019), and those of Open-Unmix with
    ``excerpt=300, epsilon=1e-10`` and no residual or that of complex numbers.

    Args:
        magnitudes: Magnitudes of the targets ``[B, S, C, F, T]``, not negative.
        mixture: Complex spectrogram of the mixture ``[B, C, F, T]``.
        iterations: Rounds of expectation-maximisation; 0 returns the first estimate.
        residual: Add a source for what the targets leave of the mixture: of its ``magnitude``, or of its
            ``complex`` spectrogram. None: the targets share the whole mixture.
        excerpt: Number of frames that are filtered together, since sources may move. Default: all.
        epsilon: Regularisation, small against the square of the mixture's largest magnitude. Default: the
            rounding error of its precision.

    Returns:
        Complex spectrograms of the targets ``[B, S, C, F, T]``. Differentiable.

    Example:
        >>> mixture = torch.randn(1, 2, 5, 7, dtype=torch.complex64)
        >>> quiet, loud = (share * mixture.abs() for share in (0.1, 0.9))
        >>> estimates = wiener_filter(torch.stack((quiet, loud), dim=1), mixture)
        >>> (estimates[:, 0].abs() < estimates[:, 1].abs()).all().item()
        True
    """
    if epsilon is None:
        epsilon = torch.finfo(mixture.real.dtype).eps
    size = excerpt or mixture.shape[-1]
    excerpts = zip(torch.split(magnitudes, size, dim=-1), torch.split(mixture, size, dim=-1), strict=True)
    filtered = [_filter(estimates, whole, iterations, residual, epsilon) for estimates, whole in excerpts]
    return torch.cat(filtered, dim=-1)


def _filter(
    magnitudes: Tensor, mixture: Tensor, iterations: int, residual: Residual | None, epsilon: float
) -> Tensor:
    """Filter one excerpt."""
    num_targets = magnitudes.shape[1]
    size = mixture.abs()
    if residual == "magnitude":
        rest = (size - magnitudes.sum(dim=1)).clamp_min(0.0)
        magnitudes = torch.cat((magnitudes, rest.unsqueeze(1)), dim=1)
    tiny = torch.finfo(size.dtype).tiny
    direction = torch.where(size > 0, mixture / size.clamp_min(tiny), 1.0)
    estimates = magnitudes * direction.unsqueeze(1)
    if residual == "complex":
        estimates = torch.cat((estimates, (mixture - estimates.sum(dim=1)).unsqueeze(1)), dim=1)
    if iterations:
        # Scaled to about one, where the regularisation below is small against the music.
        scale = (size.detach().amax(dim=(1, 2, 3), keepdim=True) / 10).clamp_min(1.0)
        scaled, estimates = mixture / scale, estimates / scale.unsqueeze(1)
        for _ in range(iterations):
            estimates = _maximise(estimates, scaled, epsilon)
        estimates = estimates * scale.unsqueeze(1)
    return estimates[:, :num_targets]


def _maximise(estimates: Tensor, mixture: Tensor, epsilon: float) -> Tensor:
    """One round: model from the estimates, estimates from the model."""
    power = estimates.abs().square().mean(dim=2)  # [B, S, F, T]
    # [B, S, F, C, C], the average over frames of what the estimates' channels have in common
    covariance = torch.einsum("bscft,bsdft->bsfcd", estimates, estimates.conj())
    covariance = covariance / (epsilon + power.sum(dim=-1))[..., None, None]
    total = torch.einsum("bsft,bsfcd->bftcd", power.to(covariance.dtype), covariance)
    identity = torch.eye(mixture.shape[1], dtype=total.dtype, device=total.device)
    total = total + epsilon**0.5 * identity
    # The mixture as it looks where its own covariance is taken out: [B, F, T, C]
    whitened = _solve(total, mixture.movedim(1, -1))
    spread = torch.einsum("bsfcd,bftd->bscft", covariance, whitened)
    return power.unsqueeze(2) * spread


def _solve(matrix: Tensor, vector: Tensor) -> Tensor:
    """``matrix^-1 vector`` for ``[..., C, C]`` and ``[..., C]``."""
    if matrix.shape[-1] == 1:
        return vector / matrix[..., 0]
    if matrix.shape[-1] == 2:
        # Written out: factorising a matrix for each of a hundred thousand bins would take as long as a net.
        a, b, c, d = matrix.flatten(-2).unbind(-1)
        left, right = vector[..., 0], vector[..., 1]
        determinant = a * d - b * c
        return torch.stack(((d * left - b * right), (a * right - c * left)), dim=-1) / determinant[..., None]
    solved: Tensor = torch.linalg.solve(matrix, vector.unsqueeze(-1))
    return solved.squeeze(-1)
