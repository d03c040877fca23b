"""Jobs: songs that are being separated or are finished, which a page finds again after a reload."""

import secrets
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from typing import Self

from auralflow.app.orders import Order, Stage
from auralflow.app.studio import Studio
from auralflow.app.tracks import Result
from auralflow.errors import AuralflowError, CancelledError, NotFoundError, UnexpectedError, UsageError

__all__ = ["Jobs"]


class Jobs:
    """Runs each order in a thread, and lets anyone who knows the name of a job watch it.

    Jobs that are no longer watched are cancelled after a while; finished jobs are forgotten when their files
    are deleted. Names contain 128 random bits, so they cannot be guessed.

    Args:
        studio: Separates the songs.
        clock: Returns the time in seconds since any fixed point. Default: `time.monotonic`.

    Example:
        >>> from pathlib import Path
        >>> from auralflow.app.workspace import Workspace
        >>> from auralflow.config import AppConfig
        >>> with Workspace(keep=60) as workspace, Jobs(Studio({}, AppConfig(), workspace)) as jobs:
        ...     name = jobs.start("me", Order(Path("song.wav"), "any", ("vocals",)))
        ...     next(jobs.watch(name))
        Traceback (most recent call last):
        auralflow.errors.NotFoundError: no model 'any'
    """

    def __init__(self, studio: Studio, clock: Callable[[], float] = time.monotonic) -> None:
        self.studio = studio
        self._clock = clock
        self._jobs: dict[str, _Job] = {}
        self._guard = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self, owner: str, order: Order) -> str:
        """Start a job.

        Args:
            owner: Identifies the user, who may separate one song at a time.
            order: What to do.

        Returns:
            The name of the job.

        Raises:
            UsageError: If a song of this owner is already being separated.
        """
        self._forget()
        name = secrets.token_urlsafe(16)
        with self._guard:
            if any(job.owner == owner and not job.ended for job in self._jobs.values()):
                raise UsageError(
                    "a song is already being separated here", advice="Wait for it, or cancel it."
                )
            job = self._jobs[name] = _Job(owner, order, self._clock)
        job.thread = threading.Thread(target=self._work, args=(job,), name=f"job {name}", daemon=True)
        job.thread.start()
        return name

    def order(self, name: str) -> Order:
        """The order of a job.

        Raises:
            NotFoundError: If the job does not exist, or no longer exists.
        """
        return self._job(name).order

    def watch(self, name: str) -> Generator[Stage, None, Result]:
        """Follow a job to its end, from any number of pages at once.

        Args:
            name: Its name.

        Yields:
            Its progress; the first item at once, if it has started.

        Returns:
            The separated song.

        Raises:
            NotFoundError: If the job does not exist, or no longer exists.
            CancelledError: If it was cancelled.
            AuralflowError: If it failed.
        """
        job = self._job(name)
        with job.watched():
            seen: Stage | None = None
            while (stage := job.after(seen)) is not None:
                yield stage
                seen = stage
        return job.outcome()

    def result(self, name: str) -> Result:
        """The separated song of a finished job.

        Raises:
            NotFoundError: If the job is not finished, does not exist, or no longer exists.
        """
        job = self._job(name)
        if job.result is None:
            raise NotFoundError("this song has not been separated yet")
        return job.result

    def cancel(self, name: str) -> bool:
        """Cancel a job.

        Returns:
            Whether the job was still running.
        """
        with self._guard:
            job = self._jobs.get(name)
        if job is None or job.ended:
            return False
        job.stopped.set()
        return True

    def close(self) -> None:
        """Cancel all jobs, and wait until they have stopped."""
        with self._guard:
            jobs = list(self._jobs.values())
        for job in jobs:
            job.stopped.set()
        for job in jobs:
            if job.thread:
                job.thread.join()

    def _job(self, name: str) -> "_Job":
        self._forget()
        with self._guard:
            job = self._jobs.get(name)
        if job is None:
            raise NotFoundError(
                "this song is no longer available",
                expected=f"one separated in the last {self.studio.settings.keep:g} minutes",
                advice="Choose it again.",
            )
        return job

    def _forget(self) -> None:
        """Forget jobs whose files were deleted, and old failures."""
        keep = 60 * self.studio.settings.keep
        with self._guard:
            for name, job in list(self._jobs.items()):
                gone = job.result is not None and not job.result.archive.exists()
                if gone or (job.ended and job.idle > keep):
                    del self._jobs[name]

    def _work(self, job: "_Job") -> None:
        try:
            with closing(self.studio.run(job.order)) as work:
                job.end(result=self._driven(job, work))
        except AuralflowError as error:
            job.end(error=error)
        except Exception as error:  # noqa: BLE001 - shown to whoever watches the job
            job.end(error=UnexpectedError.of(f"cannot separate '{job.order.song.name}'", error))

    def _driven(self, job: "_Job", work: Generator[Stage, None, Result]) -> Result:
        while True:
            try:
                job.report(next(work))
            except StopIteration as end:
                result: Result = end.value
                return result
            if job.stopped.is_set():
                raise CancelledError(f"'{job.order.song.name}' was cancelled")
            if job.idle > self.studio.settings.patience:
                raise CancelledError(
                    f"'{job.order.song.name}' was cancelled, as no page was showing it any more"
                )


class _Job:
    """The state of one order."""

    def __init__(self, owner: str, order: Order, clock: Callable[[], float]) -> None:
        self.owner = owner
        self.order = order
        self.thread: threading.Thread | None = None
        self.stopped = threading.Event()
        self.result: Result | None = None
        self._error: AuralflowError | None = None
        self._clock = clock
        self._stage: Stage | None = None
        self._watchers = 0
        self._since = clock()
        self._changed = threading.Condition()

    @property
    def ended(self) -> bool:
        return self.result is not None or self._error is not None

    @property
    def idle(self) -> float:
        """Seconds since it was last watched or, if that was later, since it ended; 0 while it is watched."""
        with self._changed:
            return 0.0 if self._watchers and not self.ended else self._clock() - self._since

    def report(self, stage: Stage) -> None:
        with self._changed:
            self._stage = stage
            self._changed.notify_all()

    def end(self, *, result: Result | None = None, error: AuralflowError | None = None) -> None:
        with self._changed:
            self.result, self._error = result, error
            self._since = self._clock()
            self._changed.notify_all()

    def after(self, seen: Stage | None) -> Stage | None:
        """Wait for the next stage after ``seen``; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self.ended or self._stage is not seen)
            return None if self.ended else self._stage

    def outcome(self) -> Result:
        if self.result is None:
            assert self._error is not None
            raise type(self._error)(str(self._error))
        return self.result

    @contextmanager
    def watched(self) -> Iterator[None]:
        with self._changed:
            self._watchers += 1
        try:
            yield
        finally:
            with self._changed:
                self._watchers -= 1
                if not self.ended:
                    self._since = self._clock()
