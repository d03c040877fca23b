"""Extracts checkpoints from archives: only the files needed, and never outside the target folder."""

import gzip
import io
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from auralflow.errors import ModelError
from auralflow.models.reading.settings_file import SETTINGS_ENDINGS
from auralflow.models.reading.zips import ZIP_FAULTS, is_zip

__all__ = ["WEIGHT_ENDINGS", "extract_checkpoint", "is_needed"]

WEIGHT_ENDINGS = (".pth", ".pt", ".ckpt", ".th", ".chkpnt", ".safetensors", ".onnx", ".index")
MAX_MEMBERS = 20_000
MAX_RATIO = 20
"""Weights hardly compress; anything that expands more than this is meant to fill the disk."""
SLACK = 1 << 24
FAULTS = (*ZIP_FAULTS, EOFError, MemoryError, zlib.error, tarfile.TarError)


@dataclass(frozen=True)
class _Member:
    name: str
    size: int
    is_folder: bool
    is_plain: bool


def is_needed(name: str) -> bool:
    """Whether a file may belong to a checkpoint, judging by its name."""
    lower = name.lower()
    return lower.endswith(WEIGHT_ENDINGS + SETTINGS_ENDINGS) or ".data-" in lower.rpartition("/")[2]


def extract_checkpoint(path: Path, folder: Path) -> list[Path]:
    """Extract the files of a ``.tar``, ``.tar.gz``, ``.zip`` or wheel that may belong to a checkpoint.

    Args:
        path: The archive.
        folder: An empty folder.

    Returns:
        The files, sorted by name.

    Raises:
        ModelError: If the archive is damaged, contains links or names that lead elsewhere, or expands more
            than weights do.
    """
    limit = MAX_RATIO * path.stat().st_size + SLACK
    try:
        extract = _extract_zip if is_zip(path) else _extract_tar
        return sorted(extract(path, folder, limit))
    except FAULTS as error:
        raise ModelError(
            f"cannot use the archive '{path}'",
            found=str(error) or type(error).__name__,
            expected="a complete archive of regular files",
            advice="Nothing from it was kept.",
        ) from None


def _extract_zip(path: Path, folder: Path, limit: int) -> Iterator[Path]:
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
        members = [
            _Member(info.filename, info.file_size, info.is_dir(), not stat.S_ISLNK(info.external_attr >> 16))
            for info in infos
        ]
        _check(members)
        if sum(member.size for member in members) > limit:
            raise ValueError(
                f"{sum(member.size for member in members)} bytes compressed to {path.stat().st_size}"
            )
        for info, member in zip(infos, members, strict=True):
            if not member.is_folder and is_needed(member.name):
                with archive.open(info) as source:
                    yield _write(source, folder, member)


def _extract_tar(path: Path, folder: Path, limit: int) -> Iterator[Path]:
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        bounded = _Bounded(gzip.GzipFile(fileobj=file) if compressed else file, limit)
        seen: list[_Member] = []
        with tarfile.open(fileobj=bounded, mode="r|") as archive:
            for info in archive:
                member = _Member(info.name, info.size, info.isdir(), info.isfile() or info.isdir())
                seen.append(member)
                # The full list of names is only known at the end, so check each before using it.
                _check([member], count=len(seen))
                source = archive.extractfile(info)
                if source is not None and is_needed(member.name):
                    yield _write(source, folder, member)
    if len({member.name for member in seen}) < len(seen):
        raise ValueError("a duplicate name")


def _check(members: list[_Member], count: int = 0) -> None:
    if max(len(members), count) > MAX_MEMBERS:
        raise ValueError(f"more than {MAX_MEMBERS} members")
    if len({member.name for member in members}) < len(members):
        raise ValueError("a duplicate name")
    for member in members:
        parts = PurePosixPath(member.name).parts
        if (
            not parts
            or member.name.startswith("/")
            or ".." in parts
            or any(mark in member.name for mark in ("\\", "\0"))
            or ":" in parts[0]
        ):
            raise ValueError(f"the name {member.name!r}, which leads out of the archive")
        if not member.is_plain:
            raise ValueError(f"{member.name!r}, which is not a regular file")


def _write(source: IO[bytes], folder: Path, member: _Member) -> Path:
    target = folder.joinpath(*PurePosixPath(member.name).parts)
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as file:
        shutil.copyfileobj(source, file, 1 << 20)
    if target.stat().st_size != member.size:
        raise ValueError(f"{member.name!r}, which is truncated")
    return target


class _Bounded(io.RawIOBase):
    """A stream that raises an error once more bytes are read than a checkpoint can contain."""

    def __init__(self, stream: io.BufferedIOBase, limit: int) -> None:
        self._stream = stream
        self._left = limit

    def read(self, size: int = -1) -> bytes:
        """Read up to ``size`` bytes."""
        if size < 0 or size > self._left:
            raise ValueError("more bytes than weights can expand to")
        data = self._stream.read(size)
        self._left -= len(data)
        return data
