"""The folder in which a server keeps what users send and what it makes for them, for as long as it must."""

import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import FileLock, Timeout

from auralflow.errors import UsageError

__all__ = ["Workspace"]

_PREFIX = "auralflow-app-"
_LOCK = ".lock"
_SWEEPS_PER_LIFE = 10


class Workspace:
    """A folder of one server, which is removed with all that is in it when the server ends.

    What lies in `uploads` and `jobs` for longer than ``keep`` is removed by a thread. The folder of a server
    that was killed is removed by the next one: a lock, which ends with its process, tells it from that of a
    living one.

    Args:
        keep: Seconds after which an upload, or a job that has ended, is removed.
        parent: Where to make the folder. Default: the system's temporary folder.

    Attributes:
        uploads: What users send.
        jobs: A folder for each song that is separated.

    Raises:
        UsageError: If the folder cannot be made.

    Example:
        >>> with Workspace(keep=60) as workspace:
        ...     job = workspace.new_job()
        ...     job.parent == workspace.jobs
        True
        >>> job.exists()
        False
    """

    def __init__(self, keep: float, parent: Path | None = None) -> None:
        self.keep = keep
        parent = (parent or Path(tempfile.gettempdir())).resolve()
        try:
            parent.mkdir(parents=True, exist_ok=True)
            _remove_orphans(parent)
            self.root = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
            # Paths are part of the addresses of files, and a user must not guess those of others.
            self.uploads, self.jobs = self.root / "uploads", self.root / "jobs"
            self.uploads.mkdir()
            self.jobs.mkdir()
        except OSError as error:
            raise UsageError(
                f"cannot keep songs in '{parent}'",
                found=str(error),
                expected="a folder that can be written to",
                advice="Choose another with --folder.",
            ) from None
        self._lock = FileLock(self.root / _LOCK, thread_local=False)
        self._lock.acquire()
        self._busy: set[Path] = set()
        self._guard = threading.Lock()
        self._closed = threading.Event()
        self._janitor = threading.Thread(target=self._sweep_again_and_again, name="janitor", daemon=True)
        self._janitor.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def new_job(self) -> Path:
        """Make the folder of a job; it stays until the job is over, and then as long as it is kept."""
        with self._guard:
            folder = Path(tempfile.mkdtemp(dir=self.jobs))
            self._busy.add(folder)
        return folder

    def end_job(self, folder: Path, *, remove: bool = False) -> None:
        """Say that a job is over: its time runs from now on, or it is removed at once."""
        with self._guard:
            self._busy.discard(folder)
            if remove:
                shutil.rmtree(folder, ignore_errors=True)
            elif folder.exists():
                folder.touch()

    def sweep(self, now: Callable[[], float] = time.time) -> list[Path]:
        """Remove what has been kept for long enough.

        Args:
            now: The time, in seconds since 1970.

        Returns:
            What was removed.
        """
        removed = []
        with self._guard:
            for path in (*self.uploads.iterdir(), *self.jobs.iterdir()):
                with suppress(FileNotFoundError):
                    if path not in self._busy and now() - path.stat().st_mtime > self.keep:
                        _remove(path)
                        removed.append(path)
        return removed

    def close(self) -> None:
        """Remove everything."""
        self._closed.set()
        self._janitor.join()
        self._lock.release()
        shutil.rmtree(self.root, ignore_errors=True)

    def _sweep_again_and_again(self) -> None:
        while not self._closed.wait(min(60.0, self.keep / _SWEEPS_PER_LIFE)):
            self.sweep()


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _remove_orphans(parent: Path) -> None:
    """Remove the folders of servers that were killed."""
    for folder in parent.glob(f"{_PREFIX}*"):
        if not (folder / _LOCK).is_file():
            # It may be that of a server that is just beginning.
            continue
        with suppress(Timeout, OSError), FileLock(folder / _LOCK, timeout=0):
            shutil.rmtree(folder, ignore_errors=True)
