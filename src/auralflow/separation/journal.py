"""The journal of an output folder: what is finished and in progress, for any number of processes.

The journal is a file of JSON lines. Lines are only appended, in one piece and under a lock, so that processes
that share the folder can read each other's. A process that dies leaves at most one incomplete line, which is
skipped, as is any other line that is not a `Record`.
"""

import hashlib
import json
import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import RLock

from filelock import FileLock, Timeout

from auralflow.errors import AudioError
from auralflow.separation.records import FileMark, Record
from auralflow.storage import remove_lock_file

__all__ = ["CLAIMS_FOLDER", "JOURNAL_FILE", "LOCK_FILE", "UNFINISHED_FOLDER", "Journal"]

logger = logging.getLogger(__name__)

JOURNAL_FILE = ".auralflow-journal.jsonl"
LOCK_FILE = ".auralflow-journal.lock"
CLAIMS_FOLDER = ".auralflow-claims"
UNFINISHED_FOLDER = ".auralflow-unfinished"
"""Folder for files that are moved to a folder shared with other songs once they are complete."""


class Journal:
    """The journal of an output folder.

    Args:
        folder: The output folder, created on the first write.

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
        # For the threads of this process; file locks keep other processes out.
        self._guard = RLock()
        self._read_to = 0
        self._finished: dict[tuple[str, str], Record] = {}
        self._latest: dict[str, Record] = {}
        self._contents: dict[str, FileMark] = {}

    def refresh(self) -> None:
        """Read the lines added since the last call.

        Raises:
            AudioError: If the journal is not a regular file.
            OSError: If it cannot be read.
        """
        self._check_kinds()
        with self._guard:
            try:
                with self.path.open("rb") as file:
                    file.seek(self._read_to)
                    added = file.read()
            except FileNotFoundError:
                return
            whole = added[: added.rfind(b"\n") + 1]
            self._read_to += len(whole)
            skipped = 0
            for line in whole.split(b"\n"):
                record = Record.from_line(line) if line else None
                if record:
                    self._remember(record)
                else:
                    skipped += bool(line)
            if skipped:
                # A process that died leaves one; more mean that someone edited the file.
                logger.warning("skipped unreadable lines in '%s': %d", self.path, skipped)

    def _remember(self, record: Record) -> None:
        self._latest[record.name] = record
        self._contents[record.source] = record.content
        if record.event == "finished":
            self._finished[record.name, record.key] = record

    def finished(self, name: str, key: str) -> Record | None:
        """The record of a song that was finished with this key and whose files are unchanged, if any."""
        record = self._finished.get((name, key))
        if record is None:
            return None
        folder = self.folder if record.flat else self.folder / name
        return record if all(mark.holds(folder / file) for file, mark in record.files.items()) else None

    def all_finished(self) -> dict[tuple[str, str], Record]:
        """The last "finished" record of each name and key, as of the last `refresh`."""
        return dict(self._finished)

    def latest(self, name: str) -> Record | None:
        """The last record of a song, if any."""
        return self._latest.get(name)

    def mark(self, source: Path) -> FileMark:
        """Identify an input file, without reading it if it has not changed since it was recorded.

        Raises:
            OSError: If it cannot be read.
        """
        return FileMark.of(source, self._contents.get(str(source)))

    def add(self, record: Record) -> None:
        """Append a record and flush it to the disk.

        Raises:
            AudioError: If the journal is not a regular file.
            OSError: If the disk is full.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._check_kinds()
        line = json.dumps(record.to_json(), ensure_ascii=True, allow_nan=False) + "\n"
        with (
            self._guard,
            FileLock(self.folder / LOCK_FILE),
            self.path.open("ab+", buffering=0) as file,
        ):
            end = file.seek(0, os.SEEK_END)
            try:
                if end:
                    file.seek(-1, os.SEEK_END)
                    if file.read(1) != b"\n":
                        # The last writer died in the middle of a line.
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
        """Claim a song for the duration of a ``with`` block, against other processes and threads.

        The operating system releases the claim if the process dies, for whatever reason.

        Args:
            name: Name of the song.

        Yields:
            True if the claim was granted, False if another process or thread has it.
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
            remove_lock_file(path)
            lock.release()

    def close(self) -> None:
        """Remove working folders, unless other processes use them."""
        for name in (CLAIMS_FOLDER, UNFINISHED_FOLDER):
            # It is fine if the folder is in use or was never created.
            with suppress(OSError):
                (self.folder / name).rmdir()

    def unfinished(self, name: str) -> Path:
        """The temporary folder for a song's files, in a layout where they are moved elsewhere afterwards.

        Args:
            name: Name of the song, which must be claimed.
        """
        return self.folder / UNFINISHED_FOLDER / _digest(name)

    def _check_kinds(self) -> None:
        """Reject pipes, which would block, devices, which may never end, and links that leave the folder."""
        wanted = {JOURNAL_FILE: stat.S_ISREG, LOCK_FILE: stat.S_ISREG, CLAIMS_FOLDER: stat.S_ISDIR}
        wanted[UNFINISHED_FOLDER] = stat.S_ISDIR
        for name, is_wanted in wanted.items():
            path = self.folder / name
            with suppress(FileNotFoundError):
                mode = path.lstat().st_mode
                if not is_wanted(mode):
                    raise AudioError(
                        f"cannot use '{path}'",
                        found="a link" if stat.S_ISLNK(mode) else "something else",
                        expected=f"a {'folder' if is_wanted is stat.S_ISDIR else 'regular file'}",
                        advice="Remove it, or choose another --save.",
                    )

    def _claim_path(self, name: str) -> Path:
        self._check_kinds()
        claims = self.folder / CLAIMS_FOLDER
        claims.mkdir(parents=True, exist_ok=True)
        return claims / f"{_digest(name)}.lock"


def _digest(name: str) -> str:
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:32]
