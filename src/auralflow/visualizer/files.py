"""Plots of files, for the command line."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import torch
from matplotlib.figure import Figure

from auralflow.audio import probe, read_audio
from auralflow.errors import NotFoundError, UsageError
from auralflow.transforms import STFT
from auralflow.visualizer.canvas import save_figure
from auralflow.visualizer.comparing import difference, mask
from auralflow.visualizer.signals import mel_spectrogram, spectrogram, waveform
from auralflow.visualizer.training import HISTORY_FILE, read_history, training_curves

__all__ = ["PlotKind", "plot_files"]

PlotKind = Literal["waveform", "spectrogram", "mel", "mask", "difference", "training"]
PAIRED = ("mask", "difference")


def plot_files(
    paths: Sequence[str | Path],
    *,
    kind: PlotKind = "spectrogram",
    save: str | Path | None = None,
    picture: Literal["png", "svg", "pdf"] = "png",
    num_fft: int = 2048,
    start: float = 0.0,
    duration: float | None = None,
    look_up: Callable[[str], Path | None] | None = None,
) -> Iterator[Path]:
    """Plot files.

    A model folder or a JSON file is plotted as its training run, whatever the kind. A mask is that of a stem
    in its mixture, and a difference is that of an estimate from its reference: both take files in pairs, with
    the mixture or the reference last.

    Args:
        paths: Audio files, model folders, summaries of trainings, or names that ``look_up`` knows.
        kind: What to plot.
        save: Folder for the plots. Default: beside each file; in a model's folder; for a name, the current
            folder.
        picture: Their format.
        num_fft: Length of the transform.
        start: Where to begin in the audio, in seconds.
        duration: How much of it to plot, in seconds. Default: to its end.
        look_up: Resolves a path that does not exist as a name, such as that of a pretrained model.

    Yields:
        The path of each plot that was written.

    Raises:
        NotFoundError: If a file does not exist.
        UsageError: If a pair is incomplete, or the excerpt holds no audio.
        AudioError: If a file is no audio.
    """
    files, save = [Path(path) for path in paths], None if save is None else Path(save)
    if kind in PAIRED:
        if len(files) != 2:
            words = "the stem, then its mixture" if kind == "mask" else "the estimate, then the reference"
            raise UsageError(f"cannot draw a {kind}", found=f"{len(files)} files", expected=f"two: {words}")
        jobs = [tuple(files)]
    else:
        jobs = [(path,) for path in files]
    taken: set[Path] = set()
    for job in jobs:
        first = job[0]
        folder = save or (first if first.is_dir() else first.parent)
        there = job if first.exists() else (_named(first, look_up),)
        drawn, figure = _draw(there, kind, num_fft, start, duration)
        target = _free(folder / f"{first.stem}.{drawn}.{picture}", taken)
        save_figure(figure, target)
        yield target


def _named(path: Path, look_up: Callable[[str], Path | None] | None) -> Path:
    found = look_up(str(path)) if look_up else None
    if found is None:
        raise NotFoundError(f"no such file or folder: '{path}'")
    return found


def _free(path: Path, taken: set[Path]) -> Path:
    # Two files of the same name from different folders must not share a plot.
    name, number = path, 1
    while name in taken:
        number += 1
        name = path.with_name(f"{path.stem} ({number}){path.suffix}")
    taken.add(name)
    return name


def _draw(
    job: tuple[Path, ...], kind: PlotKind, num_fft: int, start: float, duration: float | None
) -> tuple[PlotKind, Figure]:
    first = job[0]
    if kind == "training" or first.is_dir() or first.suffix.lower() == ".json":
        title = first.parent.name if first.name == HISTORY_FILE else first.stem
        return "training", training_curves(read_history(first), title=title)
    parts = [_part(path, start, duration) for path in job]
    audio, sample_rate = parts[0]
    title = first.name
    if kind == "waveform":
        return kind, waveform(audio, sample_rate, title=title, start=start)
    if kind == "spectrogram":
        return kind, spectrogram(audio, sample_rate, num_fft=num_fft, title=title, start=start)
    if kind == "mel":
        return kind, mel_spectrogram(audio, sample_rate, num_fft=num_fft, title=title, start=start)
    if parts[1][0].shape[-1] != audio.shape[-1] or parts[1][1] != sample_rate:
        raise UsageError(f"'{first}' and '{job[1]}' differ in length or sample rate", expected="them alike")
    title = f"{job[0].name} in {job[1].name}" if kind == "mask" else f"{job[0].name} - {job[1].name}"
    if kind == "difference":
        figure = difference(audio, parts[1][0], sample_rate, num_fft=num_fft, title=title, start=start)
        return kind, figure
    transform = STFT(num_fft)
    stem, mixture = (transform(samples).abs().square().mean(dim=0).sqrt() for samples, _ in parts)
    ratio = (stem / mixture.clamp_min(torch.finfo(torch.float32).tiny)).clamp_max(1.0)
    return kind, mask(ratio, sample_rate, hop_length=transform.hop_length, title=title)


def _part(path: Path, start: float, duration: float | None) -> tuple[torch.Tensor, int]:
    info = probe(path)
    frames = None if duration is None else round(duration * info.sample_rate)
    audio, sample_rate = read_audio(path, start=round(start * info.sample_rate), frames=frames)
    if audio.shape[-1] == 0:
        raise UsageError(
            f"cannot draw '{path}'", found=f"{info.seconds:g} s of audio", expected=f"some after {start:g} s"
        )
    return torch.from_numpy(audio), sample_rate
