"""What the page does with a song, without the page."""

import logging
import shutil
import threading
import time
from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from auralflow.app.intake import check_song, take_in, under_its_own_name
from auralflow.app.line import Line
from auralflow.app.tracks import Result, draw_tracks, pack
from auralflow.app.workspace import Workspace
from auralflow.audio import AudioInfo
from auralflow.config import AppConfig, StemConfig
from auralflow.errors import (
    AudioError,
    AuralflowError,
    CancelledError,
    NotFoundError,
    UnexpectedError,
    UsageError,
)
from auralflow.nets.door import SeparationModel
from auralflow.separation import Separator, SongReport, separate_file
from auralflow.separation.work import bytes_needed

__all__ = ["Order", "Stage", "Studio"]

logger = logging.getLogger(__name__)

_PATIENCE = 0.2
_STEMS = StemConfig(residual=True)
# A share that is too small tells nothing of the rest.
_FIRST_GUESS = 0.02


@dataclass(frozen=True)
class Order:
    """What a user wants.

    Attributes:
        song: The upload.
        model: Name of the model.
        targets: What to separate, at least one of the model's targets.
    """

    song: Path
    model: str
    targets: tuple[str, ...]


@dataclass(frozen=True)
class Stage:
    """How far a song has come.

    Attributes:
        name: What is being done.
        share: How much of it is done, 0 to 1.
        ahead: Songs that come first, while waiting.
        seconds_left: Seconds that separating will still take, None while that cannot be told.
    """

    name: Literal["waiting", "separating", "drawing", "packing"]
    share: float = 0.0
    ahead: int = 0
    seconds_left: float | None = None


class Studio:
    """Separates songs with models that are loaded once, as many at a time as the settings say.

    Args:
        models: The models by name, in the order in which they are offered.
        settings: The limits, and the device.
        workspace: Where songs and stems are kept.

    Example:
        >>> from auralflow.nets.unet import SpectrogramNetConfig
        >>> from auralflow.nets.families import create_model
        >>> model = create_model(SpectrogramNetConfig(num_hidden_channels=1))
        >>> with Workspace(keep=60) as workspace:
        ...     Studio({"mine": model}, AppConfig(), workspace).targets("mine")
        ('vocals',)
    """

    def __init__(
        self, models: Mapping[str, SeparationModel], settings: AppConfig, workspace: Workspace
    ) -> None:
        self.models = dict(models)
        self.settings = settings
        self.workspace = workspace
        self._line = Line(settings.concurrency, settings.max_waiting)
        self._stops: dict[str, threading.Event] = {}
        self._guard = threading.Lock()

    def targets(self, model: str) -> tuple[str, ...]:
        """The targets of a model.

        Raises:
            NotFoundError: If there is no such model.
        """
        if model not in self.models:
            raise NotFoundError(f"no model '{model}'", expected=", ".join(self.models))
        return self.models[model].targets

    def cancel(self, session: str) -> bool:
        """Stop what is being done for a session.

        Returns:
            Whether there was anything.
        """
        with self._guard:
            stop = self._stops.get(session)
        if stop:
            stop.set()
        return stop is not None

    def cancel_all(self) -> None:
        """Stop everything."""
        with self._guard:
            for stop in self._stops.values():
                stop.set()

    def run(self, session: str, order: Order) -> Generator[Stage, None, Result]:
        """Separate a song, telling again and again how far it has come.

        Closing the generator stops the work.

        Args:
            session: Who wants it; each has one song at a time.
            order: What is wanted.

        Yields:
            How far it has come.

        Returns:
            The separated song, in a folder that the workspace keeps for a while.

        Raises:
            UsageError: If the order cannot be taken.
            AudioError: If the song cannot be read, or the stems cannot be written.
            CancelledError: If it was cancelled.
        """
        wanted = self._wanted(order)
        name = order.song.name
        with self._session(session) as stop, self._job(name) as folder:
            kept = take_in(order.song, folder, self.settings)
            with self._line.join() as place, under_its_own_name(kept, name):
                while ahead := place.ahead:
                    yield Stage("waiting", ahead=ahead)
                    if stop.wait(_PATIENCE):
                        raise CancelledError(f"'{name}' was stopped while it waited")
                # Not before its turn: some songs must be decoded to be measured, and a separator holds a copy
                # of the model.
                info = check_song(kept, name, self.settings)
                separator = Separator(self.models[order.model], targets=wanted, device=self.settings.device)
                self._check_disk(separator, info)
                report = yield from _separated(separator, info, folder, stop)
                info.path.unlink()
                return (yield from _shown(folder, report, order.song.stem, stop))

    def _wanted(self, order: Order) -> tuple[str, ...]:
        """The targets of an order, in the model's own order, whatever the order of the clicks."""
        known = self.targets(order.model)
        if not order.targets:
            raise UsageError("no stem was chosen", expected=f"one or more of {', '.join(known)}")
        for target in order.targets:
            if target not in known:
                raise NotFoundError(f"the model has no target '{target}'", expected=", ".join(known))
        return tuple(target for target in known if target in order.targets)

    def _check_disk(self, separator: Separator, info: AudioInfo) -> None:
        _, stems = bytes_needed(separator, info.path, _STEMS)
        # The archive holds them once more.
        needed, free = 2 * stems, shutil.disk_usage(self.workspace.root).free
        if needed > free:
            raise AudioError(
                "there is no room for the stems",
                found=f"{free / 1e6:.0f} MB free",
                expected=f"{needed / 1e6:.0f} MB",
                advice="Try again later.",
            )

    @contextmanager
    def _session(self, session: str) -> Iterator[threading.Event]:
        stop = threading.Event()
        with self._guard:
            if session in self._stops:
                raise UsageError(
                    "a song is already being separated here", advice="Wait for it, or cancel it."
                )
            self._stops[session] = stop
        try:
            yield stop
        finally:
            with self._guard:
                del self._stops[session]

    @contextmanager
    def _job(self, name: str) -> Iterator[Path]:
        folder = self.workspace.new_job()
        done = False
        try:
            yield folder
            done = True
        except OSError as error:
            raise AudioError(
                "cannot write the stems", found=error.strerror or str(error), advice="Try again later."
            ) from error
        except AuralflowError:
            raise
        except Exception as error:
            # The page shows what is said here, and the other songs go on.
            logger.info("'%s' failed", name, exc_info=True)
            advice = "Try another song, and tell whoever runs this page."
            raise UnexpectedError.of(f"cannot separate '{name}'", error, advice=advice) from error
        finally:
            # What failed or was stopped leaves nothing behind.
            self.workspace.end_job(folder, remove=not done)


def _separated(
    separator: Separator, info: AudioInfo, folder: Path, stop: threading.Event
) -> Generator[Stage, None, SongReport]:
    """Separate in a thread and tell how far it is."""
    started = time.monotonic()
    shares = [0.0]

    work = partial(separate_file, on_progress=shares.append, should_stop=stop.is_set)
    with ThreadPoolExecutor(1) as thread:
        future = thread.submit(work, separator, info.path, folder, _STEMS)
        try:
            while not future.done():
                share = shares[-1]
                del shares[:-1]
                elapsed = time.monotonic() - started
                left = elapsed * (1 - share) / share if share > _FIRST_GUESS else None
                yield Stage("separating", share, seconds_left=left)
                _wait(future)
        finally:
            # Whoever closes this generator does not want the rest.
            if not future.done():
                stop.set()
        return future.result()


def _wait(future: Future[SongReport]) -> None:
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    done.wait(_PATIENCE)


def _shown(
    folder: Path, report: SongReport, title: str, stop: threading.Event
) -> Generator[Stage, None, Result]:
    tracks = []
    for track in draw_tracks(folder, report.files):
        tracks.append(track)
        yield Stage("drawing", len(tracks) / len(report.files))
        if stop.is_set():
            raise CancelledError(f"'{title}' was stopped before its end")
    yield Stage("packing")
    return Result(title, report, tuple(tracks), pack(folder, report.files, title))
