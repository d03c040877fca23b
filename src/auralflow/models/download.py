"""Downloads weights: resumable, verified, one process at a time, and with a lower limit on speed."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NamedTuple

from requests import RequestException, Response

from auralflow.errors import ModelError
from auralflow.models.pace import Pace
from auralflow.models.turns import turn
from auralflow.storage import PART_SUFFIX, file_hash

__all__ = ["Wanted", "download"]

RETRIES = 2
PAUSE = 1.0
"""Seconds before the first retry, doubled for the next."""
TIMEOUT = 30.0
"""Seconds without a single byte after which a connection counts as lost."""
WINDOW = 60.0
LEAST = 600 << 10
"""Minimum number of bytes per window of ``WINDOW`` seconds to continue: 10 KiB per second."""
BLOCK = 1 << 14
"""Bytes per read; an incomplete block is lost when a connection breaks."""
SLACK = 1.5
"""Tolerance for files whose size is only known approximately."""
PARTIAL_CONTENT, NOTHING_LEFT, SERVER_ERROR = 206, 416, 500

OnProgress = Callable[[int, int], None]


class Wanted(NamedTuple):
    """A file to download.

    Attributes:
        model: Name of the model, for messages.
        file: Name to save the file under.
        size: Size in bytes.
        sha256: SHA-256, or the beginning of it.
        exact: Whether the size is exact. Default: True.
    """

    model: str
    file: str
    size: int
    sha256: str
    exact: bool = True

    @property
    def limit(self) -> int:
        """Maximum size in bytes."""
        return self.size if self.exact else int(self.size * SLACK)

    def is_whole(self, path: Path) -> bool:
        """Whether a file exists and has the expected content."""
        try:
            if self.exact and path.stat().st_size != self.size:
                return False
            return file_hash(path).startswith(self.sha256)
        except OSError:
            return False


class _AttemptError(Exception):
    """A failed attempt, with its reason and whether retrying is pointless."""

    def __init__(self, why: str, *, final: bool = False) -> None:
        super().__init__(why)
        self.final = final


def download(wanted: Wanted, url: str, folder: Path, *, on_progress: OnProgress | None = None) -> Path:
    """Download a file to a folder, resuming an earlier attempt.

    Of several processes, one downloads and the others wait. A damaged file is replaced.

    Args:
        wanted: The file.
        url: Its URL.
        folder: The folder, used for this model only.
        on_progress: Called with the number of bytes done and the total.

    Returns:
        Path of the file.

    Raises:
        ModelError: If the file cannot be downloaded, arrives too slowly, or has unexpected content.
    """
    path = folder / wanted.file
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with turn(folder / ".lock", wanted.model):
            if not wanted.is_whole(path):
                _fetch(wanted, url, path, on_progress)
            return path
    except (_AttemptError, TimeoutError) as error:
        raise ModelError(
            f"cannot download the weights of {wanted.model} from {url}",
            found=str(error),
            advice="Check the network, or set AURALFLOW_MIRROR to a folder or URL that provides them.",
        ) from None
    except OSError as error:
        raise ModelError(
            f"cannot store the weights of {wanted.model} in '{folder}'",
            found=error.strerror or str(error),
            advice="Set AURALFLOW_HOME to a writable folder.",
        ) from None


def _fetch(wanted: Wanted, url: str, path: Path, on_progress: OnProgress | None) -> None:
    part = path.with_name(f"{path.name}{PART_SUFFIX}")
    for attempt in range(RETRIES + 1):
        try:
            _receive(wanted, url, part, on_progress)
            _accept(wanted, part, path)
        except _AttemptError as error:
            if error.final or attempt == RETRIES:
                raise
            time.sleep(PAUSE * 2**attempt)
        else:
            return


def _accept(wanted: Wanted, part: Path, path: Path) -> None:
    """Give a file its final name if it has the expected content."""
    if not wanted.is_whole(part):
        part.unlink()
        raise _AttemptError("content that does not match the model card")
    part.replace(path)


def _receive(wanted: Wanted, url: str, part: Path, on_progress: OnProgress | None) -> None:
    """Append the missing bytes to a file."""
    done = part.stat().st_size if part.exists() else 0
    # Weights hardly compress, and decompression could expand without limit.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-"} if done else {})
    least = min(LEAST, max(1, wanted.size - done))
    with Pace(WINDOW, least) as pace, pace.session() as session:
        try:
            with session.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
                if answer.status_code == NOTHING_LEFT and done:
                    # Everything has been received already; the hash decides whether it is correct.
                    return
                if not answer.ok:
                    status = answer.status_code
                    raise _AttemptError(f"HTTP status {status}", final=status < SERVER_ERROR)
                if answer.status_code != PARTIAL_CONTENT:
                    done = 0
                with part.open("ab" if done else "wb") as file:
                    done = _copy(answer, file, done, wanted, pace, on_progress)
                if done > wanted.limit:
                    part.unlink()
                    raise _AttemptError(f"more than the expected {wanted.limit} bytes", final=True)
        except RequestException as error:
            if not pace.lost:
                raise _AttemptError(
                    f"a connection that failed or was interrupted ({type(error).__name__})"
                ) from None
    if not done:
        part.unlink(missing_ok=True)
    # A truncated header counts as a complete one, so there may not have been an exception.
    if pace.lost and not wanted.is_whole(part):
        # No retry: it would be just as slow.
        raise _AttemptError(
            f"a connection with less than {pace.least} bytes in {pace.seconds:g} seconds", final=True
        )


def _copy(
    answer: Response, file: BinaryIO, done: int, wanted: Wanted, pace: Pace, on_progress: OnProgress | None
) -> int:
    for block in answer.iter_content(BLOCK):
        done += len(block)
        if done > wanted.limit:
            return done
        file.write(block)
        # Waiting processes watch the size of the file.
        file.flush()
        pace.count(len(block))
        if on_progress:
            on_progress(min(done, wanted.size), wanted.size)
    os.fsync(file.fileno())
    return done
