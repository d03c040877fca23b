"""Opens anything that can be separated as a stream of blocks."""

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import BinaryIO

import numpy as np
from torch import Tensor

from auralflow.audio import Audio, probe, stream_audio
from auralflow.audio.checks import RATES
from auralflow.errors import AudioError, UsageError
from auralflow.nets.door import scaling_advice

__all__ = ["OpenSource", "Source", "checked_rate", "finite_blocks", "open_source"]

Source = Path | str | Audio | Tensor | BinaryIO
"""A path, samples ``[K, N]``, or a binary file object."""


@dataclass(frozen=True)
class OpenSource:
    """A signal that is ready to be read.

    Attributes:
        blocks: Returns the blocks ``[K, n]`` of the signal, each time from the start.
        sample_rate: Sample rate in hertz.
        channels: Number of channels ``K``.
        frames: Number of samples ``N``.
    """

    blocks: Callable[[], Iterable[Audio]]
    sample_rate: int
    channels: int
    frames: int


def checked_rate(sample_rate: object) -> int:
    """Check the sample rate that a caller states for samples; libraries often return it as a float.

    Raises:
        UsageError: If it is not a whole number of hertz that audio can have.

    Example:
        >>> checked_rate(48000.0)
        48000
    """
    lowest, highest = RATES
    is_number = isinstance(sample_rate, int | float | np.number)
    number = float(sample_rate) if is_number else 0.0  # type: ignore[arg-type]
    if not (lowest <= number <= highest and number.is_integer()):
        raise UsageError(
            "cannot separate these samples",
            found=f"sample_rate={sample_rate!r}",
            expected=f"a whole number of hertz from {lowest} to {highest}",
        )
    return int(number)


@contextmanager
def open_source(source: Source, sample_rate: int) -> Iterator[OpenSource]:
    """Open anything that can be separated.

    Args:
        source: What to open.
        sample_rate: Sample rate in hertz of samples given as an array; files state their own.

    Yields:
        The signal.

    Raises:
        NotFoundError: If the file does not exist.
        AudioError: If it cannot be read.
        UsageError: If it is none of these, or samples are not floats ``[K, N]``.

    Example:
        >>> with open_source(np.zeros((2, 5)), 8000) as opened:
        ...     opened.channels, opened.frames, opened.sample_rate
        (2, 5, 8000)
    """
    if isinstance(source, str | Path):
        yield _open_file(Path(source))
    elif isinstance(source, np.ndarray | Tensor):
        samples = source.detach().cpu().numpy() if isinstance(source, Tensor) else source
        yield _open_samples(samples, sample_rate)
    elif not hasattr(source, "read"):
        raise UsageError(
            "cannot separate this",
            found=type(source).__name__,
            expected="a path, an array or tensor of samples, or an open file",
        )
    else:
        # Decoders need to seek, and some only accept file names.
        with NamedTemporaryFile(suffix=".audio") as copy:
            shutil.copyfileobj(source, copy)
            copy.flush()
            with _named(copy.name, source):
                yield _open_file(Path(copy.name))


@contextmanager
def _named(copy: str, source: BinaryIO) -> Iterator[None]:
    """Make errors that name the copy of a file object name what was copied."""
    try:
        yield
    except AudioError as error:
        name = getattr(source, "name", None)
        original = f"'{name}'" if isinstance(name, str) else "the file object"
        raise AudioError(str(error).replace(f"'{copy}'", original)) from error.__cause__


def _open_file(path: Path) -> OpenSource:
    info = probe(path)
    return OpenSource(lambda: stream_audio(path), info.sample_rate, info.channels, info.frames)


def _open_samples(samples: Audio, sample_rate: int) -> OpenSource:
    _check_form(samples)
    return OpenSource(lambda: [samples], sample_rate, samples.shape[0], samples.shape[1])


def finite_blocks(blocks: Iterable[Audio], channels: int) -> Iterator[tuple[Audio, Audio]]:
    """Check the blocks of a signal as they are read.

    Args:
        blocks: Consecutive blocks ``[K, n]``.
        channels: Number of channels ``K``.

    Yields:
        Each block as it is, and as float32.

    Raises:
        UsageError: If a block is not an array of floats ``[K, n]``.
        AudioError: If it is not finite.

    Example:
        >>> [floats.dtype.name for _, floats in finite_blocks([np.zeros((1, 5))], channels=1)]
        ['float32']
    """
    for block in blocks:
        _check_form(block, channels)
        # Numbers too large for float32 become infinite, which is reported below.
        with np.errstate(over="ignore"):
            floats = block.astype(np.float32, copy=False)
        is_finite = np.isfinite(floats)
        if not is_finite.all():
            bad = np.count_nonzero(~is_finite)
            first = [int(index) for index in np.unravel_index(int(is_finite.argmin()), floats.shape)]
            raise AudioError(
                "cannot separate these samples",
                found=f"NaN or infinity in {bad} of {floats.size}, first at {first}",
                expected="finite numbers",
                advice="Find out where they come from, or replace them: numpy.nan_to_num(samples).",
            )
        yield block, floats


def _check_form(samples: Audio, channels: int | None = None) -> None:
    """Check the type and the shape of samples ``[K, N]``, with any number of channels by default."""
    what = "cannot separate these samples"
    if not isinstance(samples, np.ndarray):
        raise UsageError(
            what,
            found=f"a block of type {type(samples).__name__}",
            expected="a NumPy array",
            advice="Convert it: block.numpy()." if isinstance(samples, Tensor) else "",
        )
    if samples.ndim != 2 or not 1 <= samples.shape[0] <= 64 or samples.shape[0] != (channels or len(samples)):
        raise UsageError(
            what,
            found=f"shape {list(samples.shape)}",
            expected=f"[{channels or 'channels'}, samples]" + ("" if channels else " with 1 to 64 channels"),
            advice=_shape_advice(samples.shape, channels),
        )
    if samples.dtype.kind != "f":
        raise UsageError(
            what,
            found=str(samples.dtype),
            expected="floats from -1 to 1",
            advice=scaling_advice(str(samples.dtype)),
        )


def _shape_advice(shape: tuple[int, ...], channels: int | None) -> str:
    """How to get from samples of another shape to ``[channels, samples]``."""
    match shape:
        case (_,):
            return "Add an axis to a mono signal: samples[None]."
        case (rows, columns) if rows != columns == channels or rows > 64 >= columns >= 1:
            return "Swap the axes: samples.T."
        case (rows, _) if channels and 1 <= rows <= 64:
            return f"Say how many channels there are: channels={rows}."
        case (1, _, _):
            return "Remove the batch axis: samples[0]."
        case (_, _, _):
            return "Separate the signals of a batch one at a time: samples[0], samples[1] and so on."
    return ""
