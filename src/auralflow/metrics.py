"""How near an estimate is to its reference, in decibels.

Every metric is a pure function of two tensors of one shape, the estimate first. It works over the last
dimension (time), keeps all others, runs on the device of its inputs, computes in float64 and returns float64.

*Silence.* A ratio to nothing has no value: where the reference is silent the score is NaN, without exception
or warning. The scale-invariant metrics are NaN for a silent estimate too, because it has no scale to fit.
Average with ``torch.nanmean`` and say how many scores were left out.

*Channels.* A metric over ``(..., time)`` scores each channel on its own. To score a stereo pair as one
signal, with one scale, give it ``pool_channels(audio)``. ``sdr`` and ``framewise_sdr`` pool by themselves.

Example:
    >>> reference = torch.tensor([[3.0, -0.5, 2.0, 7.0]])
    >>> estimate = torch.tensor([[2.5, 0.0, 2.0, 8.0]])
    >>> round(si_sdr(pool_channels(estimate), pool_channels(reference)).item(), 3)
    18.403
"""

from types import ModuleType

import torch
from torch import Tensor

from auralflow.errors import UsageError

__all__ = ["check_shapes", "framewise_sdr", "pool_channels", "sdr", "si_sdr", "si_snr", "snr"]

SDR_DELTA = 1e-7
"""Added to both energies of ``sdr``, as the Music Demixing Challenge does."""


def _torchmetrics() -> ModuleType:
    # The library takes seconds to load, and whoever imports this module may never score anything.
    from torchmetrics.functional import audio

    return audio


def check_shapes(estimate: Tensor, reference: Tensor, *, letters: str = "time") -> None:
    """Refuse two tensors that cannot be compared.

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


def _pair(estimate: Tensor, reference: Tensor, letters: str = "time") -> tuple[Tensor, Tensor]:
    check_shapes(estimate, reference, letters=letters)
    return estimate.to(torch.float64), reference.to(torch.float64)


def _peak(audio: Tensor) -> Tensor:
    """Largest magnitude over time, one where there is none, ready to divide by."""
    peak = audio.abs().amax(dim=-1, keepdim=True)
    return peak.masked_fill(peak == 0, 1.0)


def _silent(audio: Tensor) -> Tensor:
    return (audio == 0).all(dim=-1)


def _constant(audio: Tensor) -> Tensor:
    # Compared sample by sample: subtracting a rounded mean would leave a residue that looks like a signal.
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
    estimate, reference = _pair(estimate, reference)
    # The library's epsilon is absolute: at unit peak it weighs the same for quiet and for loud audio.
    score: Tensor = _torchmetrics().scale_invariant_signal_distortion_ratio(
        estimate / _peak(estimate), reference / _peak(reference)
    )
    return score.masked_fill(_silent(estimate) | _silent(reference), torch.nan)


def si_snr(estimate: Tensor, reference: Tensor) -> Tensor:
    """Scale-invariant signal-to-noise ratio: ``si_sdr`` after the mean over time is taken off both signals.

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
    estimate, reference = _pair(estimate, reference)
    without = _constant(estimate) | _constant(reference)
    # Levels are evened out after the mean has gone: an offset must not make the signal on it look small.
    estimate, reference = (audio - audio.mean(dim=-1, keepdim=True) for audio in (estimate, reference))
    score: Tensor = _torchmetrics().scale_invariant_signal_noise_ratio(
        estimate / _peak(estimate), reference / _peak(reference)
    )
    return score.masked_fill(without, torch.nan)


def snr(estimate: Tensor, reference: Tensor) -> Tensor:
    """Signal-to-noise ratio ``10 log10(|s|^2 / |s - e|^2)``: every difference is noise, a wrong level too.

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
    estimate, reference = _pair(estimate, reference)
    level = _peak(reference)
    score: Tensor = _torchmetrics().signal_noise_ratio(estimate / level, reference / level)
    return score.masked_fill(_silent(reference), torch.nan)


def sdr(estimate: Tensor, reference: Tensor) -> Tensor:
    """Signal-to-distortion ratio of the Music Demixing Challenge, also called uSDR or new SDR.

    Both energies are pooled over channels and time and get 1e-7 added before their ratio is taken.

    Args:
        estimate: Estimated samples ``(..., C, N)``, full scale at 1.
        reference: True samples, same shape.

    Returns:
        Decibels ``(...)``, float64; NaN where the reference is silent in every channel. (The challenge's
        formula gives a number there, which only measures the constant that it adds.)

    Raises:
        UsageError: If the shapes differ or have no channel dimension.

    Source:
        Mitsufuji et al., "Music Demixing Challenge 2021", Frontiers in Signal Processing 1, 2022.

    Example:
        >>> reference = torch.ones(2, 1000)
        >>> round(sdr(0.9 * reference, reference).item(), 4)
        20.0
    """
    estimate, reference = _pair(estimate, reference, "C, N")
    signal = reference.square().sum(dim=(-2, -1))
    distortion = (reference - estimate).square().sum(dim=(-2, -1))
    score = 10 * torch.log10((signal + SDR_DELTA) / (distortion + SDR_DELTA))
    return score.masked_fill(_silent(pool_channels(reference)), torch.nan)


def framewise_sdr(estimates: Tensor, references: Tensor, window: int) -> Tensor:
    """SDR of each window of each source, as museval version 4 computes it with its defaults.

    Windows do not overlap, and an incomplete last one is dropped; audio shorter than a window is one frame.
    A frame is NaN for *all* sources if any reference or estimate is silent in it. As in museval, silent means
    that the sum over channels is zero at every sample, so an antiphase stereo frame counts as silent.
    A track's score is the median over its frames that are not NaN (``torch.nanmedian``).

    Args:
        estimates: Estimated samples ``(..., S, C, N)``.
        references: True samples, same shape and order of sources.
        window: Length of a frame in samples; museval takes one second.

    Returns:
        Decibels ``(..., S, frames)``, float64; infinite where the estimate is exact.

    Raises:
        UsageError: If the shapes differ, have too few dimensions or the window is not positive.

    Source:
        Stöter, Liutkus and Ito, "The 2018 Signal Separation Evaluation Campaign", LVA/ICA 2018. With filters
        estimated on the whole track, museval's SDR reduces to this ratio of energies.

    Example:
        >>> references = torch.ones(2, 1, 10)
        >>> framewise_sdr(0.9 * references, references, window=4).round(decimals=3)
        tensor([[20., 20.],
                [20., 20.]], dtype=torch.float64)
    """
    estimates, references = _pair(estimates, references, "S, C, N")
    if window < 1:
        raise UsageError(
            "cannot cut audio into frames", found=f"window {window}", expected="1 sample or more"
        )
    window = min(window, references.shape[-1])
    # (..., S, C, frames, window); unfold leaves out the incomplete tail.
    estimates, references = (audio.unfold(-1, window, window) for audio in (estimates, references))
    signal = references.square().sum(dim=(-3, -1))
    distortion = (references - estimates).square().sum(dim=(-3, -1))
    silent = _silent(estimates.sum(dim=-3)) | _silent(references.sum(dim=-3))
    score = 10 * torch.log10(signal / distortion)
    return score.masked_fill(silent.any(dim=-2, keepdim=True), torch.nan)
