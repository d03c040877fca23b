"""Frequency bands of band-split transformers.

A band is a list of frequency bins. The bands of BS-RoFormer are adjacent, those of Mel-Band
RoFormer overlap.
"""

from collections.abc import Sequence
from itertools import accumulate

import torch

from auralflow.errors import SettingsError
from auralflow.transforms import mel_filters

__all__ = ["adjacent_bands", "mel_bands"]


def adjacent_bands(sizes: Sequence[int]) -> list[list[int]]:
    """Adjacent bands of given sizes.

    Args:
        sizes: Number of bins in each band.

    Example:
        >>> adjacent_bands((1, 2))
        [[0], [1, 2]]
    """
    return [list(range(end - size, end)) for end, size in zip(accumulate(sizes), sizes, strict=True)]


def mel_bands(num_bands: int, num_bins: int, sample_rate: int) -> list[list[int]]:
    """Bands on the mel scale: a bin belongs to every band whose triangular filter is above zero there.

    The lowest bin always belongs to the first band and the highest to the last.
    Source: J.-C. Wang et al., "Mel-Band RoFormer for Music Source Separation", arXiv 2310.01809.

    Args:
        num_bands: Number of bands.
        num_bins: Number of bins of the transform.
        sample_rate: Sample rate in hertz.

    Raises:
        SettingsError: If a band would have no bin, or a bin no band.

    Example:
        >>> bands = mel_bands(60, 1025, 44100)
        >>> bands[0], len(bands[-1])
        ([0, 1, 2, 3, 4, 5, 6], 130)
    """
    with torch.device("cpu"):  # also if the model is created on the meta device
        inside = mel_filters(num_bins, num_bands, sample_rate) > 0
    inside[0, 0] = inside[-1, -1] = True
    if not (inside.any(0).all() and inside.any(1).all()):
        raise SettingsError(
            f"num_bands is {num_bands}",
            found="bands without any frequency bin",
            expected=f"fewer bands for {num_bins} bins at {sample_rate} Hz",
        )
    return [row.nonzero().flatten().tolist() for row in inside]
