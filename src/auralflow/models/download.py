"""Downloading weights: resumed, verified before they get their name, one at a time, never for ever."""

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
"""Seconds before the first retry, twice as many before the next."""
TIMEOUT = 30.0
"""Seconds without a single byte after which a connection counts as lost."""
WINDOW = 60.0
LEAST = 600 << 10
"""A download goes on while at least so many bytes come in so many seconds: 10 KiB a second."""
BLOCK = 1 << 14
"""Bytes at once; what has come of a block is lost where a connection breaks off."""
SLACK = 1.5
"""How much larger than announced a file may be whose size is only about known."""
PARTIAL_CONTENT, NOTHING_LEFT, SERVER_ERROR = 206, 416, 500

OnProgress = Callable[[int, int], None]


class Wanted(NamedTuple):
    """A file to be downloaded.

    Attributes:
        model: Name of the model, for messages.
        file: Name that the file gets.
        size: Its size in bytes.
        sha256: Its SHA-256, or the beginning of it.
        exact: Whether the size is known exactly.
    """

    model: str
    file: str
    size: int
    sha256: str
    exact: bool = True

    @property
    def limit(self) -> int:
        """Bytes that it has at most."""
        return self.size if self.exact else int(self.size * SLACK)

    def is_whole(self, path: Path) -> bool:
        """Whether a file is there and is what is wanted, byte by byte."""
        try:
            if self.exact and path.stat().st_size != self.size:
                return False
            return file_hash(path).startswith(self.sha256)
        except OSError:
            return False


class _AttemptError(Exception):
    """An attempt that failed; it says why, and whether another one may do better."""

    def __init__(self, why: str, *, final: bool = False) -> None:
        super().__init__(why)
        self.final = final


def download(wanted: Wanted, url: str, folder: Path, *, on_progress: OnProgress = lambda *_: None) -> Path:
    """Download a file to a folder, or the rest of it where an earlier attempt broke off.

    Of several processes one downloads and the others wait. A file that is there but damaged is replaced.

    Args:
        wanted: The file.
        url: Its address.
        folder: The folder, of this model alone.
        on_progress: Called with the bytes that have come, and how many there are.

    Returns:
        The file.

    Raises:
        ModelError: If it cannot be downloaded, comes too slowly, or is not what is wanted.
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
            advice="Check the network, or set AURALFLOW_MIRROR to a folder or URL that has them.",
        ) from None
    except OSError as error:
        raise ModelError(
            f"cannot store the weights of {wanted.model} in '{folder}'",
            found=error.strerror or str(error),
            advice="Set AURALFLOW_HOME to a folder that can be written to.",
        ) from None


def _fetch(wanted: Wanted, url: str, path: Path, on_progress: OnProgress) -> None:
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
    """Give a file its name, if it is what is wanted."""
    if not wanted.is_whole(part):
        part.unlink()
        raise _AttemptError("other bytes than the card of the model says")
    part.replace(path)


def _receive(wanted: Wanted, url: str, part: Path, on_progress: OnProgress) -> None:
    """Append to a file what is missing of it."""
    done = part.stat().st_size if part.exists() else 0
    # Weights do not get smaller when they are packed, and what is unpacked could grow without end.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-"} if done else {})
    least = min(LEAST, max(1, wanted.size - done))
    with Pace(WINDOW, least) as pace, pace.session() as session:
        try:
            with session.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
                if answer.status_code == NOTHING_LEFT and done:
                    # All that there is has come already; whether it is right, the hash says.
                    return
                if not answer.ok:
                    status = answer.status_code
                    raise _AttemptError(f"HTTP status {status}", final=status < SERVER_ERROR)
                if answer.status_code != PARTIAL_CONTENT:
                    done = 0
                with part.open("ab" if done else "wb") as file:
                    done = _copy(answer, file, done, wanted, pace, on_progress)
                if done > wanted.limit:
                    # Nothing of it can be right.
                    part.unlink()
                    raise _AttemptError(f"more than the {wanted.limit} bytes that were expected", final=True)
        except RequestException as error:
            if not pace.lost:
                raise _AttemptError(
                    f"a connection that failed or broke off ({type(error).__name__})"
                ) from None
    if not done:
        part.unlink(missing_ok=True)
    # A header that breaks off counts as a whole one, so that there need not have been an exception.
    if pace.lost and not wanted.is_whole(part):
        # Not tried again: it would be as slow.
        raise _AttemptError(
            f"a connection with less than {pace.least} bytes in {pace.seconds:g} seconds", final=True
        )


def _copy(
    answer: Response, file: BinaryIO, done: int, wanted: Wanted, pace: Pace, on_progress: OnProgress
) -> int:
    for block in answer.iter_content(BLOCK):
        done += len(block)
        if done > wanted.limit:
            return done
        file.write(block)
        # Whoever waits for this file looks at its size.
        file.flush()
        pace.count(len(block))
        on_progress(min(done, wanted.size), wanted.size)
    os.fsync(file.fileno())
    return done
