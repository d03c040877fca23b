"""Files and folders that are never half written, and where a user's cache is.

Everything auralflow writes goes to a temporary name in the same folder, is flushed to the disk and then
renamed, so that a reader sees the old file or the new one and never a part of it.
"""

import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

__all__ = [
    "LEFTOVER",
    "PART_SUFFIX",
    "atomic_folder",
    "atomic_path",
    "cache_folder",
    "claimed",
    "file_hash",
    "remove_dead_folders",
    "remove_leftovers",
    "remove_lock_file",
    "write_json",
    "write_text",
]

PART_SUFFIX = ".part"
"""Suffix of a file that is still being written; one that was left behind is never a result."""
LEFTOVER = re.compile(rf"\.[0-9a-f]{{12}}{re.escape(PART_SUFFIX)}")
"""Name of such a file."""
LOCK_SUFFIX = ".lock"


def cache_folder(environment: Mapping[str, str] | None = None) -> Path:
    """The cache folder: ``$AURALFLOW_HOME``, or a folder in the user's cache directory.

    Args:
        environment: The environment variables. Default: those of this process.

    Example:
        >>> cache_folder({"AURALFLOW_HOME": "/srv/cache"}).as_posix()
        '/srv/cache'
    """
    from platformdirs import user_cache_path  # noqa: PLC0415 - most commands need no cache and start sooner

    home = (os.environ if environment is None else environment).get("AURALFLOW_HOME", "")
    return Path(home).expanduser() if home else user_cache_path("auralflow", appauthor=False)


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, as hexadecimal digits.

    Args:
        path: The file, of any size; it is read in pieces.

    Raises:
        OSError: If it cannot be read.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "empty"
        >>> path.touch()
        >>> file_hash(path)[:16]
        'e3b0c44298fc1c14'
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path that becomes ``path`` when the block succeeds.

    The temporary file is in the folder of ``path``, because renaming is only atomic within one file system.
    If the block raises, the temporary file is removed and ``path`` stays as it was.

    Args:
        path: The file to create or replace. Its folder is created when missing.

    Yields:
        The path to write to.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "note.txt"
        >>> with atomic_path(target) as part:
        ...     _ = part.write_text("whole")
        >>> target.read_text()
        'whole'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Of fixed length: the target's own name may already be as long as the file system allows.
    part = path.parent / f".{secrets.token_hex(6)}{PART_SUFFIX}"
    try:
        yield part
        _flush(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files that a killed process left in a folder or below it.

    Only for a folder that no other process writes to: every temporary file there is a leftover.

    Args:
        folder: The folder.
    """
    for path in folder.rglob(f".*{PART_SUFFIX}"):
        if LEFTOVER.fullmatch(path.name):
            path.unlink(missing_ok=True)


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Keep other processes and threads from making the same folder while the block runs.

    Waits while another one holds the claim. The operating system releases a claim when its process dies,
    however it dies; this distinguishes what a dead process left from what a living one works on.

    Args:
        folder: The folder to make. Its parent is created if missing.
    """
    from filelock import FileLock  # noqa: PLC0415 - most commands need no lock and start sooner

    folder.parent.mkdir(parents=True, exist_ok=True)
    path = _part_of(folder).with_suffix(LOCK_SUFFIX)
    with FileLock(path, thread_local=False):
        try:
            yield
        finally:
            remove_lock_file(path)


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Yield a hidden folder that becomes ``folder`` when the block succeeds.

    The caller must have `claimed` the folder. What a dead process left of it is removed first.

    Args:
        folder: The folder to make or replace.

    Yields:
        The folder to write to. The caller flushes the files in it.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "track"
        >>> with claimed(target), atomic_folder(target) as part:
        ...     _ = (part / "note.txt").write_text("whole")
        >>> [path.name for path in target.parent.iterdir()]
        ['track']
    """
    part = _part_of(folder)
    aside = folder.with_name(f".{secrets.token_hex(6)}{PART_SUFFIX}")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    try:
        yield part
        if folder.exists():
            # A folder cannot replace another in one step, unless that one is empty.
            folder.rename(aside)
        part.rename(folder)
    finally:
        for rest in (part, aside):
            shutil.rmtree(rest, ignore_errors=True)


def remove_dead_folders(folder: Path) -> None:
    """Remove the hidden folders that dead processes left in a folder, but none that a living one is filling.

    Args:
        folder: The folder in which `atomic_folder` was used.
    """
    from filelock import FileLock, Timeout  # noqa: PLC0415 - most commands need no lock and start sooner

    found = {path.stem for path in folder.glob(".*") if LEFTOVER.fullmatch(path.stem + PART_SUFFIX)}
    for name in sorted(found):
        lock = folder / (name + LOCK_SUFFIX)
        try:
            with FileLock(lock, blocking=False):
                shutil.rmtree(folder / (name + PART_SUFFIX), ignore_errors=True)
                remove_lock_file(lock)
        except Timeout:
            continue


def remove_lock_file(path: Path) -> None:
    """Remove the file of a lock that is still held, so that whoever waits notices that it has changed.

    Windows does not remove a file that is open; there it stays, and does no harm.

    Args:
        path: The file of a lock that this process holds.
    """
    with suppress(PermissionError):
        path.unlink(missing_ok=True)


def _part_of(folder: Path) -> Path:
    # Of fixed length, whatever the folder's name, and the same in every process.
    name = hashlib.sha256(os.fsencode(folder.name)).hexdigest()[:12]
    return folder.with_name(f".{name}{PART_SUFFIX}")


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file atomically.

    Args:
        path: The file to create or replace.
        text: Its content.
    """
    with atomic_path(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file atomically, indented, with a final newline.

    Args:
        path: The file to create or replace.
        content: Anything the ``json`` module can write. NaN is refused: it is not JSON.

    Raises:
        ValueError: If ``content`` holds NaN or infinity.
    """
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
