"""One process at a time downloads a model; the others wait, as long as that one gets anywhere."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

__all__ = ["turn"]

STALLED = 180.0
"""Seconds without progress after which a process that downloads is no longer waited for."""

logger = logging.getLogger(__name__)


@contextmanager
def turn(lock: Path, name: str) -> Iterator[None]:
    """Wait until no other process or thread holds a lock, as long as the files beside it grow.

    Args:
        lock: File of the lock, in the folder that is downloaded to.
        name: Name of the model, for messages.

    Raises:
        TimeoutError: If another process holds the lock and gets nothing done.
    """
    held = FileLock(lock)
    try:
        held.acquire(blocking=False)
    except Timeout:
        logger.warning("another process is downloading the weights of %s: waiting for it", name)
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
                    f"another process that is downloading them and got nothing for {STALLED:.0f} seconds"
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
