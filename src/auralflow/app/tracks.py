"""Prepares a separated song for the page: waveforms, spectrograms and an archive.

Shape letters: ``C`` channel, ``N`` sample, ``M`` mel band, ``T`` frame.
"""

import math
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.image import imsave
from torch import Tensor

from auralflow.audio import read_audio
from auralflow.separation import SongReport
from auralflow.storage import atomic_path
from auralflow.transforms import mel_filters
from auralflow.visualizer.levels import FLOOR, decibels, power_spectrogram

__all__ = ["Result", "Track", "draw_tracks", "full_name", "outline", "pack", "spectrogram_strip"]

COLUMNS = 800
_MELS = 96
_NUM_FFT = 2048
# Tracks below -40 dBFS still look quiet.
_LARGEST_SCALE = 100.0


@dataclass(frozen=True)
class Track:
    """One player of the page.

    Attributes:
        name: "original", "instrumental", a target, or "residual".
        file: The audio file.
        picture: The image file of its spectrogram.
        low: Minimum of the samples in each column of the waveform, times ``scale``.
        high: Maximum of the samples in each column, times ``scale``.
        scale: Enlargement of the waveform, so that quiet stems are visible.
        peak_db: Peak level in dBFS, None if silent.
        repeats: Whether other tracks sum to this one, so that it should not be played together with them.
    """

    name: str
    file: Path
    picture: Path
    low: tuple[float, ...]
    high: tuple[float, ...]
    scale: float
    peak_db: float | None
    repeats: bool


@dataclass(frozen=True)
class Result:
    """A separated song.

    Attributes:
        title: Name of the song.
        report: Report of the separation.
        tracks: The players, from the original to the residual.
        archive: Archive of all WAV files.
    """

    title: str
    report: SongReport
    tracks: tuple[Track, ...]
    archive: Path


def draw_tracks(folder: Path, files: tuple[str, ...]) -> Iterator[Track]:
    """Draw the waveforms and spectrograms of a song's files, one by one.

    Args:
        folder: Folder of the files, in which the images are saved too.
        files: Names of the files.

    Yields:
        A track for each file.
    """
    for file in files:
        audio, sample_rate = read_audio(folder / file)
        samples = torch.from_numpy(audio)
        picture = (folder / file).with_suffix(".png")
        with atomic_path(picture) as part:
            imsave(part, spectrogram_strip(samples, sample_rate), format="png", cmap="magma", vmin=0, vmax=1)
        peak = samples.abs().max().item()
        scale = min(1 / peak, _LARGEST_SCALE) if peak > 0 else 1.0
        low, high = outline(scale * samples)
        level = round(20 * math.log10(peak), 1) if peak > 0 else None
        # The original is the sum of all others; so is an instrumental, unless it replaces the residual.
        repeats = file == files[0] or (Path(file).stem == "instrumental" and file != files[-1])
        yield Track(Path(file).stem, folder / file, picture, low, high, scale, level, repeats)


def outline(audio: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Minimum and maximum over all channels in each column of a waveform.

    Args:
        audio: Samples ``[C, N]``.

    Returns:
        The minima and the maxima, one per column, or one per sample if there are fewer samples than columns.

    Example:
        >>> outline(torch.tensor([[0.5, -0.5], [0.25, 0.0]]))
        ((0.25, -0.5), (0.5, 0.0))
    """
    low, high = audio.amin(dim=0).numpy(), audio.amax(dim=0).numpy()
    starts = np.linspace(0, len(low), min(COLUMNS, len(low)), endpoint=False).astype(int)
    lows, highs = np.minimum.reduceat(low, starts), np.maximum.reduceat(high, starts)
    return tuple(round(float(x), 3) for x in lows), tuple(round(float(x), 3) for x in highs)


def spectrogram_strip(audio: Tensor, sample_rate: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
    """Compute a mel spectrogram without axes, so that it lines up with the playing position.

    Args:
        audio: Samples ``[C, N]``.
        sample_rate: Sample rate in hertz.

    Returns:
        Levels ``[M, T]`` from 0 (-100 dBFS) to 1 (0 dBFS), with high frequencies at the top.

    Example:
        >>> spectrogram_strip(torch.zeros(1, 8000), 8000).max()
        np.float32(0.0)
    """
    filters = mel_filters(_NUM_FFT // 2 + 1, _MELS, sample_rate)
    # Average the bins of each band: otherwise wide bands at the top would look too loud.
    filters = filters / filters.sum(dim=1, keepdim=True).clamp_min(1e-8)
    level = decibels(filters @ power_spectrogram(audio, _NUM_FFT))
    strip: np.ndarray[tuple[int, ...], np.dtype[np.float32]]
    strip = (1 - level / FLOOR).clamp(0, 1).flip(0).numpy().astype(np.float32)
    return strip


def pack(folder: Path, files: tuple[str, ...], title: str) -> Path:
    """Put the files of a song into one archive.

    The files are stored uncompressed, since audio hardly compresses.

    Args:
        folder: Folder of the files, in which the archive is created too.
        files: Names of the files, all in the same format.
        title: Name of the song, used for the folder in the archive and as a prefix of the files in it.

    Returns:
        The archive.
    """
    ending = Path(files[0]).suffix
    archive = folder / f"all{ending}.zip"
    with atomic_path(archive) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_STORED) as packed:
        for file in files:
            packed.write(folder / file, f"{title}/{full_name(title, file)}")
    return archive


def full_name(title: str, file: str) -> str:
    """The name of a song's file in a place that may contain files of other songs.

    Example:
        >>> full_name("My song", "vocals.wav")
        'My song - vocals.wav'
    """
    return f"{title} - {file}"
