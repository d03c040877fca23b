"""Random changes of a stem: drawn first, applied afterwards.

A change is plain data. Drawing it takes a generator and reads no audio; applying it takes audio and draws
nothing. So a change can be stored, shown and repeated, and the order of draws does not depend on the audio.

Shape letters: ``C`` channel, ``N`` sample.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.signal import sosfilt

from auralflow.audio import Audio
from auralflow.config import AugmentConfig
from auralflow.effects.filters import Band, low_pass_sections, peak_section

__all__ = ["Change", "apply_change", "draw_change"]

LOWEST_BAND = 60.0
HIGHEST_SHARE = 0.4
"""Filters stay below this share of the sample rate: above it a biquad's shape is bent by the mapping."""

BREATH = 1e-20
"""Added before a filter, 400 dB below full scale: decaying to true silence, it would come to numbers so small
that the processor takes sixty times as long for each (measured)."""


@dataclass(frozen=True)
class Change:
    """What is done to a stem. The default does nothing.

    Attributes:
        gain: In dB.
        swap_channels: Reverse the order of the channels.
        flip_sign: Multiply by -1.
        bands: Bells of an equaliser.
        low_pass: Cut-off frequency in hertz, 24 dB an octave; None: none.

    Example:
        >>> apply_change(np.ones((1, 2), dtype=np.float32), Change(gain=-20, flip_sign=True), 44100)
        array([[-0.1, -0.1]], dtype=float32)
    """

    gain: float = 0.0
    swap_channels: bool = False
    flip_sign: bool = False
    bands: tuple[Band, ...] = ()
    low_pass: float | None = None


def draw_change(settings: AugmentConfig, generator: np.random.Generator, sample_rate: int) -> Change:
    """Draw a change.

    Args:
        settings: Probabilities and ranges.
        generator: Where chance comes from; it is advanced by the same number of draws whatever comes out.
        sample_rate: Of the audio that will be changed, in hertz.

    Returns:
        The change.
    """
    count = settings.equalizer_bands
    whether = generator.random(5)
    gain, cut_off = generator.random(2)
    shape = generator.random((count, 3))
    top = HIGHEST_SHARE * sample_rate
    bands = tuple(
        Band(
            frequency=_between(LOWEST_BAND, top, place),
            gain=settings.equalizer_range * (2 * height - 1),
            quality=_between(0.5, 2.0, width),
        )
        for place, height, width in shape.tolist()
    )
    lowest = min(settings.low_pass_from, top)
    return Change(
        gain=settings.gain_range * float(2 * gain - 1) if whether[0] < settings.gain else 0.0,
        swap_channels=bool(whether[1] < settings.channel_swap),
        flip_sign=bool(whether[2] < settings.sign_flip),
        bands=bands if whether[3] < settings.equalizer else (),
        low_pass=_between(lowest, top, float(cut_off)) if whether[4] < settings.low_pass else None,
    )


def _between(low: float, high: float, share: float) -> float:
    """Between two positive numbers on a logarithmic scale, as pitch is heard."""
    return low * math.exp(share * math.log(high / low))


def apply_change(audio: Audio, change: Change, sample_rate: int) -> Audio:
    """Apply a change to a stem.

    All that it does is linear: the sum of changed stems is the changed sum, if all are changed alike.

    Args:
        audio: ``[C, N]``; stays as it is.
        change: What to do.
        sample_rate: In hertz.

    Returns:
        ``[C, N]`` float32.
    """
    sections = [peak_section(band, sample_rate) for band in change.bands]
    if change.low_pass is not None:
        sections += low_pass_sections(change.low_pass, sample_rate)
    if sections:
        # In double precision: measured, single precision leaves noise at -49 dB in a narrow low bell.
        filtered = sosfilt(np.array(sections), audio.astype(np.float64) + BREATH, axis=-1)
        audio = filtered.astype(np.float32)
    factor = 10 ** (change.gain / 20) * (-1 if change.flip_sign else 1)
    if factor != 1:
        audio = audio * np.float32(factor)
    return audio[::-1] if change.swap_channels and len(audio) > 1 else audio
