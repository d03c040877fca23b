"""Training state on disk: complete, verified, and read without executing any code in it.

A checkpoint is a zip archive written by ``torch.save``, whose archive comment is the SHA-256 of all bytes
before the digest. One file therefore contains both, and can be read like any other PyTorch file.
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
"""Maximum length of a name or value in an error message."""

logger = logging.getLogger(__name__)

# Torch's restricted unpickler and zipfile raise many kinds of exceptions for garbage.
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
    """The content of a checkpoint is damaged."""


def has_checkpoint(folder: Path) -> bool:
    """Whether a model folder contains a training state.

    Args:
        folder: The model folder.
    """
    return any((folder / name).is_file() for name in (CHECKPOINT_FILE, PREVIOUS_FILE))


def write_checkpoint(path: Path, content: dict[str, Any], *, purpose: dict[str, Any]) -> None:
    """Write a training state atomically, and keep the one before it as ``previous``.

    The new file is read back and compared with the content in memory before it replaces the old one.

    Args:
        path: The file.
        content: Tensors, numbers, strings, and lists and dictionaries of them.
        purpose: What the state belongs to (model settings, dataset), which is checked when it is read.

    Raises:
        TrainingError: If it cannot be written, for example because the disk is full; earlier files are kept.
    """
    try:
        with atomic_path(path) as part:
            try:
                torch.save({"format_version": FORMAT_VERSION, "purpose": purpose, "content": content}, part)
                _check_archive(part)
                _sign(part)
            except RuntimeError as error:
                # torch reports a failed write without the cause.
                full = shutil.disk_usage(part.parent).free < ALMOST_FULL
                raise OSError("No space left on device" if full else _in_short(error)) from None
            _keep_previous(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise TrainingError(
            f"cannot save the checkpoint '{path}'",
            found=getattr(error, "strerror", None) or str(error),
            advice="Earlier checkpoints are untouched. Free some space, then continue with --resume.",
        ) from None


def read_checkpoint(path: Path, *, purpose: dict[str, Any]) -> dict[str, Any]:
    """Read a training state without executing any code in it.

    Args:
        path: The file.
        purpose: What the state must belong to.

    Returns:
        The content given to `write_checkpoint`.

    Raises:
        ModelError: If the file is damaged or has another format.
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
            advice="Remove it and train without --resume, or restore an intact copy.",
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
                advice="Resume with the original one, or start over with --force.",
            )
    return content


def _first_difference(saved: Any, wanted: Any) -> tuple[str, str]:
    """The first difference between two purposes, in a few words; a dataset may have thousands of tracks."""
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
        return f"{count}, none after number {place}"
    name, samples, *silent = tracks[place]
    known = f", silent: {' '.join(silent)}" if silent else ""
    return f"{count}, number {place + 1} '{str(name)[:MOST_SHOWN]}' of {samples} samples{known}"


def recover_checkpoint(folder: Path, *, purpose: dict[str, Any]) -> dict[str, Any]:
    """Read the last training state of a model folder, or the one before it, with a warning, if damaged.

    Args:
        folder: A model folder with a training state.
        purpose: What the state must belong to.

    Returns:
        The content given to `write_checkpoint`.

    Raises:
        ModelError: If both are damaged, or there is only one.
        TrainingError: If it belongs to another model or dataset.
    """
    last, previous = folder / CHECKPOINT_FILE, folder / PREVIOUS_FILE
    if not last.is_file():
        content = read_checkpoint(previous, purpose=purpose)
        logger.warning("there is no '%s'; continuing from '%s'", last, previous)
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
        logger.warning("%s Continuing from the older '%s'.", str(error).split(" Remove")[0], previous)
        return content


def set_damaged_aside(folder: Path) -> None:
    """Rename a damaged last training state, so that it never replaces an intact one.

    Args:
        folder: A model folder that no other process is using.
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
    """Verify the checksums, which were computed in memory when writing."""
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
        # Before renaming the older files, because a full disk may only be noticed here.
        file.flush()
        os.fsync(file.fileno())


def _verify(path: Path) -> None:
    """Raise an exception if the content is damaged."""
    with zipfile.ZipFile(path) as archive:
        comment = archive.comment
    if not comment.startswith(DIGEST_LABEL):
        # Written by an earlier version, without a digest.
        _check_archive(path)
        return
    with path.open("rb") as file:
        if _digest(file) != comment.removeprefix(DIGEST_LABEL):
            raise ValueError("content that does not match its SHA-256: the file is damaged")


def _digest(file: BinaryIO) -> bytes:
    """SHA-256 of a file up to the digest in it."""
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
    """Keep the file under a second name, such that there is a valid file at any moment."""
    if not path.is_file():
        return
    previous = path.with_name(PREVIOUS_FILE.name)
    link = path.with_name(f".{secrets.token_hex(6)}{PART_SUFFIX}")
    try:
        link.hardlink_to(path)
        link.replace(previous)
    except OSError:
        # The file system does not support hard links.
        path.replace(previous)
    finally:
        with suppress(OSError):
            link.unlink(missing_ok=True)


def _in_short(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
