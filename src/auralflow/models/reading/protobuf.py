"""Reading Protocol Buffers without their description: fields by number, every length checked."""

import struct
from collections.abc import Iterator

__all__ = ["MAX_FIELDS", "Field", "fields", "packed_varints", "signed", "varint"]

MAX_FIELDS = 1_000_000
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

Field = tuple[int, int, int | memoryview]
"""Number, wire type, and the value: a whole number, or the bytes of anything longer."""


def varint(data: memoryview, position: int) -> tuple[int, int]:
    """Read a number of variable length.

    Returns:
        The number, below 2 to the 64, and the position behind it.

    Raises:
        ValueError: If the data end in it, or it is longer than ten bytes.

    Example:
        >>> varint(memoryview(bytes([0xAC, 0x02])), 0)
        (300, 2)
    """
    value = 0
    for index in range(10):
        if position + index >= len(data):
            raise ValueError("a number that is cut short")
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
        ValueError: If one reaches beyond the message, is of an unknown type, or there are too many.
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
            raise ValueError(f"a field of the unknown type {kind}")
        if size > len(data) - position:
            raise ValueError("a field that reaches beyond its message")
        yield number, kind, data[position : position + size]
        position += size
    raise ValueError(f"more than {MAX_FIELDS} fields")


def packed_varints(kind: int, value: int | memoryview) -> Iterator[int]:
    """The numbers of a repeated field, of which this is one or, packed, all.

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
        raise ValueError("a field that holds no whole numbers")


def signed(value: int) -> int:
    """A 64-bit number as Protocol Buffers store negative ones.

    Example:
        >>> signed(2**64 - 1)
        -1
    """
    return value - 2**64 if value >= 2**63 else value


def fixed32(value: int | memoryview) -> int:
    """A fixed number of 32 bits.

    Raises:
        ValueError: If the field is none.
    """
    if isinstance(value, int) or len(value) != 4:
        raise ValueError("a field that is no 32-bit number")
    return int(struct.unpack("<I", value)[0])
