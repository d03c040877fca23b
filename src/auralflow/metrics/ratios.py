"""Ratios of energies in decibels: SI-SDR, SI-SNR, SNR, SD-SDR and SDR."""

from types import ModuleType

import torch
from torch import Tensor

from auralflow.errors import UsageError

__all__ = [
    "SDR_DELTA",
    "as_pair",
    "check_shapes",
    "is_silent",
    "pool_channels",
    "sd_sdr",
    "sdr",
    "si_sdr",
    "si_snr",
    "snr",
]

SDR_DELTA = 1e-7
"""Added to both energies of ``sdr``, as the Music Demixing Challenge does."""


def _torchmetrics() -> ModuleType:
    # Takes seconds to load, and not everyone who imports this module scores anything.
    from torchmetrics.functional import audio

    return audio


def check_shapes(estimate: Tensor, reference: Tensor, *, letters: str = "time") -> None:
    """Raise if two tensors cannot be compared.

    Args:
        estimate: The estimated signal.
        reference: The true signal.
        letters: Names of the last dimensions that both must have, separated by commas.

    Raises:
        UsageError: If the shapes differ, have too few dimensions or no sample; the message names both.

    Example:
        >>> check_shapes(torch.zeros(2, 8), torch.zeros(2, 8), letters="C, N")
    """
    enough = reference.ndim >= len(letters.split(",")) and reference.shape[-1] > 0
    if estimate.shape != reference.shape or not enough:
        raise UsageError(
            "cannot compare an estimate with its reference",
            found=f"shapes {tuple(estimate.shape)} and {tuple(reference.shape)}",
            expected=f"one shape (..., {letters}) for both, not empty",
            advice="Cut or pad them to one length and channel count first.",
        )


def pool_channels(audio: Tensor) -> Tensor:
    """Join the channels of each signal end to end, so that a metric sees one signal.

    Args:
        audio: Samples ``(..., C, N)``.

    Returns:
        The same samples as ``(..., C * N)``.

    Raises:
        UsageError: If there is no channel dimension.

    Example:
        >>> pool_channels(torch.zeros(4, 2, 100)).shape
        torch.Size([4, 200])
    """
    if audio.ndim < 2:
        raise UsageError(
            "cannot pool channels", found=f"shape {tuple(audio.shape)}", expected="shape (..., C, N)"
        )
    return audio.flatten(-2)


def as_pair(estimate: Tensor, reference: Tensor, letters: str = "time") -> tuple[Tensor, Tensor]:
    """Both tensors in float64, after `check_shapes`."""
    check_shapes(estimate, reference, letters=letters)
    return estimate.to(torch.float64), reference.to(torch.float64)


def _peak(audio: Tensor) -> Tensor:
    """Peak magnitude over time, one where all is silent: safe to divide by."""
    peak = audio.abs().amax(dim=-1, keepdim=True)
    return peak.masked_fill(peak == 0, 1.0)


def is_silent(audio: Tensor) -> Tensor:
    """Whether every sample over the last dimension is zero."""
    return (audio == 0).all(dim=-1)


def _constant(audio: Tensor) -> Tensor:
    # Sample by sample: subtracting a rounded mean would leave a residue that looks like a signal.
    return (audio == audio[..., :1]).all(dim=-1)


def si_sdr(estimate: Tensor, reference: Tensor) -> Tensor:
    """Scale-invariant signal-to-distortion ratio: the error left after the best gain on the reference.

    Args:
        estimate: Estimated samples ``(..., time)``.
        reference: True samples, same shape.

    Returns:
        Decibels ``(...)``, float64; NaN where either signal is silent. A perfect estimate scores
        above 140 dB.

    Raises:
        UsageError: If the shapes differ.

    Source:
        Le Roux et al., "SDR - Half-baked or Well Done?", ICASSP 2019; computed by torchmetrics.

    Example:
        >>> reference = torch.tensor([1.0, -1.0, 1.0, -1.0])
        >>> round(si_sdr(reference + torch.tensor([0.1, 0.1, 0.1, 0.1]), 3 * reference).item(), 3)
        20.0
    """
    estimate, reference = as_pair(estimate, reference)
    # The library's epsilon is absolute: at unit peak it has the same weight for quiet and loud audio.
    score: Tensor = _torchmetrics().scale_invariant_signal_distortion_ratio(
        estimate / _peak(estimate), reference / _peak(reference)
    )
    return score.masked_fill(is_silent(estimate) | is_silent(reference), torch.nan)


def si_snr(estimate: Tensor, reference: Tensor) -> Tensor:
    """Scale-invariant signal-to-noise ratio: ``si_sdr`` of both signals minus their means over time.

    Args:
        estimate: Estimated samples ``(..., time)``.
        reference: True samples, same shape.

    Returns:
        Decibels ``(...)``, float64; NaN where either signal is silent or constant.

    Raises:
        UsageError: If the shapes differ.

    Source:
        Luo and Mesgarani, "TasNet", ICASSP 2018; computed by torchmetrics.

    Example:
        >>> round(si_snr(torch.tensor([2.5, 0.0, 2.0, 8.0]), torch.tensor([3.0, -0.5, 2.0, 7.0])).item(), 3)
        15.092
    """
    estimate, reference = as_pair(estimate, reference)
    without = _constant(estimate) | _constant(reference)
    # Scaled after the mean is subtracted: an offset must not make the signal on top of it look small.
    estimate, reference = (audio - audio.mean(dim=-1, keepdim=True) for audio in (estimate, reference))
    score: Tensor = _torchmetrics().scale_invariant_signal_noise_ratio(
        estimate / _peak(estimate), reference / _peak(reference)
    )
    return score.masked_fill(without, torch.nan)


def snr(estimate: Tensor, reference: Tensor) -> Tensor:
    """Signal-to-noise ratio ``10 log10(|s|^2 / |s - e|^2)``: every difference is noise, even a wrong level.

    Args:
        estimate: Estimated samples ``(..., time)``.
        reference: True samples, same shape.

    Returns:
        Decibels ``(...)``, float64; NaN where the reference is silent, 0 where only the estimate is.

    Raises:
        UsageError: If the shapes differ.

    Source:
        Computed by torchmetrics.

    Example:
        >>> round(snr(torch.tensor([0.9, -0.9]), torch.tensor([1.0, -1.0])).item(), 4)
        20.0
    """
    estimate, reference = as_pair(estimate, reference)
    level = _peak(reference)
    score: Tensor = _torchmetrics().signal_noise_ratio(estimate / level, reference / level)
    return score.masked_fill(is_silent(reference), torch.nan)


def sd_sdr(estimate: Tensor, reference: Tensor) -> Tensor:
    """Scale-dependent SDR: the signal part of ``si_sdr`` over *every* difference, even a wrong level.

    With ``a`` the best gain on the reference, ``10 log10(|a s|^2 / |s - e|^2)``. It penalises too low a level
    more than ``snr`` does.

    Args:
        estimate: Estimated samples ``(..., time)``.
        reference: True samples, same shape.

    Returns:
        Decibels ``(...)``, float64; NaN where either signal is silent, minus infinity where they have
        nothing in common.

    Raises:
        UsageError: If the shapes differ.

    Source:
        Le Roux et al., "SDR - Half-baked or Well Done?", ICASSP 2019, equation 6.

    Example:
        >>> round(sd_sdr(torch.tensor([0.9, -0.9]), torch.tensor([1.0, -1.0])).item(), 3)
        19.085
    """
    estimate, reference = as_pair(estimate, reference)
    without = is_silent(estimate) | is_silent(reference)
    level = _peak(reference)
    estimate, reference = estimate / level, reference / level
    energy = reference.square().sum(dim=-1)
    gain = (estimate * reference).sum(dim=-1) / energy
    # The error is at least that of float64, so that a perfect estimate has a finite score, as in the others.
    floor = torch.finfo(torch.float64).eps * energy
    distortion = (reference - estimate).square().sum(dim=-1).clamp_min(floor)
    score = 10 * torch.log10(gain.square() * energy / distortion)
    return score.masked_fill(without, torch.nan)


def sdr(estimate: Tensor, reference: Tensor) -> Tensor:
    """Signal-to-distortion ratio of the Music Demixing Challenge, also called uSDR or new SDR.

    Both energies are pooled over channels and time, and 1e-7 is added to each before taking their ratio.

    Args:
        estimate: Estimated samples ``(..., C, N)``, full scale at 1.
        reference: True samples, same shape.

    Returns:
        Decibels ``(...)``, float64; NaN where the reference is silent in every channel. (The challenge's
        formula gives a number there that only reflects the added constant.)

    Raises:
        UsageError: If the shapes differ or have no channel dimension.

    Source:
        Mitsufuji et al., "Music Demixing Challenge 2021", Frontiers in Signal Processing 1, 2022.

    Example:
        >>> reference = torch.ones(2, 1000)
        >>> round(sdr(0.9 * reference, reference).item(), 4)
        20.0
    """
    estimate, reference = as_pair(estimate, reference, "C, N")
    signal = reference.square().sum(dim=(-2, -1))
    distortion = (reference - estimate).square().sum(dim=(-2, -1))
    score = 10 * torch.log10((signal + SDR_DELTA) / (distortion + SDR_DELTA))
    return score.masked_fill(is_silent(pool_channels(reference)), torch.nan)
