"""Coefficients of biquads."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Band", "low_pass_sections", "peak_section"]

SLOPES = (0.541196100146197, 1.306562964876377)
"""Quality of the two biquads of a fourth-order Butterworth low-pass: 1 / (2 cos(k pi / 8)), k = 1, 3."""


@dataclass(frozen=True)
class Band:
    """A peak filter of an equaliser.

    Attributes:
        frequency: Centre frequency in hertz.
        gain: Gain at the centre in dB.
        quality: Centre frequency over bandwidth.
    """

    frequency: float
    gain: float
    quality: float


def peak_section(band: Band, sample_rate: int) -> NDArray[np.float64]:
    """Coefficients ``[6]`` (b0 b1 b2 1 a1 a2) of a bell-shaped biquad.

    Source:
        R. Bristow-Johnson, "Cookbook formulae for audio equalizer biquad filter coefficients", peakingEQ.

    Args:
        band: Centre, gain and quality.
        sample_rate: Sample rate in hertz.

    Example:
        >>> peak_section(Band(1000, 0.0, 1.0), 44100)[:3].round(3).tolist()
        [1.0, -1.848, 0.867]
    """
    angle = 2 * math.pi * band.frequency / sample_rate
    alpha = math.sin(angle) / (2 * band.quality)
    amplitude = 10 ** (band.gain / 40)
    middle = -2 * math.cos(angle)
    numerator = [1 + alpha * amplitude, middle, 1 - alpha * amplitude]
    denominator = [1 + alpha / amplitude, middle, 1 - alpha / amplitude]
    return np.array([*numerator, *denominator]) / denominator[0]


def low_pass_sections(frequency: float, sample_rate: int) -> list[NDArray[np.float64]]:
    """Two biquads ``[6]`` that make a Butterworth low-pass of fourth order: -3 dB at the cut-off.

    Source:
        R. Bristow-Johnson, "Cookbook formulae for audio equalizer biquad filter coefficients", LPF.

    Args:
        frequency: Cut-off frequency in hertz.
        sample_rate: Sample rate in hertz.

    Example:
        >>> len(low_pass_sections(5000, 44100))
        2
    """
    angle = 2 * math.pi * frequency / sample_rate
    rest = 1 - math.cos(angle)
    sections = []
    for quality in SLOPES:
        alpha = math.sin(angle) / (2 * quality)
        raw = [rest / 2, rest, rest / 2, 1 + alpha, -2 * math.cos(angle), 1 - alpha]
        sections.append(np.array(raw) / raw[3])
    return sections
