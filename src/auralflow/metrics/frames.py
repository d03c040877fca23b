"""SDR of consecutive windows, as museval computes it."""

import torch
from torch import Tensor

from auralflow.errors import UsageError
from auralflow.metrics.ratios import as_pair, is_silent

__all__ = ["framewise_sdr"]


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
    estimates, references = as_pair(estimates, references, "S, C, N")
    if window < 1:
        raise UsageError(
            "cannot cut audio into frames", found=f"window {window}", expected="1 sample or more"
        )
    window = min(window, references.shape[-1])
    # (..., S, C, frames, window); unfold leaves out the incomplete tail.
    estimates, references = (audio.unfold(-1, window, window) for audio in (estimates, references))
    signal = references.square().sum(dim=(-3, -1))
    distortion = (references - estimates).square().sum(dim=(-3, -1))
    silent = is_silent(estimates.sum(dim=-3)) | is_silent(references.sum(dim=-3))
    score = 10 * torch.log10(signal / distortion)
    return score.masked_fill(silent.any(dim=-2, keepdim=True), torch.nan)
