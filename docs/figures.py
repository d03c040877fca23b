"""Draws the figures of the documentation with auralflow itself, from a generated song.

Run ``make figures``, or ``python docs/figures.py`` with the names of some figures to draw only those.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.spines import Spine
from matplotlib.text import Text
from PIL import Image
from torch import Tensor

from auralflow.config import TrainConfig
from auralflow.models import create_model_folder, installed_registry
from auralflow.models.registry import PACKAGE_FOLDER
from auralflow.nets.unet import SpectrogramNetConfig
from auralflow.synth import generate_song, write_dataset
from auralflow.trainer import train
from auralflow.transforms import STFT, griffin_lim, magnitude, phase, reconstruct
from auralflow.visualizer import (
    comparison,
    mask,
    new_figure,
    read_history,
    spectrogram,
    training_curves,
    waveform,
)

FOLDER = Path(__file__).parent / "figures"
RATE = 44100
SEED = 7
START, SECONDS = 8.0, 8.0
WIDTH = 960
COLORS = 128
INK = "#7a7a7a"
"""Grey with the same contrast, 4.3, on the light and on the dark background of the site."""


def stems(start: float = START, seconds: float = SECONDS, rate: int = RATE) -> dict[str, Tensor]:
    """An excerpt in which all stems play: ``[2, N]`` each."""
    song = generate_song(SEED, seconds=START + SECONDS, sample_rate=rate)
    part = slice(round(start * rate), round((start + seconds) * rate))
    return {name: torch.from_numpy(stem[:, part].copy()) for name, stem in song.items()}


def mixture(parts: dict[str, Tensor]) -> Tensor:
    """The sum of all stems."""
    return torch.stack(list(parts.values())).sum(dim=0)


def draw_song() -> Figure:
    """The mixture and its four stems."""
    parts = stems()
    return comparison([("mixture", mixture(parts)), *parts.items()], RATE)


def draw_waveform() -> Figure:
    """Forty milliseconds of the mixture."""
    return waveform(mixture(stems())[:1, RATE : RATE + RATE // 25], RATE, title="40 ms of a song")


def draw_windows() -> Figure:
    """The same three seconds through windows of three lengths."""
    rate = 16000
    signal = mixture(stems(start=10, seconds=3, rate=rate))
    images = [
        pixels(
            neutral(spectrogram(signal, rate, num_fft=size, title=f"window of {size / rate * 1e3:.0f} ms"))
        )
        for size in (128, 1024, 8192)
    ]
    return stacked(images)


def draw_magnitude_and_phase() -> Figure:
    """The two halves of a spectrogram."""
    spectrum = STFT(2048, hop_length=512)(stems()["vocals"][0, : 2 * RATE])
    figure = new_figure(8, 4.4)
    rows = figure.subplots(2, 1, sharex=True)
    level = 20 * magnitude(spectrum).clamp_min(1e-4).log10()
    extent = (0.0, 2.0, 0.0, RATE / 2000)
    halves = (("magnitude / dB", level, "magma"), ("phase / rad", phase(spectrum), "twilight"))
    for axes, (title, values, colors) in zip(rows, halves, strict=True):
        image = axes.imshow(
            values, origin="lower", aspect="auto", extent=extent, cmap=colors, interpolation="none"
        )
        axes.set_ylim(0, 6)
        axes.set_ylabel("kHz")
        axes.set_title(title, fontsize="medium", loc="left")
        figure.colorbar(image, ax=axes, pad=0.01)
    rows[-1].set_xlabel("time / s")
    return figure


def ideal_mask(parts: dict[str, Tensor], target: str, transform: STFT) -> Tensor:
    """The ideal ratio mask of a target: ``[C, F, T]``."""
    power = {name: magnitude(transform(stem)).square() for name, stem in parts.items()}
    return power[target] / torch.stack(list(power.values())).sum(dim=0).clamp_min(1e-12)


def draw_mask() -> Figure:
    """The ideal mask of the vocals."""
    return mask(ideal_mask(stems(), "vocals", STFT(2048)), RATE, title="ideal ratio mask of the vocals")


def draw_masked() -> Figure:
    """Mixture, masked mixture, reference."""
    parts = stems()
    transform = STFT(2048)
    whole = mixture(parts)
    estimate = transform.inverse(ideal_mask(parts, "vocals", transform) * transform(whole), whole.shape[-1])
    return comparison(
        [("mixture", whole), ("mixture times mask", estimate), ("vocals (reference)", parts["vocals"])], RATE
    )


def draw_training() -> Figure:
    """The losses of a small training."""
    with tempfile.TemporaryDirectory() as folder:
        songs, model = Path(folder) / "songs", Path(folder) / "model"
        write_dataset(songs, tracks=12, seed=1, seconds=10, sample_rate=8000)
        shape = {"num_fft": 512, "window_size": 512, "hop_length": 256}
        create_model_folder(
            model,
            SpectrogramNetConfig(
                num_hidden_channels=4, sample_rate=8000, dropout_p=0.1, sample_length=2, **shape
            ),
        )
        settings = TrainConfig(
            criterion="complex_l1", lr=0.002, max_epochs=8, max_samples=64, batch_size=4, valid_samples=12
        )
        train(model, songs, settings.model_copy(update={"num_workers": 0}))
        losses = ("epoch", "train_loss", "valid_loss")
        return training_curves([{name: record[name] for name in losses} for record in read_history(model)])


def draw_phases() -> Figure:
    """The magnitudes of the vocals with three kinds of phases."""
    rate = 8000
    parts = stems(start=10, seconds=3, rate=rate)
    transform = STFT(512, hop_length=256)
    reference, whole = transform(parts["vocals"]), transform(mixture(parts))
    length = parts["vocals"].shape[-1]
    size = magnitude(reference)
    torch.manual_seed(0)
    random = torch.polar(size, 2 * torch.pi * torch.rand_like(size))
    signals = {
        "with the phases of the mixture": transform.inverse(reconstruct(size, whole), length),
        "with random phases": transform.inverse(random, length),
        "random phases after 64 iterations of Griffin-Lim": transform.inverse(
            griffin_lim(random, transform, length, iterations=64), length
        ),
    }
    return comparison([("vocals (reference)", parts["vocals"]), *signals.items()], rate, num_fft=512)


def stacked(images: list[np.ndarray]) -> Figure:
    """Images stacked vertically, pixel by pixel."""
    whole = np.concatenate(images)
    figure = new_figure(whole.shape[1] / 150, whole.shape[0] / 150)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(whole, aspect="auto", interpolation="none")
    axes.set_axis_off()
    return figure


FIGURES: dict[str, Callable[[], Figure]] = {
    "song": draw_song,
    "waveform": draw_waveform,
    "windows": draw_windows,
    "magnitude-and-phase": draw_magnitude_and_phase,
    "mask": draw_mask,
    "masked": draw_masked,
    "training": draw_training,
    "phases": draw_phases,
}


def pretrained_curves() -> dict[str, Callable[[], Figure]]:
    """The training curves of the pretrained models, from their records."""
    return {
        f"training-{name}": lambda name=name: training_curves(read_history(PACKAGE_FOLDER / name), title=name)
        for name in installed_registry().names
    }


def neutral(figure: Figure) -> Figure:
    """The figure without a background and with grey text, so that it can be read in light and dark mode."""
    figure.patch.set_alpha(0)
    for axes in figure.axes:
        axes.patch.set_alpha(0)
        axes.tick_params(colors=INK)
        for line in [*axes.get_xgridlines(), *axes.get_ygridlines()]:
            line.set(color=INK, alpha=0.3)
    for text in figure.findobj(Text):
        text.set_color(INK)
    for spine in figure.findobj(Spine):
        spine.set_edgecolor(INK)
    for legend in figure.findobj(Legend):
        legend.get_frame().set_alpha(0)
    return figure


def pixels(figure: Figure) -> np.ndarray:
    """A figure as ``[height, width, 4]``, with transparency."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba()).copy()


def main() -> int:
    """Draw the figures that are named, or all."""
    figures = FIGURES | pretrained_curves()
    for name in sys.argv[1:] or figures:
        # Few colours keep a plot of noise small; with these colour scales the difference is invisible.
        image = Image.fromarray(pixels(neutral(figures[name]())))
        image = image.resize((WIDTH, round(image.height * WIDTH / image.width)), Image.Resampling.LANCZOS)
        image = image.quantize(COLORS, method=Image.Quantize.FASTOCTREE)
        FOLDER.mkdir(exist_ok=True)
        image.save(FOLDER / f"{name}.png", optimize=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
