"""What must hold of every file and every sample, whichever library decodes it."""

import stat
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from auralflow.errors import AudioError, NotFoundError

__all__ = ["Audio", "SampleType", "check_finite", "check_readable", "ends_early"]

Audio = NDArray[np.floating[Any]]
"""Samples ``[C, N]``, float32 unless float64 was asked for; full scale is 1.0."""

SampleType = Literal["float32", "float64"]
"""Sample types on offer; 32-bit integer PCM is exact in ``float64`` only."""


def check_finite(block: NDArray[Any], path: Path) -> None:
    """Refuse samples that are not numbers, before they spread through a model.

    Args:
        block: Samples of any shape.
        path: The file that they belong to, for the message.

    Raises:
        AudioError: If a sample is NaN or infinite.

    Example:
        >>> check_finite(np.zeros((1, 4)), Path("silence.wav"))
    """
    bad = block.size - int(np.count_nonzero(np.isfinite(block)))
    if bad:
        raise AudioError(
            f"'{path}' cannot be used",
            found=f"{bad} samples that are NaN or infinite",
            expected="finite samples",
            advice="Render the file again without them.",
        )


def check_readable(path: Path) -> None:
    """Refuse a path that no decoder should be asked to open.

    To be called before anything else is done with a file, also before it is hashed or copied: whoever opens a
    named pipe waits, and a device may never end. Symbolic links are followed.

    Args:
        path: The file to be read.

    Raises:
        NotFoundError: If nothing exists at ``path``.
        AudioError: If it is a folder, a device, empty, or may not be read.
    """
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
