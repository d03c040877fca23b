"""Lets one process at a time download a model; the others wait as long as it makes progress."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

__all__ = ["turn"]

STALLED = 180.0
"""Seconds without progress after which waiting for another process's download is abandoned."""

logger = logging.getLogger(__name__)


@contextmanager
def turn(lock: Path, name: str) -> Iterator[None]:
    """Wait until no other process or thread holds a lock, as long as the files beside it keep growing.

    Args:
        lock: The lock file, in the folder of the download.
        name: Name of the model, for messages.

    Raises:
        TimeoutError: If another process holds the lock without making progress.
    """
    held = FileLock(lock)
    try:
        held.acquire(blocking=False)
    except Timeout:
        logger.warning("waiting for another process that is downloading the weights of %s", name)
        _wait(held, lock.parent)
    try:
        yield
    finally:
        held.release()


def _wait(lock: FileLock, folder: Path) -> None:
    seen, since = _progress(folder), time.monotonic()
    while True:
        try:
            lock.acquire(timeout=min(1.0, STALLED))
        except Timeout:
            now = _progress(folder)
            if now != seen:
                seen, since = now, time.monotonic()
            elif time.monotonic() - since > STALLED:
                raise TimeoutError(
                    f"another process that is downloading them without progress for {STALLED:.0f} seconds"
                ) from None
        else:
            return


def _progress(folder: Path) -> list[tuple[str, int]]:
    found = []
    for path in sorted(folder.rglob("*")):
        try:
            found.append((path.name, path.stat().st_size))
        except FileNotFoundError:
            continue
    return found
