"""SDR of consecutive windows, as museval computes it."""

import math

import torch
from torch import Tensor

from auralflow.errors import UsageError
from auralflow.metrics.ratios import check_shapes

__all__ = ["framewise_sdr", "loudest_sum", "part_length"]

CACHED_VALUES = (1 << 15) - 1
"""Samples that fit in a processor's cache; fewer are not worth dividing among threads."""


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
    check_shapes(estimates, references, letters="S, C, N")
    if window < 1:
        raise UsageError(
            "cannot cut audio into frames", found=f"window {window}", expected="1 sample or more"
        )
    window = min(window, references.shape[-1])
    frames = []
    # An incomplete last frame is dropped.
    for start in range(0, references.shape[-1] - window + 1, window):
        frame = slice(start, start + window)
        own, true = estimates[..., frame], references[..., frame]
        silent = (loudest_sum(own) == 0) | (loudest_sum(true) == 0)
        score = 10 * torch.log10(_energy_ratio(own, true))
        frames.append(score.masked_fill(silent.any(dim=-1, keepdim=True), torch.nan))
    return torch.stack(frames, dim=-1)


def part_length(audio: Tensor) -> int:
    """How many samples ``(..., C, n)`` to process at a time."""
    if audio.device.type != "cpu":
        # A GPU gains more from fewer steps.
        return audio.shape[-1]
    return max(1, CACHED_VALUES // max(1, math.prod(audio.shape[:-1])))


def loudest_sum(audio: Tensor) -> Tensor:
    """Largest magnitude of the sum over channels of a source ``(..., C, n)``; for museval 0 means silent.

    Larger than zero is all that is promised where it is: a sparse look nearly always tells.
    """
    sparse = audio[..., ::61].double().sum(dim=-2).abs().amax(dim=-1)
    return sparse if (sparse > 0).all() else audio.double().sum(dim=-2).abs().amax(dim=-1)


def _energy_ratio(estimates: Tensor, references: Tensor) -> Tensor:
    """Energy of the reference over that of the error, ``(..., S)``, in pieces that fit in the cache."""
    signal, distortion = [], []
    part = part_length(references)
    for own, true in zip(torch.split(estimates, part, -1), torch.split(references, part, -1), strict=True):
        exact = true.double()
        signal.append(torch.linalg.vector_norm(exact, dim=(-2, -1)))
        distortion.append(torch.linalg.vector_norm(exact - own, dim=(-2, -1)))
    return torch.stack(signal).square().sum(dim=0) / torch.stack(distortion).square().sum(dim=0)
