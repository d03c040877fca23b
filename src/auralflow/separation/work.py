"""One song of a folder: claimed, checked against the journal, separated, and entered there."""

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from auralflow.audio import check_readable, probe
from auralflow.audio.encoding import choose_encoding
from auralflow.config import StemConfig
from auralflow.errors import AudioError, AuralflowError, CancelledError, UnexpectedError
from auralflow.nets.door import SeparationModel
from auralflow.separation.journal import Journal
from auralflow.separation.naming import file_names, stem_folder
from auralflow.separation.records import FileMark, Record
from auralflow.separation.song import range_of, separate_file
from auralflow.separation.songs import Song, numbered
from auralflow.separation.stream import Separator
from auralflow.storage import LEFTOVER, PART_SUFFIX

__all__ = ["Outcome", "Status", "Worker", "bytes_needed", "failure_of", "fingerprint"]

logger = logging.getLogger(__name__)

ENGINE_VERSION = 1
"""Raised when the same input, model and settings give other samples than before."""

Status = Literal["separated", "kept", "failed", "busy"]


@dataclass(frozen=True)
class Outcome:
    """What became of a song.

    Attributes:
        song: The song.
        folder: The folder with its stems.
        status: "separated" now, "kept" from earlier, "failed", or "busy" in another process.
        seconds: Length of the audio.
        elapsed: Seconds that it took.
        report: What was written; empty if it failed.
        error: Why it failed, None if it did not.
    """

    song: Song
    folder: Path
    status: Status = "separated"
    seconds: float = 0.0
    elapsed: float = 0.0
    report: dict[str, Any] = field(default_factory=dict)
    error: AuralflowError | None = None

    def to_json(self) -> dict[str, Any]:
        """The outcome as JSON values."""
        return {
            "source": str(self.song.path),
            "folder": str(self.folder),
            "status": self.status,
            "elapsed": round(self.elapsed, 3),
            "error": str(self.error) if self.error else None,
            **self.report,
        }


def fingerprint(model: SeparationModel) -> str:
    """Hash of a model: its settings and every number of its weights.

    Example:
        >>> from auralflow.nets.unet import SpectrogramNetConfig
        >>> from auralflow.nets.families import create_model
        >>> model = create_model(SpectrogramNetConfig(num_hidden_channels=1))
        >>> fingerprint(model) == fingerprint(model)
        True
    """
    digest = hashlib.sha256(json.dumps(model.config.model_dump(mode="json"), sort_keys=True).encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def bytes_needed(separator: Separator, path: Path, options: StemConfig) -> tuple[float, int]:
    """Seconds of audio in a file, and bytes that its separation takes on the disk at most.

    Besides the stems there is the temporary copy of them that shows whether any would clip.

    Raises:
        AudioError: If the file cannot be read.
    """
    info = probe(path)
    encoding = choose_encoding(info, options.format, options.subtype)
    _, frames = range_of(info, options)
    samples = frames * info.channels
    count = len(file_names(separator.targets, options, path.stem))
    spooled = 0 if encoding.is_float else 8 + 4 * len(separator.targets)
    # A page for each file's header, tags and last block.
    return frames / info.sample_rate, round(
        samples * (count * encoding.bytes_per_sample + spooled)
    ) + 8192 * count


def failure_of(song: Song, error: Exception) -> AuralflowError:
    """What is said of a song that failed, in one line."""
    if isinstance(error, AuralflowError):
        return error
    if isinstance(error, OSError):
        reading = error.filename is not None and Path(error.filename) == song.path.absolute()
        what = f"cannot read '{song.path}'" if reading else f"cannot write the stems of '{song.path}'"
        return AudioError(what, found=(error.strerror if reading else None) or str(error))
    return UnexpectedError.of(f"cannot separate '{song.path}'", error)


def _check_unchanged(song: Song, content: FileMark) -> None:
    if FileMark.of(song.path, content) != content:
        raise AudioError(f"'{song.path}' changed while it was read", advice="Run again.")


class Worker:
    """Takes songs one after the other and does with each what the journal says is left to do.

    Args:
        separator: The separator.
        output: The output folder, with the journal.
        options: What is written of each song.
        force: Whether to do again what is done.
        should_stop: Is asked again and again whether to stop.
    """

    def __init__(
        self,
        separator: Separator,
        output: Path,
        options: StemConfig,
        *,
        force: bool = False,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.separator = separator
        self.output = output
        self.options = options
        self.force = force
        self.should_stop = should_stop
        self.journal = Journal(output)
        self.model = fingerprint(separator.model)
        # With force, what was done before this run began is done again, but not what others do meanwhile.
        self.journal.refresh()
        self._outdated = self.journal.all_finished() if force else {}

    def key(self, content: FileMark) -> str:
        """Hash of all that decides what the stems of an input are."""
        parts = {
            "version": ENGINE_VERSION,
            "content": content.sha256,
            "model": self.model,
            "engine": self.separator.identity,
            "stems": self.options.file_identity(),
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def folder(self, name: Path) -> Path:
        """The folder with the files of a song."""
        return stem_folder(self.output, name, self.options)

    def run(self, song: Song, on_progress: Callable[[float], None] = lambda _: None) -> Outcome:
        """Do what is left to do of a song.

        A song that is in another process's hands is "busy"; ask again later. Whatever goes wrong with this
        song is its outcome, so that the others are done all the same.

        Raises:
            CancelledError: If ``should_stop`` said so.
        """
        started = time.monotonic()
        if song.fault:
            return Outcome(song, self.folder(song.name), "failed", error=song.fault)
        try:
            # Before its hash is computed, which would wait at a named pipe and never end at a device.
            check_readable(song.path)
            return self._run(song, on_progress)
        except CancelledError:
            raise
        except Exception as error:
            logger.info("'%s' failed", song.path, exc_info=True)
            failure = failure_of(song, error)
            # Outcomes are kept to the end, and with its traceback each would hold the audio it failed at.
            failure.__cause__ = failure.__context__ = failure.__traceback__ = None
            return Outcome(
                song, self.folder(song.name), "failed", elapsed=time.monotonic() - started, error=failure
            )

    def _run(self, song: Song, on_progress: Callable[[float], None]) -> Outcome:
        number, name = 1, song.name
        while True:
            with self.journal.claim(name.as_posix()) as granted:
                if not granted:
                    return Outcome(song, self.folder(name), "busy")
                self.journal.refresh()
                content = self.journal.mark(song.path.absolute())
                if not self._is_taken(name, song, content):
                    return self._run_claimed(replace(song, name=name), content, on_progress)
            number += 1
            name = numbered(song.name, number)

    def _is_taken(self, name: Path, song: Song, content: FileMark) -> bool:
        """Whether a folder holds the stems of another song, from this run or an earlier one."""
        latest = self.journal.latest(name.as_posix())
        return (
            latest is not None
            and latest.source != str(song.path.absolute())
            and latest.content.sha256 != content.sha256
        )

    def _run_claimed(self, song: Song, content: FileMark, on_progress: Callable[[float], None]) -> Outcome:
        started = time.monotonic()
        name, key, folder = song.name.as_posix(), self.key(content), self.folder(song.name)
        done = self.journal.finished(name, key)
        if done and done is not self._outdated.get((name, key)):
            return Outcome(song, folder, "kept", done.report["seconds"], 0.0, dict(done.report))
        self._check_folder(song, folder)
        flat = folder == self.output
        # Beside files of other songs nobody could tell what a dead process left of this one.
        workshop = self.journal.unfinished(name) if flat else folder
        if flat:
            shutil.rmtree(workshop, ignore_errors=True)
        record = Record("started", name, key, str(song.path.absolute()), content, {}, {}, flat=flat)
        self.journal.add(record)
        try:
            report = separate_file(
                self.separator,
                song.path,
                workshop,
                self.options,
                track=song.name.name,
                on_progress=on_progress,
                should_stop=self.should_stop,
                before_naming=partial(_check_unchanged, song, content),
            )
            files = {file: FileMark.of(workshop / file) for file in report.files}
            if flat:
                for file in report.files:
                    (workshop / file).replace(folder / file)
                workshop.rmdir()
            elapsed = time.monotonic() - started
            finished = replace(
                record, event="finished", files=files, report=report.to_json(), elapsed=elapsed
            )
            self.journal.add(finished)
        except Exception as error:
            # A full disk may not even take this line, and the folder stays if there is something in it.
            with suppress(OSError):
                self.journal.add(replace(record, event="failed", error=str(failure_of(song, error))))
            if flat:
                shutil.rmtree(workshop, ignore_errors=True)
            with suppress(OSError):
                workshop.rmdir()
            raise
        return Outcome(song, folder, "separated", report.seconds, elapsed, report.to_json())

    def _check_folder(self, song: Song, folder: Path) -> None:
        """Refuse a folder that the stems must not or cannot go to; clear what a dead process left there."""
        if not folder.resolve().is_relative_to(self.output.resolve()):
            raise AudioError(
                f"the stems of '{song.path}' would leave the output folder",
                found=f"'{folder}', which leads to '{folder.resolve()}'",
                expected=f"a folder in '{self.output}'",
                advice="Remove the link, or choose another --save.",
            )
        names = file_names(self.separator.targets, self.options, song.name.name)
        foreign = [name for name in names if (folder / name).exists()]
        if foreign and not self.force and self.journal.latest(song.name.as_posix()) is None:
            raise AudioError(
                f"'{folder}' holds files that are not in the journal",
                found=", ".join(foreign),
                expected="none, or the results of an earlier run",
                advice="Choose another --save, or replace them with --force.",
            )
        if folder != self.output:
            for part in folder.glob(f".*{PART_SUFFIX}"):
                if LEFTOVER.fullmatch(part.name):
                    part.unlink(missing_ok=True)
        _, needed = bytes_needed(self.separator, song.path, self.options)
        free = shutil.disk_usage(self.output).free
        if needed > free:
            raise AudioError(
                f"the disk cannot hold the stems of '{song.path}'",
                found=f"{free / 1e6:.0f} MB free on the disk of '{self.output}'",
                expected=f"{needed / 1e6:.0f} MB",
                advice="Free some space, choose another --save, or another --format.",
            )
