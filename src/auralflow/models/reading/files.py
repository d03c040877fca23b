"""Detects the format of files from their content, and computes their hashes."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from auralflow.errors import ModelError, NotFoundError
from auralflow.models.reading.onnx_file import looks_like_onnx
from auralflow.models.reading.pytorch_file import LEGACY_MAGIC, is_pytorch_zip
from auralflow.models.reading.settings_file import SETTINGS_ENDINGS
from auralflow.models.reading.tensorflow_bundle import DATA_FILE, TABLE_MAGIC
from auralflow.models.reading.zips import is_zip, names_in_zip
from auralflow.nets.checkpoint import SourceFile
from auralflow.storage import file_hash

__all__ = ["Kind", "describe_file", "kind_of", "tail_md5"]

Kind = Literal["pytorch", "safetensors", "tensorflow", "onnx", "archive", "settings"]
TAIL = 10_240_000
"""Number of bytes at the end of a file whose MD5 identifies models in Ultimate Vocal Remover."""

GZIP = b"\x1f\x8b"

STRANGERS = (
    (b"version https://git-lfs", "a Git LFS pointer instead of the file itself"),
    (b"\x89HDF", "an HDF5 file, as written by Keras"),
    (b"<", "a web page, which some downloads return without a login or confirmation"),
    (b"", "another kind of file"),
)


def describe_file(path: Path) -> SourceFile:
    """Name, size and SHA-256 of a file.

    Raises:
        NotFoundError: If the file does not exist.
    """
    if not path.is_file():
        raise NotFoundError(f"no such file: '{path}'")
    return SourceFile(path.name, path.stat().st_size, file_hash(path))


def tail_md5(path: Path) -> str:
    """MD5 of the last 10,240,000 bytes of a file, or of the entire file if it is smaller.

    The tables of MDX-Net models use it as a key. It is no proof of who made the file.
    """
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL), os.SEEK_SET)
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def kind_of(path: Path) -> Kind:
    """Detect the format of a file.

    Args:
        path: The file.

    Returns:
        The format.

    Raises:
        NotFoundError: If the file does not exist.
        ModelError: If it cannot be imported.
    """
    if not path.is_file():
        raise NotFoundError(f"no such file: '{path}'")
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(512)
        file.seek(max(0, size - 8))
        tail = file.read(8)
    is_it: tuple[tuple[Kind, Callable[[], bool]], ...] = (
        ("tensorflow", lambda: tail == TABLE_MAGIC or (size > 0 and bool(DATA_FILE.fullmatch(path.name)))),
        ("pytorch", lambda: head.startswith(LEGACY_MAGIC) or _is_pytorch_zip(path)),
        ("safetensors", lambda: _is_safetensors(head, size)),
        ("archive", lambda: head.startswith(GZIP) or head[257:262] == b"ustar" or is_zip(path)),
        ("settings", lambda: path.suffix.lower() in SETTINGS_ENDINGS),
        ("onnx", lambda: looks_like_onnx(path)),
    )
    for kind, check in is_it:
        if check():
            return kind
    raise ModelError(
        f"cannot import '{path}'",
        found=_description(path, head),
        expected="PyTorch, safetensors, ONNX or TensorFlow weights, or an archive of them",
    )


def _is_safetensors(head: bytes, size: int) -> bool:
    length = int.from_bytes(head[:8], "little")
    return len(head) > 9 and 2 <= length <= size - 8 and head[8:9] == b"{"


def _is_pytorch_zip(path: Path) -> bool:
    return is_zip(path) and is_pytorch_zip(names_in_zip(path))


def _description(path: Path, head: bytes) -> str:
    if not head:
        return "an empty file"
    if head.startswith(b"PK"):
        return "a truncated or damaged zip archive"
    if head.startswith(b"\x80"):
        return "a pickle, which could run code and was not opened"
    if path.suffix.lower() == ".index":
        return "a truncated index of a TensorFlow bundle"
    stripped = head.lstrip().lower()
    return next(words for beginning, words in STRANGERS if stripped.startswith(beginning.lower()))
