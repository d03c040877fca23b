"""Plots of signals: waveform and spectrograms.

Shape letters: ``C`` channel, ``F`` frequency bin, ``T`` frame, ``N`` sample, ``M`` mel band.
"""

from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray
from torch import Tensor

from auralflow.audio import read_audio
from auralflow.errors import UsageError
from auralflow.transforms import mel_filters
from auralflow.visualizer.canvas import COLORS, dress, new_figure, set_title, time_axis
from auralflow.visualizer.levels import FLOOR, decibels, envelope, power_spectrogram

__all__ = [
    "LEVEL_COLORS",
    "LEVEL_LABEL",
    "Signal",
    "draw_image",
    "framed",
    "mel_axis",
    "mel_framed",
    "mel_spectrogram",
    "spectral_figure",
    "spectrogram",
    "waveform",
]

Signal: TypeAlias = Tensor | NDArray[Any] | str | Path
"""Samples ``[C, N]`` or ``[N]``, or an audio file."""

LEVEL_COLORS = "magma"
LEVEL_LABEL = "level / dBFS"
MEL_TICKS = (200, 500, 1000, 2000, 5000, 10000, 20000)


def load_signal(signal: Signal, sample_rate: int) -> tuple[Tensor, int]:
    """Samples ``[C, N]`` and their rate; a file knows its own rate.

    Raises:
        UsageError: If a tensor or array has another shape or no sample.
    """
    if isinstance(signal, str | Path):
        audio, sample_rate = read_audio(signal)
        samples = torch.from_numpy(audio)
    else:
        samples = torch.as_tensor(signal).detach().to("cpu", torch.float32)
    samples = samples[None] if samples.ndim == 1 else samples
    if samples.ndim != 2 or 0 in samples.shape:
        raise UsageError(
            "cannot draw this signal", found=f"shape {list(samples.shape)}", expected="[channels, samples]"
        )
    return samples, sample_rate


def waveform(signal: Signal, sample_rate: int = 44100, *, title: str = "", start: float = 0.0) -> Figure:
    """Samples over time, one row per channel, on a fixed scale from -1 to 1.

    A sample beyond full scale widens the scale, and lines then mark full scale. A long signal is drawn as the
    band between its lowest and highest samples, so that no peak is lost.

    Args:
        signal: Samples ``[C, N]`` or ``[N]``, or a file.
        sample_rate: In hertz; a file's own counts.
        title: Above the picture.
        start: Time of the first sample in seconds.

    Returns:
        The figure, with one axes per channel.

    Raises:
        UsageError: If the signal has another shape.

    Example:
        >>> [axes.get_ylim() for axes in waveform(np.zeros((2, 1000))).axes] == [(-1.0, 1.0)] * 2
        True
    """
    audio, sample_rate = load_signal(signal, sample_rate)
    channels = audio.shape[0]
    figure = new_figure(8, 1.0 + 1.4 * channels)
    rows = figure.subplots(channels, 1, sharex=True, squeeze=False)[:, 0]
    peak = audio.abs().max().item()
    limit = 1.05 * peak if peak > 1 else 1.0
    for index, axes in enumerate(rows):
        draw_waveform(axes, audio[index], sample_rate, start=start)
        if limit > 1:
            for level in (-1, 1):
                axes.axhline(level, color=COLORS[1], linewidth=0.8, linestyle="--")
        axes.set_ylim(-limit, limit)
        names = {1: ("amplitude",), 2: ("left", "right")}.get(channels)
        dress(axes, y=names[index] if names else f"channel {index + 1}")
    time_axis(rows[-1], audio.shape[-1] / sample_rate, start=start)
    set_title(rows[0], title)
    return figure


def draw_waveform(axes: Axes, samples: Tensor, sample_rate: int, *, start: float = 0.0) -> None:
    """Draw samples ``[N]`` as a line, or as a band where there are more of them than a screen has columns."""
    times, low, high = envelope(samples, sample_rate)
    if np.array_equal(low, high):
        axes.plot(times + start, high, color=COLORS[0], linewidth=0.8)
    else:
        axes.fill_between(times + start, low, high, color=COLORS[0], linewidth=0.4)


def draw_image(
    axes: Axes,
    values: Tensor,
    extent: tuple[float, float, float, float],
    *,
    colors: str,
    limits: tuple[float, float],
) -> AxesImage:
    """Draw ``[F, T]`` with time to the right and frequency upwards."""
    return axes.imshow(
        values.numpy(),
        origin="lower",
        aspect="auto",
        extent=extent,
        cmap=colors,
        vmin=limits[0],
        vmax=limits[1],
    )


def framed(
    signal: Signal, sample_rate: int, num_fft: int
) -> tuple[Tensor, tuple[float, float, float, float]]:
    """Power ``[F, T]`` and the extent of its image in seconds and kHz."""
    audio, sample_rate = load_signal(signal, sample_rate)
    power = power_spectrogram(audio, num_fft)
    half_bin = sample_rate / num_fft / 2000
    return power, (0.0, audio.shape[-1] / sample_rate, -half_bin, sample_rate / 2000 + half_bin)


def spectral_figure(
    values: Tensor,
    extent: tuple[float, float, float, float],
    *,
    title: str,
    start: float,
    colors: str,
    limits: tuple[float, float],
    label: str,
) -> Figure:
    """An image over time and frequency, with its colour bar."""
    figure = new_figure(8, 3.6)
    axes = figure.subplots()
    moved = (extent[0] + start, extent[1] + start, *extent[2:])
    image = draw_image(axes, values, moved, colors=colors, limits=limits)
    dress(axes, y="frequency / kHz")
    axes.set_ylim(max(0.0, extent[2]), extent[3])
    time_axis(axes, extent[1] - extent[0], start=start)
    set_title(axes, title)
    figure.colorbar(image, label=label, pad=0.01)
    return figure


def spectrogram(
    signal: Signal, sample_rate: int = 44100, *, num_fft: int = 2048, title: str = "", start: float = 0.0
) -> Figure:
    """Level over time and frequency, from -100 to 0 dBFS; the mean power of all channels.

    Args:
        signal: Samples ``[C, N]`` or ``[N]``, or a file.
        sample_rate: In hertz; a file's own counts.
        num_fft: Length of the transform, with a Hann window as long. A sine at full scale reads 0 dBFS.
        title: Above the picture.
        start: Time of the first sample in seconds.

    Returns:
        The figure: the picture and its colour bar.

    Raises:
        UsageError: If the signal has another shape.

    Example:
        >>> spectrogram(np.ones(44100)).axes[1].get_ylabel()
        'level / dBFS'
    """
    power, extent = framed(signal, sample_rate, num_fft)
    return spectral_figure(
        decibels(power),
        extent,
        title=title,
        start=start,
        colors=LEVEL_COLORS,
        limits=(FLOOR, 0.0),
        label=LEVEL_LABEL,
    )


def mel_spectrogram(
    signal: Signal,
    sample_rate: int = 44100,
    *,
    num_mels: int = 128,
    num_fft: int = 4096,
    title: str = "",
    start: float = 0.0,
) -> Figure:
    """Level over time and mel band, from -100 to 0 dBFS: low notes get as much space as the ear gives them.

    Args:
        signal: Samples ``[C, N]`` or ``[N]``, or a file.
        sample_rate: In hertz; a file's own counts.
        num_mels: Number of mel bands ``M``.
        num_fft: Length of the transform.
        title: Above the picture.
        start: Time of the first sample in seconds.

    Returns:
        The figure: the picture, with its frequencies in hertz, and its colour bar.

    Raises:
        UsageError: If the signal has another shape.
    """
    power, extent, sample_rate = mel_framed(signal, sample_rate, num_fft, num_mels)
    figure = spectral_figure(
        decibels(power),
        extent,
        title=title,
        start=start,
        colors=LEVEL_COLORS,
        limits=(FLOOR, 0.0),
        label=LEVEL_LABEL,
    )
    mel_axis(figure.axes[0], num_mels, sample_rate)
    figure.axes[0].set_ylabel("frequency / Hz (mel scale)")
    return figure


def mel_framed(
    signal: Signal, sample_rate: int, num_fft: int, num_mels: int
) -> tuple[Tensor, tuple[float, float, float, float], int]:
    """Power ``[M, T]`` in mel bands, the extent of its image in seconds and bands, and the sample rate."""
    audio, sample_rate = load_signal(signal, sample_rate)
    power = mel_filters(num_fft // 2 + 1, num_mels, sample_rate) @ power_spectrogram(audio, num_fft)
    return power, (0.0, audio.shape[-1] / sample_rate, -0.5, num_mels - 0.5), sample_rate


def mel_axis(axes: Axes, num_mels: int, sample_rate: int) -> None:
    """Label the places of mel bands with their frequencies in hertz."""
    # The peaks of finely sampled filters are the centres of the bands in hertz.
    bins = 8193
    centres = mel_filters(bins, num_mels, sample_rate).argmax(dim=1).numpy() * sample_rate / 2 / (bins - 1)
    places = {
        tick: float(np.interp(tick, centres, np.arange(num_mels)))
        for tick in MEL_TICKS
        if tick <= centres[-1]
    }
    axes.set_ylim(-0.5, num_mels - 0.5)
    axes.set_yticks(list(places.values()), [f"{tick:g}" for tick in places])
