"""What is done and what is under way in an output folder, for any number of processes at once.

The journal is a file of JSON lines. A line is only ever added, in one piece and under a lock, so that
processes that share the folder read what the others did, and a process that dies leaves whole lines and at
most one torn one, which is passed over.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Any

from filelock import FileLock, Timeout

__all__ = ["CLAIMS_FOLDER", "JOURNAL_FILE", "LOCK_FILE", "FileMark", "Journal", "Record", "content_hash"]

JOURNAL_FILE = ".auralflow-journal.jsonl"
LOCK_FILE = ".auralflow-journal.lock"
CLAIMS_FOLDER = ".auralflow-claims"


def content_hash(path: Path) -> str:
    """SHA-256 of a file's bytes.

    Raises:
        OSError: If it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class FileMark:
    """How a file is known again.

    Attributes:
        size: In bytes.
        modified: Time of its last change, in nanoseconds.
        sha256: Hash of its content.
    """

    size: int
    modified: int
    sha256: str

    @classmethod
    def of(cls, path: Path, earlier: "FileMark | None" = None) -> "FileMark":
        """Mark a file; one that has not been touched since ``earlier`` is not read again.

        Raises:
            OSError: If it cannot be read.
        """
        status = path.stat()
        if earlier and (earlier.size, earlier.modified) == (status.st_size, status.st_mtime_ns):
            return earlier
        return cls(status.st_size, status.st_mtime_ns, content_hash(path))

    def holds(self, path: Path) -> bool:
        """Whether a file is still what was marked."""
        try:
            return path.stat().st_size == self.size and FileMark.of(path, self).sha256 == self.sha256
        except OSError:
            return False


@dataclass(frozen=True)
class Record:
    """A line of the journal.

    Attributes:
        event: "started", "finished" or "failed".
        name: Name of the song: its folder below the journal's.
        key: What was done: a hash of the input's content, the model and the settings.
        source: The input file.
        content: How the input is known again.
        files: How the output files are known again, by name; only of "finished".
        report: What was reported; only of "finished".
        error: Why it failed; only of "failed".
    """

    event: str
    name: str
    key: str
    source: str
    content: FileMark
    files: Mapping[str, FileMark]
    report: Mapping[str, Any]
    error: str = ""

    def to_json(self) -> dict[str, Any]:
        """The record as JSON values."""
        own = {"event": self.event, "name": self.name, "key": self.key, "source": self.source}
        own |= {"error": self.error} if self.error else {}
        files = {name: vars(mark) for name, mark in self.files.items()}
        return own | {"content": vars(self.content), "files": files, "report": dict(self.report)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Record":
        """Read a record.

        Raises:
            KeyError: If something is missing.
            TypeError: If something is of another kind.
        """
        return cls(
            event=values["event"],
            name=values["name"],
            key=values["key"],
            source=values["source"],
            content=FileMark(**values["content"]),
            files={name: FileMark(**mark) for name, mark in values["files"].items()},
            report=values["report"],
            error=values.get("error", ""),
        )


class Journal:
    """The journal of an output folder.

    Args:
        folder: The output folder, made when something is first written.

    Example:
        >>> import tempfile
        >>> journal = Journal(Path(tempfile.mkdtemp()))
        >>> with journal.claim("song") as mine, journal.claim("song") as also_mine:
        ...     mine, also_mine
        (True, False)
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / JOURNAL_FILE
        # Threads of one process share it; the locks on files keep other processes out.
        self._guard = RLock()
        self._read_to = 0
        self._finished: dict[tuple[str, str], Record] = {}
        self._latest: dict[str, Record] = {}
        self._contents: dict[str, FileMark] = {}

    def refresh(self) -> None:
        """Read what has been added since the last time.

        Raises:
            OSError: If the journal cannot be read.
        """
        with self._guard:
            try:
                with self.path.open("rb") as file:
                    file.seek(self._read_to)
                    added = file.read()
            except FileNotFoundError:
                return
            whole = added[: added.rfind(b"\n") + 1]
            self._read_to += len(whole)
            for line in whole.splitlines():
                try:
                    record = Record.from_json(json.loads(line))
                except (ValueError, KeyError, TypeError, AttributeError):
                    continue  # torn by the death of its writer
                self._remember(record)

    def _remember(self, record: Record) -> None:
        self._latest[record.name] = record
        self._contents[record.source] = record.content
        if record.event == "finished":
            self._finished[record.name, record.key] = record

    def finished(self, name: str, key: str) -> Record | None:
        """The record of a song that was finished with this key and whose files are still what they were."""
        record = self._finished.get((name, key))
        if record and all(mark.holds(self.folder / name / file) for file, mark in record.files.items()):
            return record
        return None

    def all_finished(self) -> dict[tuple[str, str], Record]:
        """The last record of each name and key that was finished, as far as the journal has been read."""
        return dict(self._finished)

    def latest(self, name: str) -> Record | None:
        """The last record of a song."""
        return self._latest.get(name)

    def mark(self, source: Path) -> FileMark:
        """Mark an input file, without reading it again if the journal knows it unchanged.

        Raises:
            OSError: If it cannot be read.
        """
        return FileMark.of(source, self._contents.get(str(source)))

    def add(self, record: Record) -> None:
        """Add a record and flush it to the disk.

        Raises:
            OSError: If the disk is full.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        line = json.dumps(record.to_json(), ensure_ascii=True, allow_nan=False) + "\n"
        with (
            self._guard,
            FileLock(self.folder / LOCK_FILE),
            self.path.open("ab+", buffering=0) as file,
        ):
            end = file.seek(0, os.SEEK_END)
            try:
                if end and os.pread(file.fileno(), 1, end - 1) != b"\n":
                    # Whoever wrote last died in the middle of a line.
                    line = "\n" + line
                data = line.encode("ascii")
                if file.write(data) != len(data):
                    raise OSError(28, "No space left on device")  # noqa: TRY301
                os.fsync(file.fileno())
            except OSError:
                file.truncate(end)
                raise

    @contextmanager
    def claim(self, name: str) -> Iterator[bool]:
        """Keep other processes and threads from a song, as long as the block lasts.

        The operating system gives a claim back when its process dies, however it dies.

        Args:
            name: Name of the song.

        Yields:
            Whether the claim was granted; not if another has it.
        """
        path = self._claim_path(name)
        lock = FileLock(path, blocking=False)
        try:
            lock.acquire()
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            # Before it is released: whoever waits for it then sees that the file is not the same any more.
            path.unlink(missing_ok=True)
            lock.release()

    def close(self) -> None:
        """Tidy up, if no other process is at work."""
        # Not empty, or never made: both are fine.
        with suppress(OSError):
            (self.folder / CLAIMS_FOLDER).rmdir()

    def _claim_path(self, name: str) -> Path:
        claims = self.folder / CLAIMS_FOLDER
        claims.mkdir(parents=True, exist_ok=True)
        return claims / f"{hashlib.sha256(os.fsencode(name)).hexdigest()[:32]}.lock"
