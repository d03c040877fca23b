"""The state of a training on disk: whole, verified, and read without running any code in it.

A checkpoint is the zip archive that ``torch.save`` writes, and its archive comment is the SHA-256 of all
bytes before the digest. So one file holds both, and whatever reads torch's files reads this one.
"""

import hashlib
import logging
import os
import pickle
import secrets
import shutil
import struct
import time
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import torch

from auralflow.errors import ModelError, TrainingError
from auralflow.storage import PART_SUFFIX, atomic_path

__all__ = [
    "CHECKPOINT_FILE",
    "PREVIOUS_FILE",
    "has_checkpoint",
    "read_checkpoint",
    "recover_checkpoint",
    "set_damaged_aside",
    "write_checkpoint",
]

CHECKPOINT_FILE = Path("checkpoint") / "last"
PREVIOUS_FILE = CHECKPOINT_FILE.with_name("previous")
FORMAT_VERSION = 1
DIGEST_LABEL = b"sha256:"
DIGEST_LENGTH = 64
ALMOST_FULL = 1 << 20
MOST_SHOWN = 100
"""Letters of a name or value in an error, which is one line."""

logger = logging.getLogger(__name__)

# What torch's restricted unpickler and zipfile raise on rubbish depends on the rubbish.
UNREADABLE = (
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


class _DamagedError(ModelError):
    """The content of a checkpoint is not what was written."""


def has_checkpoint(folder: Path) -> bool:
    """Whether a model folder holds a training state.

    Args:
        folder: The model folder.
    """
    return any((folder / name).is_file() for name in (CHECKPOINT_FILE, PREVIOUS_FILE))


def write_checkpoint(path: Path, content: dict[str, Any], *, purpose: dict[str, Any]) -> None:
    """Write a training state atomically, and keep the one before it as ``previous``.

    The new file is read back and compared with what was in memory before it takes the place of the old one.

    Args:
        path: The file.
        content: Tensors, numbers, strings, and lists and dictionaries of them.
        purpose: What the state belongs to (model settings, dataset); compared when it is read.

    Raises:
        TrainingError: If it cannot be written, as on a full disk; the files that were there stay.
    """
    try:
        with atomic_path(path) as part:
            try:
                torch.save({"format_version": FORMAT_VERSION, "purpose": purpose, "content": content}, part)
                _check_archive(part)
                _sign(part)
            except RuntimeError as error:
                # torch reports a failed write without its cause.
                full = shutil.disk_usage(part.parent).free < ALMOST_FULL
                raise OSError("No space left on device" if full else _in_short(error)) from None
            _keep_previous(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise TrainingError(
            f"cannot save the checkpoint '{path}'",
            found=getattr(error, "strerror", None) or str(error),
            advice="What was saved before is untouched. Make room, then go on with --resume.",
        ) from None


def read_checkpoint(path: Path, *, purpose: dict[str, Any]) -> dict[str, Any]:
    """Read a training state without running any code in it.

    Args:
        path: The file.
        purpose: What the state shall belong to.

    Returns:
        What was given to `write_checkpoint`.

    Raises:
        ModelError: If the file is damaged or of another format.
        TrainingError: If it belongs to another model or dataset.
    """
    try:
        _verify(path)
        saved = torch.load(path, map_location="cpu", weights_only=True)
        version, belongs, content = saved["format_version"], dict(saved["purpose"]), dict(saved["content"])
    except UNREADABLE as error:
        raise _DamagedError(
            f"cannot read the checkpoint '{path}'",
            found=_in_short(error),
            expected="a training state",
            advice="Remove it and train without --resume, or put back a whole copy.",
        ) from None
    if version != FORMAT_VERSION:
        raise ModelError(
            f"cannot use the checkpoint '{path}'",
            found=f"format version {version}",
            expected=str(FORMAT_VERSION),
        )
    for name, value in purpose.items():
        if belongs.get(name) != value:
            found, expected = _first_difference(belongs.get(name), value)
            raise TrainingError(
                f"the checkpoint '{path}' belongs to another {name}",
                found=found,
                expected=expected,
                advice="Resume with what it was trained with, or start anew with --force.",
            )
    return content


def _first_difference(saved: Any, wanted: Any) -> tuple[str, str]:
    """Where two purposes differ first, in a few words each; a dataset may have thousands of tracks."""
    if isinstance(saved, dict) and isinstance(wanted, dict):
        name = next(name for name in {**wanted, **saved} if saved.get(name) != wanted.get(name))
        return (f"{name} {saved.get(name)}"[:MOST_SHOWN], f"{name} {wanted.get(name)}"[:MOST_SHOWN])
    if isinstance(saved, list) and isinstance(wanted, list):
        place = next(
            (index for index, pair in enumerate(zip(saved, wanted, strict=False)) if pair[0] != pair[1]),
            min(len(saved), len(wanted)),
        )
        return _track_at(saved, place), _track_at(wanted, place)
    return str(saved)[:MOST_SHOWN], str(wanted)[:MOST_SHOWN]


def _track_at(tracks: list[Any], place: int) -> str:
    count = f"{len(tracks)} track{'s' * (len(tracks) != 1)}"
    if place >= len(tracks):
        return f"{count} and none after number {place}"
    name, samples, *silent = tracks[place]
    known = f", silent: {' '.join(silent)}" if silent else ""
    return f"{count}, number {place + 1} '{str(name)[:MOST_SHOWN]}' of {samples} samples{known}"


def recover_checkpoint(folder: Path, *, purpose: dict[str, Any]) -> dict[str, Any]:
    """Read the last training state of a model folder; if it is damaged, the one before it, with a warning.

    Args:
        folder: A model folder with a training state.
        purpose: What the state shall belong to.

    Returns:
        What was given to `write_checkpoint`.

    Raises:
        ModelError: If both are damaged, or there is no other.
        TrainingError: If it belongs to another model or dataset.
    """
    last, previous = folder / CHECKPOINT_FILE, folder / PREVIOUS_FILE
    if not last.is_file():
        content = read_checkpoint(previous, purpose=purpose)
        logger.warning("there is no '%s'; training goes on from '%s'", last, previous)
        return content
    try:
        return read_checkpoint(last, purpose=purpose)
    except _DamagedError as error:
        if not previous.is_file():
            raise
        try:
            content = read_checkpoint(previous, purpose=purpose)
        except _DamagedError:
            raise error from None
        logger.warning(
            "%s Training goes on from '%s', which is older.", str(error).split(" Remove")[0], previous
        )
        return content


def set_damaged_aside(folder: Path) -> None:
    """Rename a damaged last training state, so that it never takes the place of a good one.

    Args:
        folder: A model folder that no other process writes to or reads.
    """
    last = folder / CHECKPOINT_FILE
    try:
        _verify(last)
    except FileNotFoundError:
        return
    except UNREADABLE:
        aside = last.with_name(time.strftime("damaged-%Y%m%d-%H%M%S"))
        last.replace(aside)
        logger.warning("the damaged checkpoint was moved to '%s'", aside)


def _check_archive(path: Path) -> None:
    """Compare the content with the check sums that were made of it in memory."""
    with zipfile.ZipFile(path) as archive:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise ValueError("compressed entries, which torch does not write")
        damaged = archive.testzip()
    if damaged:
        raise zipfile.BadZipFile(f"damaged content in {damaged}")


def _sign(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = DIGEST_LABEL + b"0" * DIGEST_LENGTH
    with path.open("rb+") as file:
        digest = _digest(file)
        file.seek(-DIGEST_LENGTH, os.SEEK_END)
        file.write(digest)
        # Before the older files change their names: a full disk may only come to light here.
        file.flush()
        os.fsync(file.fileno())


def _verify(path: Path) -> None:
    """Raise unless the content is what was written."""
    with zipfile.ZipFile(path) as archive:
        comment = archive.comment
    if not comment.startswith(DIGEST_LABEL):
        # Of an earlier version, which knew no digest.
        _check_archive(path)
        return
    with path.open("rb") as file:
        if _digest(file) != comment.removeprefix(DIGEST_LABEL):
            raise ValueError("content that does not match its SHA-256: the file is damaged")


def _digest(file: BinaryIO) -> bytes:
    """SHA-256 of a file up to its own digest."""
    left = file.seek(0, os.SEEK_END) - DIGEST_LENGTH
    file.seek(0)
    hashed = hashlib.sha256()
    while left > 0:
        block = file.read(min(left, 1 << 20))
        if not block:
            break
        hashed.update(block)
        left -= len(block)
    return hashed.hexdigest().encode("ascii")


def _keep_previous(path: Path) -> None:
    """Give the file its second name, so that at no moment there is none."""
    if not path.is_file():
        return
    previous = path.with_name(PREVIOUS_FILE.name)
    link = path.with_name(f".{secrets.token_hex(6)}{PART_SUFFIX}")
    try:
        link.hardlink_to(path)
        link.replace(previous)
    except OSError:
        # A file system without hard links.
        path.replace(previous)
    finally:
        with suppress(OSError):
            link.unlink(missing_ok=True)


def _in_short(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
