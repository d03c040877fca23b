"""Reads Protocol Buffers without a schema: fields by number, with every length checked."""

import struct
from collections.abc import Iterator

__all__ = ["MAX_FIELDS", "Field", "fields", "packed_varints", "signed", "varint"]

MAX_FIELDS = 1_000_000
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

Field = tuple[int, int, int | memoryview]
"""Number, wire type, and value: an integer, or the bytes of anything longer."""


def varint(data: memoryview, position: int) -> tuple[int, int]:
    """Read a variable-length integer.

    Args:
        data: The bytes.
        position: Where the integer starts.

    Returns:
        The integer, below 2 to the 64, and the position after it.

    Raises:
        ValueError: If the data end within it, or it is longer than ten bytes.

    Example:
        >>> varint(memoryview(bytes([0xAC, 0x02])), 0)
        (300, 2)
    """
    value = 0
    for index in range(10):
        if position + index >= len(data):
            raise ValueError("a truncated number")
        byte = data[position + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value & (2**64 - 1), position + index + 1
    raise ValueError("a number of more than ten bytes")


def fields(data: memoryview) -> Iterator[Field]:
    """Iterate over the fields of a message.

    Args:
        data: The message.

    Yields:
        Number, wire type and value of each.

    Raises:
        ValueError: If a field extends beyond the message or has an unknown type, or there are too many.
    """
    position = 0
    for _ in range(MAX_FIELDS):
        if position == len(data):
            return
        key, position = varint(data, position)
        number, kind = key >> 3, key & 7
        if not number:
            raise ValueError("a field without a number")
        if kind == VARINT:
            value, position = varint(data, position)
            yield number, kind, value
            continue
        if kind == BYTES:
            size, position = varint(data, position)
        elif kind in (FIXED64, FIXED32):
            size = 8 if kind == FIXED64 else 4
        else:
            raise ValueError(f"a field of unknown type {kind}")
        if size > len(data) - position:
            raise ValueError("a field that extends beyond its message")
        yield number, kind, data[position : position + size]
        position += size
    raise ValueError(f"more than {MAX_FIELDS} fields")


def packed_varints(kind: int, value: int | memoryview) -> Iterator[int]:
    """Read a field that is one number, or all numbers of a repeated field in packed form.

    Raises:
        ValueError: If it is neither.
    """
    if isinstance(value, int):
        yield value
    elif kind == BYTES:
        position = 0
        while position < len(value):
            number, position = varint(value, position)
            yield number
    else:
        raise ValueError("a field that does not contain integers")


def signed(value: int) -> int:
    """Interpret an unsigned 64-bit integer as signed, in two's complement.

    Example:
        >>> signed(2**64 - 1)
        -1
    """
    return value - 2**64 if value >= 2**63 else value


def fixed32(value: int | memoryview) -> int:
    """Read a fixed 32-bit integer.

    Raises:
        ValueError: If the field is not one.
    """
    if isinstance(value, int) or len(value) != 4:
        raise ValueError("a field that is not a 32-bit number")
    return int(struct.unpack("<I", value)[0])
