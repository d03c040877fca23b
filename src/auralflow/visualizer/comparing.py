"""Plots of how signals relate: masks, differences, and spectrograms one above another.

Shape letters: ``C`` channel, ``F`` frequency bin, ``T`` frame, ``N`` sample.
"""

from collections.abc import Sequence
from typing import Any

import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from auralflow.errors import UsageError
from auralflow.visualizer.canvas import dress, new_figure, set_title, time_axis
from auralflow.visualizer.levels import FLOOR, decibels
from auralflow.visualizer.signals import (
    LEVEL_COLORS,
    LEVEL_LABEL,
    Signal,
    draw_image,
    framed,
    mel_axis,
    mel_framed,
    spectral_figure,
)

__all__ = ["comparison", "difference", "mask"]

MASK_COLORS = "viridis"
DIFFERENCE_COLORS = "RdBu_r"
MEL_BANDS = 128
DIFFERENCE_LIMIT = 30.0
"""Largest difference shown, in dB."""


def mask(
    values: Tensor | NDArray[Any], sample_rate: int = 44100, *, hop_length: int = 1024, title: str = ""
) -> Figure:
    """A mask over time and frequency, from 0 (taken out) to 1 (kept); the mean of all channels.

    Args:
        values: ``[C, F, T]`` or ``[F, T]``.
        sample_rate: In hertz.
        hop_length: Samples between frames.
        title: Above the picture.

    Returns:
        The figure: the picture and its colour bar.

    Raises:
        UsageError: If the mask has another shape.

    Example:
        >>> mask(torch.ones(1025, 100)).axes[0].images[0].get_clim()
        (0.0, 1.0)
    """
    shown = torch.as_tensor(values).detach().to("cpu", torch.float32)
    shown = shown.mean(dim=0) if shown.ndim == 3 else shown
    if shown.ndim != 2 or 0 in shown.shape:
        raise UsageError(
            "cannot draw this mask",
            found=f"shape {list(shown.shape)}",
            expected="[channels, bins, frames] or [bins, frames]",
        )
    extent = (0.0, shown.shape[1] * hop_length / sample_rate, 0.0, sample_rate / 2000)
    return spectral_figure(
        shown, extent, title=title, start=0.0, colors=MASK_COLORS, limits=(0.0, 1.0), label="mask"
    )


def difference(
    estimate: Signal,
    truth: Signal,
    sample_rate: int = 44100,
    *,
    num_fft: int = 2048,
    title: str = "",
    start: float = 0.0,
) -> Figure:
    """How many dB louder (red) or softer (blue) the estimate is than the reference, from -30 to 30 dB.

    Both levels are first raised to at least -100 dBFS, so that inaudible differences do not show.

    Args:
        estimate: Samples ``[C, N]`` or ``[N]``, or a file.
        truth: The same for the reference, of the same length.
        sample_rate: In hertz; a file's own counts.
        num_fft: Length of the transform.
        title: Above the picture.
        start: Time of the first sample in seconds.

    Returns:
        The figure: the picture and its colour bar.

    Raises:
        UsageError: If the signals differ in length or rate.
    """
    own, extent = framed(estimate, sample_rate, num_fft)
    other, other_extent = framed(truth, sample_rate, num_fft)
    if own.shape != other.shape or extent != other_extent:
        raise UsageError(
            "cannot draw the difference",
            found=f"signals of {extent[1]:g} s up to {extent[3]:g} kHz and {other_extent[1]:g} s up to "
            f"{other_extent[3]:g} kHz",
            expected="one length and one sample rate",
        )
    return spectral_figure(
        decibels(own) - decibels(other),
        extent,
        title=title,
        start=start,
        colors=DIFFERENCE_COLORS,
        limits=(-DIFFERENCE_LIMIT, DIFFERENCE_LIMIT),
        label="estimate - truth / dB",
    )


def comparison(
    signals: Sequence[tuple[str, Signal]],
    sample_rate: int = 44100,
    *,
    num_fft: int = 2048,
    start: float = 0.0,
    mel: bool = False,
) -> Figure:
    """Spectrograms one above another with a common colour bar: mixture, reference, estimate and error, say.

    Args:
        signals: Names, and the samples ``[C, N]`` or the file of each.
        sample_rate: In hertz; a file's own counts.
        num_fft: Length of the transform.
        start: Time of the first sample in seconds.
        mel: Draw 128 mel bands, which give low notes as much space as the ear does, instead of all
            frequencies alike.

    Returns:
        The figure, with one axes per signal and a colour bar.

    Raises:
        UsageError: If a signal has another shape, or there is none.

    Example:
        >>> noise = torch.randn(1, 44100)
        >>> [axes.get_title(loc="left") for axes in comparison([("a", noise), ("b", noise)]).axes[:2]]
        ['a', 'b']
    """
    if not signals:
        raise UsageError("cannot compare signals", found="none", expected="one or more")
    figure = new_figure(8, 0.7 + 1.7 * len(signals))
    rows = figure.subplots(len(signals), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (name, signal) in zip(rows, signals, strict=True):
        if mel:
            power, extent, rate = mel_framed(signal, sample_rate, 2 * num_fft, MEL_BANDS)
        else:
            power, extent = framed(signal, sample_rate, num_fft)
        moved = (extent[0] + start, extent[1] + start, *extent[2:])
        image = draw_image(axes, decibels(power), moved, colors=LEVEL_COLORS, limits=(FLOOR, 0.0))
        dress(axes, y="Hz (mel)" if mel else "kHz")
        if mel:
            mel_axis(axes, MEL_BANDS, rate)
        else:
            axes.set_ylim(0.0, extent[3])
        set_title(axes, name)
    time_axis(rows[-1], extent[1], start=start)
    figure.colorbar(image, ax=list(rows), label=LEVEL_LABEL, pad=0.01)
    return figure
