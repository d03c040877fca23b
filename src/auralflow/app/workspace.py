"""The folder in which a server temporarily stores uploads and their stems."""

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
    """The folder of a server, which is removed with all its contents when the server stops.

    A thread removes anything that was in `uploads` or `jobs` for longer than ``keep``. The folder of a server
    that was killed is removed by the next one: folders of running servers are locked, and the operating
    system releases a lock when its process ends.

    Args:
        keep: Seconds after which an upload or a finished job is removed.
        parent: Where to create the folder. Default: the system's temporary folder.

    Attributes:
        uploads: Folder for uploads.
        jobs: Folder with a folder for each job.

    Raises:
        UsageError: If the folder cannot be created.

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
            # Paths are part of URLs, and users must not be able to guess those of others.
            self.uploads, self.jobs = self.root / "uploads", self.root / "jobs"
            self.uploads.mkdir()
            self.jobs.mkdir()
        except OSError as error:
            raise UsageError(
                f"cannot store songs in '{parent}'",
                found=str(error),
                expected="a writable folder",
                advice="Choose another one with --folder.",
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
        """Create the folder of a job, which is kept until the job ends, and for a while afterwards."""
        with self._guard:
            folder = Path(tempfile.mkdtemp(dir=self.jobs))
            self._busy.add(folder)
        return folder

    def end_job(self, folder: Path, *, remove: bool = False) -> None:
        """Mark a job as finished: its folder is removed after a while, or at once."""
        with self._guard:
            self._busy.discard(folder)
            if remove:
                shutil.rmtree(folder, ignore_errors=True)
            elif folder.exists():
                folder.touch()

    def sweep(self, now: Callable[[], float] = time.time) -> list[Path]:
        """Remove whatever has been kept for long enough.

        Args:
            now: Returns the time in seconds since 1970. Default: `time.time`.

        Returns:
            The removed files and folders.
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
            # It may belong to a server that is just starting.
            continue
        with suppress(Timeout, OSError), FileLock(folder / _LOCK, timeout=0):
            shutil.rmtree(folder, ignore_errors=True)
