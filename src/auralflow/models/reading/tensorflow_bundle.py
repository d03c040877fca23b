"""Reads TensorFlow bundles (``model.index`` and ``model.data-00000-of-00001``) without TensorFlow.

The index is a LevelDB table that maps names to the positions of tensors in the data file. Format: LevelDB's
``table_format.md`` and TensorFlow's ``tensor_bundle.proto``.
"""

import math
import mmap
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from auralflow.errors import ModelError
from auralflow.models.reading.crc32c import masked_crc32c
from auralflow.models.reading.protobuf import fields, fixed32, varint
from auralflow.nets.checkpoint import CheckpointPart

__all__ = ["TABLE_MAGIC", "bundle_files", "read_bundle"]

TABLE_MAGIC = bytes.fromhex("57fb808b247547db")
FOOTER = 48
TRAILER = 5
MAX_INDEX = 1 << 26
MAX_ENTRIES = 100_000
MAX_NAME = 1024
DATA_FILE = re.compile(r"(?P<stem>.+)\.data-\d{5}-of-\d{5}")
TYPES = {1: "<f4", 2: "<f8", 3: "<i4", 9: "<i8", 19: "<f2"}
"""Element types by their number in ``types.proto``."""


@dataclass(frozen=True)
class _Entry:
    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    size: int
    checksum: int


def bundle_files(path: Path) -> tuple[Path, Path]:
    """Find the index and the data file of a bundle, given either.

    Args:
        path: ``model.index`` or ``model.data-00000-of-00001``.

    Returns:
        The index and the data file.

    Raises:
        ModelError: If the other file is not in the same folder.
    """
    match = DATA_FILE.fullmatch(path.name)
    stem = match["stem"] if match else path.name.removesuffix(".index")
    index, data = path.with_name(f"{stem}.index"), path.with_name(f"{stem}.data-00000-of-00001")
    for file in (index, data):
        if not file.is_file():
            raise ModelError(
                f"cannot import '{path}'",
                found=f"no {file.name} beside it",
                expected="both files of a TensorFlow bundle",
            )
    return index, data


def read_bundle(index: Path, data: Path) -> CheckpointPart:
    """Read all tensors of a bundle, and verify their checksums.

    Args:
        index: The index.
        data: The only data file.

    Returns:
        The part.

    Raises:
        ModelError: If either file is damaged, or they do not belong together.
    """
    try:
        tensors = _read(index, data)
    except (OSError, ValueError, struct.error) as error:
        raise ModelError(
            f"cannot read '{index}'",
            found=str(error),
            expected=f"a complete TensorFlow bundle of {index.name} and {data.name}",
        ) from None
    return CheckpointPart(name=index.stem, format="tensorflow", tensors=tensors)


def _read(index: Path, data: Path) -> dict[str, Tensor]:
    if index.stat().st_size > MAX_INDEX:
        raise ValueError(f"an index of {index.stat().st_size} bytes")
    entries = list(_entries(memoryview(index.read_bytes())))
    size = data.stat().st_size
    _check_places(entries, size)
    if not entries or not size:
        raise ValueError("no tensors")
    return _read_tensors(entries, data)


def _entries(table: memoryview) -> Iterator[_Entry]:
    if len(table) < FOOTER or bytes(table[-8:]) != TABLE_MAGIC:
        raise ValueError("an index without its end marker: truncated, or something else")
    footer = table[-FOOTER:]
    _, position = varint(footer, 0)
    _, position = varint(footer, position)
    offset, position = varint(footer, position)
    size, _ = varint(footer, position)
    count = 0
    for _, place in _block(table, offset, size):
        block_offset, position = varint(place, 0)
        block_size, _ = varint(place, position)
        for key, value in _block(table, block_offset, block_size):
            count += 1
            if count > MAX_ENTRIES:
                raise ValueError(f"more than {MAX_ENTRIES} entries")
            if not key:
                _check_header(value)
            else:
                yield _entry(key.decode("utf-8"), value)


def _block(table: memoryview, offset: int, size: int) -> Iterator[tuple[bytes, memoryview]]:
    """The entries of a block. Keys are stored without the prefix they share with the previous one."""
    end = offset + size
    if end + TRAILER > len(table) - FOOTER or size < 4:
        raise ValueError("a block that extends beyond the index")
    if table[end] != 0:
        raise ValueError("a compressed block")
    if masked_crc32c(table[offset : end + 1]) != struct.unpack_from("<I", table, end + 1)[0]:
        raise ValueError("a block with a wrong checksum")
    block = table[offset:end]
    restarts = struct.unpack_from("<I", block, size - 4)[0]
    limit = size - 4 - 4 * restarts
    if restarts > size // 4 or limit < 0:
        raise ValueError(f"a block of {size} bytes that claims {restarts} restarts")
    position, key = 0, b""
    while position < limit:
        shared, position = varint(block, position)
        own, position = varint(block, position)
        length, position = varint(block, position)
        if shared > len(key) or own + length > limit - position or shared + own > MAX_NAME:
            raise ValueError("an entry that extends beyond its block")
        key = key[:shared] + bytes(block[position : position + own])
        position += own
        yield key, block[position : position + length]
        position += length


def _check_header(value: memoryview) -> None:
    """Check that the bundle is little-endian and has one data file; nothing else is supported."""
    header = {number: content for number, _, content in fields(value)}
    if header.get(1, 1) != 1:
        raise ValueError(f"a bundle of {header.get(1)} data files")
    if header.get(2, 0) != 0:
        raise ValueError("big-endian numbers")


def _entry(name: str, value: memoryview) -> _Entry:
    numbers = {"dtype": 0, "shard": 0, "offset": 0, "size": 0, "crc": 0}
    shape: tuple[int, ...] = ()
    names = {1: "dtype", 3: "shard", 4: "offset", 5: "size"}
    for number, _, content in fields(value):
        if number in names and isinstance(content, int):
            numbers[names[number]] = content
        elif number == 2 and not isinstance(content, int):
            shape = _shape(content)
        elif number == 6:
            numbers["crc"] = fixed32(content)
        elif number == 7:
            raise ValueError(f"{name}, a sliced tensor")
    if numbers["shard"]:
        raise ValueError(f"{name} in a second data file")
    dtype = TYPES.get(numbers["dtype"])
    if dtype is None:
        raise ValueError(f"{name} of unknown type {numbers['dtype']}")
    expected = math.prod(shape) * np.dtype(dtype).itemsize
    if numbers["size"] != expected:
        raise ValueError(f"{name} of shape {list(shape)} in {numbers['size']} bytes, expected {expected}")
    return _Entry(name, dtype, shape, numbers["offset"], numbers["size"], numbers["crc"])


def _shape(message: memoryview) -> tuple[int, ...]:
    sizes = []
    for number, _, dim in fields(message):
        if number == 2 and not isinstance(dim, int):
            size = {n: content for n, _, content in fields(dim)}.get(1, 0)
            if not isinstance(size, int):
                raise ValueError("a size that is not an integer")
            sizes.append(size)
        elif number == 3:
            raise ValueError("a tensor of unknown rank")
    if len(sizes) > 8:
        raise ValueError(f"a tensor with {len(sizes)} axes")
    return tuple(sizes)


def _check_places(entries: list[_Entry], size: int) -> None:
    if len({entry.name for entry in entries}) < len(entries):
        raise ValueError("a duplicate name")
    end = 0
    for entry in sorted(entries, key=lambda entry: entry.offset):
        if entry.offset < end:
            raise ValueError(f"{entry.name}, which overlaps another tensor")
        end = entry.offset + entry.size
        if end > size:
            raise ValueError(f"{entry.name}, which ends at byte {end} of a data file of {size} bytes")


def _read_tensors(entries: list[_Entry], path: Path) -> dict[str, Tensor]:
    tensors = {}
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
        for entry in entries:
            content = whole[entry.offset : entry.offset + entry.size]
            if masked_crc32c(content) != entry.checksum:
                raise ValueError(f"{entry.name} with a wrong checksum")
            values = np.frombuffer(content, dtype=entry.dtype).reshape(entry.shape)
            tensors[entry.name] = torch.from_numpy(values.copy())
    return tensors
