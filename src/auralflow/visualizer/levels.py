"""The numbers behind the plots, in memory that does not grow with the transform.

Shape letters: ``C`` channel, ``F`` frequency bin, ``T`` frame, ``N`` sample.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from auralflow.transforms import decibel

__all__ = ["FLOOR", "decibels", "envelope", "power_spectrogram"]

FLOOR = -100.0
"""Lowest level shown, in dBFS; everything below counts as equal."""
MAX_COLUMNS = 1500
"""No screen and no page shows more columns than this."""
FRAMES_AT_ONCE = 512


def power_spectrogram(audio: Tensor, num_fft: int) -> Tensor:
    """Mean power of all channels, scaled so that a sine at full scale has power 1 in its bin.

    Frames are a quarter of a window apart; where a long signal has more of them than a plot has columns,
    neighbours are averaged.

    Args:
        audio: ``[C, N]``.
        num_fft: Length of the transform and of its Hann window.

    Returns:
        ``[F, T]``.

    Example:
        >>> sine = torch.sin(2 * torch.pi * 1000 / 8000 * torch.arange(8000))[None]
        >>> round(power_spectrogram(sine, 512)[64, 20].item(), 3)
        1.0
    """
    hop = max(1, num_fft // 4)
    half = num_fft // 2
    # A view: only the frames that are being transformed are copied.
    frames = F.pad(audio, (half, half + (-audio.shape[-1]) % hop)).unfold(-1, num_fft, hop)
    window = torch.hann_window(num_fft)
    group = -(-frames.shape[1] // MAX_COLUMNS)
    columns = []
    for some in torch.split(frames, group * max(1, FRAMES_AT_ONCE // group), dim=1):
        power = (torch.fft.rfft(some * window).abs() * (2 / window.sum())).square().mean(dim=0)
        columns += [part.mean(dim=0) for part in torch.split(power, group)]
    return torch.stack(columns, dim=1)


def decibels(power: Tensor) -> Tensor:
    """Power as a level in dBFS, not below `FLOOR`."""
    return decibel(power.sqrt(), floor=FLOOR)


def envelope(
    samples: Tensor, sample_rate: int
) -> tuple[NDArray[np.float64], NDArray[np.float32], NDArray[np.float32]]:
    """Time, lowest and highest sample of each column of a plot; both are equal where it is one sample.

    Args:
        samples: ``[N]``.
        sample_rate: In hertz.

    Returns:
        Three arrays of equal length, at most twice the columns of a plot.

    Example:
        >>> envelope(torch.tensor([0.5, -0.5]), 2)[2].tolist()
        [0.5, -0.5]
    """
    group = -(-samples.shape[0] // (2 * MAX_COLUMNS))
    # The last column repeats the last sample, which changes neither its minimum nor its maximum.
    padded = torch.cat([samples, samples[-1:].expand((-samples.shape[0]) % group)]).reshape(-1, group)
    times = (np.arange(padded.shape[0]) + (group - 1) / 2 / group) * group / sample_rate
    return times, padded.amin(dim=1).numpy(), padded.amax(dim=1).numpy()
