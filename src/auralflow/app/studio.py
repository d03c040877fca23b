"""The work behind the page: separates a song, independently of the web."""

import logging
import shutil
import threading
import time
from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from auralflow.app.intake import check_song, take_in, under_its_own_name
from auralflow.app.line import Line, Place
from auralflow.app.orders import Order, Stage
from auralflow.app.tracks import Result, draw_tracks, pack
from auralflow.app.workspace import Workspace
from auralflow.audio import AudioInfo
from auralflow.config import AppConfig, StemConfig
from auralflow.errors import AudioError, AuralflowError, NotFoundError, UnexpectedError, UsageError
from auralflow.nets.door import SeparationModel
from auralflow.separation import Separator, SongReport, separate_file
from auralflow.separation.complement import write_complement
from auralflow.separation.work import bytes_needed

__all__ = ["Studio"]

logger = logging.getLogger(__name__)

_PATIENCE = 0.2
_STEMS = StemConfig(residual=True)
# Before this fraction, the remaining time cannot be estimated.
_FIRST_GUESS = 0.02
_ORIGINAL, _RESIDUAL, _VOCALS, _INSTRUMENTAL = (
    "original.wav",
    "residual.wav",
    "vocals.wav",
    "instrumental.wav",
)


class Studio:
    """Separates songs with models that are loaded once, several at a time if the settings allow it.

    Args:
        models: The models by name, in the order of the menu.
        settings: The limits, and the device.
        workspace: Stores songs and stems.

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

    def targets(self, model: str) -> tuple[str, ...]:
        """The targets of a model.

        Raises:
            NotFoundError: If the model does not exist.
        """
        if model not in self.models:
            raise NotFoundError(f"no model '{model}'", expected=", ".join(self.models))
        return self.models[model].targets

    def run(self, order: Order) -> Generator[Stage, None, Result]:
        """Separate a song.

        Closing the generator stops the work and removes its files.

        Args:
            order: What to do.

        Yields:
            The progress, at short intervals.

        Returns:
            The separated song, in a folder that the workspace keeps for a while.

        Raises:
            UsageError: If the order is invalid, or too many songs are waiting.
            NotFoundError: If the model, a target or the upload does not exist.
            AudioError: If the song cannot be read, or the stems cannot be written.
        """
        wanted = self._wanted(order)
        name = order.song.name
        with self._job(name) as folder:
            kept = take_in(order.song, folder, self.settings)
            with self._line.join() as place, under_its_own_name(kept, name):
                while ahead := place.ahead:
                    yield Stage("waiting", ahead=ahead, seconds_left=place.seconds_ahead)
                    time.sleep(_PATIENCE)
                begun = time.monotonic()
                # Not before its turn: some songs must be decoded to determine their length, and a separator
                # contains a copy of the model.
                info = check_song(kept, name, self.settings)
                separator = Separator(self.models[order.model], targets=wanted, device=self.settings.device)
                self._check_disk(separator, info)
                report = yield from _separated(separator, info, folder, place)
                info.path.unlink()
                result = yield from _shown(folder, report, order.song.stem)
                self._line.record(time.monotonic() - begun)
                return result

    def _wanted(self, order: Order) -> tuple[str, ...]:
        """The targets of an order, in the model's order rather than that of the clicks."""
        known = self.targets(order.model)
        if not order.targets:
            raise UsageError("no stems chosen", expected=f"one or more of {', '.join(known)}")
        for target in order.targets:
            if target not in known:
                raise NotFoundError(f"the model has no target '{target}'", expected=", ".join(known))
        return tuple(target for target in known if target in order.targets)

    def _check_disk(self, separator: Separator, info: AudioInfo) -> None:
        _, stems = bytes_needed(separator, info.path, _STEMS)
        # The instrumental is one more file, and the archive contains all of them again.
        count = len(separator.targets) + 2
        needed, free = 2 * stems * (count + 1) // count, shutil.disk_usage(self.workspace.root).free
        if needed > free:
            raise AudioError(
                "not enough disk space for the stems",
                found=f"{free / 1e6:.0f} MB free",
                expected=f"{needed / 1e6:.0f} MB",
                advice="Try again later.",
            )

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
            # Show the error on the page, and let the other songs continue.
            logger.info("'%s' failed", name, exc_info=True)
            advice = "Try another song, and contact whoever runs this page."
            raise UnexpectedError.of(f"cannot separate '{name}'", error, advice=advice) from error
        finally:
            # Failed and cancelled jobs leave nothing behind.
            self.workspace.end_job(folder, remove=not done)


def _separated(
    separator: Separator, info: AudioInfo, folder: Path, place: Place
) -> Generator[Stage, None, SongReport]:
    """Separate in a thread, and report the progress."""
    started = time.monotonic()
    shares = [0.0]
    stop = threading.Event()
    work = partial(separate_file, on_progress=shares.append, should_stop=stop.is_set)
    with ThreadPoolExecutor(1) as thread:
        future = thread.submit(work, separator, info.path, folder, _STEMS)
        try:
            # A short song may be done before anybody looks; the page shows the stage all the same.
            while True:
                share = shares[-1]
                del shares[:-1]
                elapsed = time.monotonic() - started
                place.seconds_left = elapsed * (1 - share) / share if share > _FIRST_GUESS else None
                yield Stage("separating", share, seconds_left=place.seconds_left)
                if _ends_soon(future):
                    break
        finally:
            # Closing this generator cancels the work.
            stop.set()
        return future.result()


def _ends_soon(future: Future[SongReport]) -> bool:
    """Wait until the work ends, but not long."""
    done = threading.Event()
    future.add_done_callback(lambda _: done.set())
    return done.wait(_PATIENCE)


def _shown(folder: Path, report: SongReport, title: str) -> Generator[Stage, None, Result]:
    yield Stage("drawing")
    files = _with_instrumental(folder, report.files)
    tracks = []
    for track in draw_tracks(folder, files):
        tracks.append(track)
        yield Stage("drawing", len(tracks) / len(files))
    yield Stage("packing")
    return Result(title, report, tuple(tracks), pack(folder, files, title))


def _with_instrumental(folder: Path, files: tuple[str, ...]) -> tuple[str, ...]:
    """Add the instrumental, the original minus the vocals, to the files of a song with vocals."""
    if _VOCALS not in files or _INSTRUMENTAL in files:
        return files
    if len(files) == 3:
        # If the vocals are the only target, the residual already is the instrumental.
        (folder / _RESIDUAL).rename(folder / _INSTRUMENTAL)
        return (_ORIGINAL, _VOCALS, _INSTRUMENTAL)
    write_complement(folder / _ORIGINAL, folder / _VOCALS, folder / _INSTRUMENTAL)
    return (_ORIGINAL, _INSTRUMENTAL, *files[1:])
