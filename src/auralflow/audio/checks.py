"""What must hold of every file and every sample, whichever library decodes it."""

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from typing_extensions import TypeAliasType

from auralflow.errors import AudioError, AuralflowError, NotFoundError

__all__ = [
    "RATES",
    "Audio",
    "SampleType",
    "as_audio_error",
    "check_bounds",
    "check_finite",
    "check_readable",
    "ends_early",
]

Audio = TypeAliasType("Audio", NDArray[np.floating[Any]])
"""Samples ``[C, N]``, float32 unless float64 was asked for; full scale is 1.0."""

SampleType = Literal["float32", "float64"]
"""Sample types on offer; 32-bit integer PCM is exact in ``float64`` only."""

RATES = (1000, 768000)
"""The lowest and the highest sample rate in hertz that a file may have."""

MOST_CHANNELS = 64
"""The most channels that a file may have."""


@contextmanager
def as_audio_error(path: Path) -> Iterator[None]:
    """Make one line of whatever a decoder raises; the error itself stays as the cause.

    Args:
        path: The file that is being read.

    Raises:
        AudioError: If anything is raised that is not ours.

    Example:
        >>> with as_audio_error(Path("a.wav")):
        ...     raise RuntimeError("psf_fseek() failed")
        Traceback (most recent call last):
        auralflow.errors.AudioError: cannot read 'a.wav': found ...
    """
    try:
        yield
    except AuralflowError:
        raise
    except Exception as error:
        found = error.strerror if isinstance(error, OSError) else str(error)
        raise AudioError(
            f"cannot read '{path}'",
            found=f"'{found}'" if found else type(error).__name__,
            expected="audio that libsndfile or FFmpeg can decode",
            advice="Check that it plays elsewhere; convert it to WAV if it does.",
        ) from error


def check_bounds(path: Path, sample_rate: int, channels: int) -> None:
    """Refuse numbers that no recording has, before time and memory are spent on them.

    Args:
        path: The file, for the message.
        sample_rate: Samples per second that its header says.
        channels: Number of channels that its header says.

    Raises:
        AudioError: If they are out of bounds.

    Example:
        >>> check_bounds(Path("a.wav"), 44100, 2)
        >>> check_bounds(Path("a.wav"), 1, 2)
        Traceback (most recent call last):
        auralflow.errors.AudioError: cannot use 'a.wav': found 2 channels at 1 Hz, expected 1 to 64 ...
    """
    if not (RATES[0] <= sample_rate <= RATES[1] and 1 <= channels <= MOST_CHANNELS):
        raise AudioError(
            f"cannot use '{path}'",
            found=f"{channels} channels at {sample_rate} Hz",
            expected=f"1 to {MOST_CHANNELS} channels at {RATES[0]} to {RATES[1]} Hz",
            advice="Its header may be damaged; if not, convert it.",
        )


def check_finite(block: NDArray[Any], path: str | Path) -> None:
    """Refuse samples that are not numbers, before they spread through a model.

    Args:
        block: Samples of any shape.
        path: The file that they belong to, for the message.

    Raises:
        AudioError: If a sample is NaN or infinite.

    Example:
        >>> check_finite(np.zeros((1, 4)), Path("silence.wav"))
    """
    path = Path(path)
    bad = block.size - int(np.count_nonzero(np.isfinite(block)))
    if bad:
        raise AudioError(
            f"'{path}' cannot be used",
            found=f"{bad} samples that are NaN or infinite",
            expected="finite samples",
            advice="Render the file again without them.",
        )


def check_readable(path: str | Path) -> None:
    """Refuse a path that no decoder should be asked to open.

    To be called before anything else is done with a file, also before it is hashed or copied: whoever opens a
    named pipe waits, and a device may never end. Symbolic links are followed.

    Args:
        path: The file to read.

    Raises:
        NotFoundError: If nothing exists at ``path``.
        AudioError: If it is a folder, a device, empty, or may not be read.
    """
    path = Path(path)
    what = f"cannot read '{path}'"
    try:
        # Asked before opening: to open a named pipe would wait for its writer.
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "something that is not a regular file"
            raise AudioError(what, found=kind, expected="an audio file", advice="Name a file.")
        with path.open("rb"):
            pass
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFoundError(
            what, found="no such file", expected="an audio file", advice="Check the path."
        ) from error
    except OSError as error:
        raise AudioError(
            what,
            found=f"'{error.strerror}'",
            expected="a file that may be read",
            advice="Check its permissions and the disk.",
        ) from error
    if status.st_size == 0:
        raise AudioError(
            what, found="an empty file", expected="audio", advice="Copy the file again from where it came."
        )


def ends_early(path: Path, *, found: str, expected: str) -> AudioError:
    """Make the error for a file that holds less than it promises.

    Args:
        path: The file.
        found: How much there is.
        expected: How much was promised.

    Returns:
        The error to be raised.
    """
    return AudioError(
        f"'{path}' ends early",
        found=found,
        expected=expected,
        advice="It is truncated or damaged: copy it again from where it came.",
    )
