"""Processes one song of a run: claims it, checks the journal, separates it and records the result."""

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
"""Incremented when the same input, model and settings give different samples than before."""

Status = Literal["separated", "kept", "failed", "busy"]


@dataclass(frozen=True)
class Outcome:
    """The outcome for one song.

    Attributes:
        song: The song.
        folder: The folder of its stems.
        status: "separated", "kept" from an earlier run, "failed", or "busy" in another process. Default:
            "separated".
        seconds: Length of the audio in seconds. Default: 0.
        elapsed: Duration of the separation in seconds. Default: 0.
        report: `SongReport` as JSON values; empty if the song failed.
        error: Why it failed, otherwise None.
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
    """Hash of a model's settings and weights.

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
    """Length of a file in seconds, and the maximum disk space in bytes that its separation needs.

    The space includes a temporary copy of the stems, which is needed to find out whether any would clip.

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
    """The one-line error of a song that failed."""
    if isinstance(error, AuralflowError):
        return error
    if isinstance(error, OSError):
        reading = error.filename is not None and Path(error.filename) == song.path.absolute()
        what = f"cannot read '{song.path}'" if reading else f"cannot write the stems of '{song.path}'"
        return AudioError(what, found=(error.strerror if reading else None) or str(error))
    return UnexpectedError.of(f"cannot separate '{song.path}'", error)


def _check_unchanged(song: Song, content: FileMark) -> None:
    if FileMark.of(song.path, content) != content:
        raise AudioError(f"'{song.path}' changed while it was being read", advice="Run again.")


class Worker:
    """Separates songs one by one, skipping what is finished according to the journal.

    Args:
        separator: The separator.
        output: The output folder, with the journal.
        options: What to write for each song.
        force: Separate finished songs again.
        should_stop: Called repeatedly; return True to stop.
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
        # With force, repeat what was finished before this run began, but not what others finish meanwhile.
        self.journal.refresh()
        self._outdated = self.journal.all_finished() if force else {}

    def key(self, content: FileMark) -> str:
        """Hash of everything that determines the stems of an input."""
        parts = {
            "version": ENGINE_VERSION,
            "content": content.sha256,
            "model": self.model,
            "engine": self.separator.identity,
            "stems": self.options.file_identity(),
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def folder(self, name: Path) -> Path:
        """The folder of a song's files."""
        return stem_folder(self.output, name, self.options)

    def run(self, song: Song, on_progress: Callable[[float], None] = lambda _: None) -> Outcome:
        """Separate a song, unless it is finished.

        A song claimed by another process is "busy"; try again later. Any error becomes the outcome of the
        song, so that the others can proceed.

        Raises:
            CancelledError: If ``should_stop`` returned True.
        """
        started = time.monotonic()
        if song.fault:
            return Outcome(song, self.folder(song.name), "failed", error=song.fault)
        try:
            # Before hashing, which would block on a named pipe and never end on a device.
            check_readable(song.path)
            return self._run(song, on_progress)
        except CancelledError:
            raise
        except Exception as error:
            logger.info("'%s' failed", song.path, exc_info=True)
            failure = failure_of(song, error)
            # Outcomes are kept until the end, and their tracebacks would keep the audio in memory.
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
        """Whether a folder contains the stems of another song, from this run or an earlier one."""
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
        # In a shared folder, leftovers of a dead process could not be told apart from other songs' files.
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
            # A full disk may not even have room for this line, and the folder may not be empty.
            with suppress(OSError):
                self.journal.add(replace(record, event="failed", error=str(failure_of(song, error))))
            if flat:
                shutil.rmtree(workshop, ignore_errors=True)
            with suppress(OSError):
                workshop.rmdir()
            raise
        return Outcome(song, folder, "separated", report.seconds, elapsed, report.to_json())

    def _check_folder(self, song: Song, folder: Path) -> None:
        """Reject a folder that the stems must not or cannot go to; remove leftovers of a dead process."""
        if not folder.resolve().is_relative_to(self.output.resolve()):
            raise AudioError(
                f"the stems of '{song.path}' would be written outside the output folder",
                found=f"'{folder}', which links to '{folder.resolve()}'",
                expected=f"a folder in '{self.output}'",
                advice="Remove the link, or choose another --save.",
            )
        names = file_names(self.separator.targets, self.options, song.name.name)
        foreign = [name for name in names if (folder / name).exists()]
        if foreign and not self.force and self.journal.latest(song.name.as_posix()) is None:
            raise AudioError(
                f"'{folder}' contains files that are not in the journal",
                found=", ".join(foreign),
                expected="no files, or the results of an earlier run",
                advice="Choose another --save, or overwrite them with --force.",
            )
        if folder != self.output:
            for part in folder.glob(f".*{PART_SUFFIX}"):
                if LEFTOVER.fullmatch(part.name):
                    part.unlink(missing_ok=True)
        _, needed = bytes_needed(self.separator, song.path, self.options)
        free = shutil.disk_usage(self.output).free
        if needed > free:
            raise AudioError(
                f"not enough disk space for the stems of '{song.path}'",
                found=f"{free / 1e6:.0f} MB free on the disk of '{self.output}'",
                expected=f"{needed / 1e6:.0f} MB",
                advice="Free some space, or choose another --save or --format.",
            )
