"""Reading part of a stem from an audio file or from a prepared cache."""

import math
import os
import tokenize
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from auralflow.audio import Audio, read_audio, resample
from auralflow.datasets.tracks import Track
from auralflow.errors import AudioError, AuralflowError, DatasetError, NotFoundError

__all__ = ["CACHE_SUFFIX", "fit_channels", "read_samples", "read_stem"]

CACHE_SUFFIX = ".npy"
"""Extension of the files of a cache: numpy arrays ``[C, N]``, which can be memory-mapped."""

SampleHeader = tuple[tuple[int, int], np.dtype[Any], int]
# Shape [C, N], sample type, and the byte at which the samples begin.

# numpy parses the header as Python literals; what that raises on garbage depends on the garbage.
HEADER_ERRORS = (
    MemoryError,
    OverflowError,
    RecursionError,
    SyntaxError,
    TypeError,
    ValueError,
    tokenize.TokenError,
)


def read_stem(track: Track, stem: str, start: int, frames: int) -> Audio:
    """Read a part of a stem, or of the mixture.

    Args:
        track: The track.
        stem: Name of the stem, or ``"mixture"``.
        start: First sample, at the track's rate; may be negative.
        frames: Number of samples.

    Returns:
        ``[C, frames]`` float32 with the file's own channels; zeros outside the track.

    Raises:
        AuralflowError: If the file cannot be read.
    """
    path = track.files[stem]
    first, last = max(start, 0), min(start + frames, track.num_samples)
    wanted = max(0, last - first)
    if path.suffix == CACHE_SUFFIX:
        audio = read_samples(path, first, wanted, scale=track.scales.get(stem, 1.0))
    elif stem in track.rates:
        audio = _read_resampled(path, first, wanted, track.rates[stem], track.sample_rate)
    else:
        audio, _ = read_audio(path, start=first, frames=wanted)
    if audio.shape[1] == frames:
        return audio
    before = first - start if wanted else 0
    padded: Audio = np.pad(audio, ((0, 0), (before, frames - before - audio.shape[1])))
    return padded


def _read_resampled(path: Path, start: int, frames: int, rate: int, target_rate: int) -> Audio:
    begin = start * rate // target_rate
    audio, _ = read_audio(path, start=begin, frames=math.ceil(frames * rate / target_rate) + 1)
    return resample(audio, rate, target_rate)[:, :frames]


@lru_cache(maxsize=4096)
def _read_header(path: Path, _identity: tuple[int, int, int]) -> SampleHeader:
    """The header of a cache file; remembered for as long as the file stays the same."""
    try:
        with path.open("rb") as file:
            np.lib.format.read_magic(file)
            shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(file)
            offset = file.tell()
    except HEADER_ERRORS as error:
        raise _broken(path, str(error)) from error
    if len(shape) != 2 or min(shape) < 0 or fortran_order or dtype not in (np.int16, np.float32):
        raise _broken(path, f"{dtype} of shape {list(shape)}")
    if offset + shape[0] * shape[1] * dtype.itemsize > path.stat().st_size:
        # Checked before memory is allocated for samples that are not there.
        raise _broken(path, "a file that ends early")
    return (shape[0], shape[1]), dtype, offset


def read_samples(path: Path, start: int, frames: int, *, scale: float = 1.0) -> Audio:
    """Read a part of a cache file.

    The samples are read rather than memory-mapped: measured twice as fast, and a file that has been truncated
    meanwhile raises an error, where a mapping would kill the process.

    Args:
        path: A file of a cache.
        start: First sample.
        frames: Number of samples, which must be there.
        scale: Factor of integer samples beyond their full scale.

    Returns:
        ``[C, frames]`` float32.

    Raises:
        AudioError: If the file is not a cache file or is truncated.
        NotFoundError: If it does not exist.
    """
    try:
        with path.open("rb", buffering=0) as file:
            status = os.fstat(file.fileno())
            identity = (status.st_ino, status.st_mtime_ns, status.st_size)
            (channels, length), dtype, offset = _read_header(path, identity)
            samples = np.empty((channels, max(0, min(frames, length - start))), dtype=dtype)
            for channel in range(channels):
                file.seek(offset + (channel * length + start) * dtype.itemsize)
                if file.readinto(memoryview(samples[channel]).cast("B")) != samples[channel].nbytes:
                    raise _broken(path, "a file that ends early")
    except FileNotFoundError:
        raise _gone(path) from None
    except OSError as error:
        raise _broken(path, str(error.strerror)) from error
    if dtype == np.int16:
        return samples * np.float32(scale / 32768)
    _check_finite(samples, path)
    return samples


def _check_finite(samples: Audio, path: Path) -> None:
    if not np.isfinite(samples.sum()) and not np.isfinite(samples).all():
        raise _broken(path, "samples that are NaN or infinite")


def _gone(path: Path) -> AuralflowError:
    return NotFoundError(
        f"cannot read '{path}'",
        found="no such file",
        expected="a file of a prepared cache",
        advice="Put it back, or run auralflow data prepare again.",
    )


def _broken(path: Path, found: str) -> AuralflowError:
    return AudioError(
        f"cannot read '{path}'",
        found=found,
        expected="samples of a prepared cache",
        advice="Run auralflow data prepare again.",
    )


def fit_channels(audio: Audio, num_channels: int, name: str) -> Audio:
    """Convert audio ``[C, N]`` to a number of channels: mono is repeated, several are averaged to mono.

    Args:
        audio: The samples.
        num_channels: Channels wanted.
        name: The file, for the message.

    Raises:
        DatasetError: If it has several channels and the model another number of several channels.

    Example:
        >>> fit_channels(np.ones((1, 3), dtype=np.float32), 2, "a.wav").shape
        (2, 3)
    """
    if audio.shape[0] == num_channels:
        return audio
    if num_channels == 1:
        return np.asarray(audio.mean(axis=0, keepdims=True), dtype=np.float32)
    if audio.shape[0] == 1:
        return np.repeat(audio, num_channels, axis=0)
    raise DatasetError(
        f"cannot train on '{name}'",
        found=f"{audio.shape[0]} channels",
        expected=f"1 or {num_channels}, as the model has",
    )
