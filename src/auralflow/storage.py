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
from contextlib import contextmanager
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
    "write_json",
    "write_text",
]

PART_SUFFIX = ".part"
"""Ending of a file that is still being written; a left-over of it is never a result."""
LEFTOVER = re.compile(rf"\.[0-9a-f]{{12}}{re.escape(PART_SUFFIX)}")
"""Name of such a file."""
LOCK_SUFFIX = ".lock"


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Folder for what can be had or made again: ``$AURALFLOW_HOME``, else in the user's cache.

    Args:
        environment: The environment variables.

    Example:
        >>> cache_folder({"AURALFLOW_HOME": "/srv/cache"}).as_posix()
        '/srv/cache'
    """
    from platformdirs import user_cache_path  # noqa: PLC0415 - most commands need no cache and start sooner

    home = environment.get("AURALFLOW_HOME", "")
    return Path(home).expanduser() if home else user_cache_path("auralflow", appauthor=False)


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, as hexadecimal digits.

    Args:
        path: The file. It is read in pieces, however long it is.

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
    """Yield a temporary path that becomes ``path`` when the block ends well.

    The temporary file lies in the folder of ``path``, because a rename is only atomic within one file system.
    If the block raises, the temporary file is removed and ``path`` stays as it was.

    Args:
        path: The file to be made or replaced. Its folder is created when missing.

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
    # The name does not grow with that of the target, which may already be as long as the file system allows.
    part = path.parent / f".{secrets.token_hex(6)}{PART_SUFFIX}"
    try:
        yield part
        _flush(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files that a killed process left in a folder and below it.

    Only for a folder that no other process writes to: there every temporary file is a left-over.

    Args:
        folder: The folder.
    """
    for path in folder.rglob(f".*{PART_SUFFIX}"):
        if LEFTOVER.fullmatch(path.name):
            path.unlink(missing_ok=True)


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Keep other processes and threads from making the same folder, as long as the block lasts.

    Waits while another one holds the claim. The operating system gives a claim back when its process dies,
    however it dies: that tells what a dead process left from what a living one works on.

    Args:
        folder: The folder to be made. The one it lies in is created when missing.
    """
    from filelock import FileLock  # noqa: PLC0415 - most commands need no lock and start sooner

    folder.parent.mkdir(parents=True, exist_ok=True)
    path = _part_of(folder).with_suffix(LOCK_SUFFIX)
    with FileLock(path, thread_local=False):
        try:
            yield
        finally:
            # Before it is released: whoever waits then sees that the file is not the same any more.
            path.unlink(missing_ok=True)


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Yield a hidden folder that becomes ``folder`` when the block ends well.

    Only for who has `claimed` the folder. What a dead process left of it goes first.

    Args:
        folder: The folder to be made or replaced.

    Yields:
        The folder to write to. Files in it are flushed by whoever writes them.

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
            # Folders cannot replace one another in one step, unless the old one is empty.
            folder.rename(aside)
        part.rename(folder)
    finally:
        for rest in (part, aside):
            shutil.rmtree(rest, ignore_errors=True)


def remove_dead_folders(folder: Path) -> None:
    """Remove the hidden folders that dead processes left in a folder, and none that a living one fills.

    Args:
        folder: The folder that `atomic_folder` was used in.
    """
    from filelock import FileLock, Timeout  # noqa: PLC0415 - most commands need no lock and start sooner

    found = {path.stem for path in folder.glob(".*") if LEFTOVER.fullmatch(path.stem + PART_SUFFIX)}
    for name in sorted(found):
        lock = folder / (name + LOCK_SUFFIX)
        try:
            with FileLock(lock, blocking=False):
                shutil.rmtree(folder / (name + PART_SUFFIX), ignore_errors=True)
                lock.unlink(missing_ok=True)
        except Timeout:
            continue


def _part_of(folder: Path) -> Path:
    # Of one length, whatever that of the folder's name; and the same in every process.
    name = hashlib.sha256(os.fsencode(folder.name)).hexdigest()[:12]
    return folder.with_name(f".{name}{PART_SUFFIX}")


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file atomically.

    Args:
        path: The file to be made or replaced.
        text: Its content.
    """
    with atomic_path(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file atomically, indented, with a final newline.

    Args:
        path: The file to be made or replaced.
        content: Anything the ``json`` module can write. NaN is refused: it is not JSON.

    Raises:
        ValueError: If ``content`` holds NaN or infinity.
    """
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
