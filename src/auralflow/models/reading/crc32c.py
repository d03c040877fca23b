"""CRC-32C, the checksum of TensorFlow's files, vectorised over many parts of the data.

The polynomial is Castagnoli's, 0x1EDC6F41 (RFC 3720, appendix B.4), here with its bits reversed.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["crc32c", "masked_crc32c"]

POLYNOMIAL = 0x82F63B78
ONES = 0xFFFFFFFF
MASK_DELTA = 0xA282EAD8
MAX_LANES = 1 << 14
SHORT = 1024
"""Bytes below which a plain loop is faster."""
Words = NDArray[np.uint32]


def _table() -> Words:
    values = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        values = np.where(values & 1, (values >> 1) ^ np.uint32(POLYNOMIAL), values >> 1).astype(np.uint32)
    return values


TABLE = _table()
ROW: list[int] = TABLE.tolist()


def crc32c(data: bytes | memoryview) -> int:
    """Compute the CRC-32C of bytes.

    A checksum that starts at zero is linear and ignores leading zeros. The data are therefore padded with
    leading zeros and split into equal lanes. Their checksums are computed side by side and then merged in
    pairs, after advancing the left one by as many zero bytes as the right lane is long.

    Example:
        >>> hex(crc32c(b"123456789"))
        '0xe3069283'
    """
    size = len(data)
    if size < SHORT:
        return _in_a_row(data)
    lanes = 1
    while lanes < MAX_LANES and lanes * lanes < size:
        lanes *= 2
    length = -(-size // lanes)
    padded = np.zeros(lanes * length, dtype=np.uint8)
    start = len(padded) - size
    padded[start:] = np.frombuffer(data, dtype=np.uint8)
    # Starting the register with ones is equivalent to inverting the first four bytes.
    padded[start : start + 4] ^= 0xFF
    by_step = np.ascontiguousarray(padded.reshape(lanes, length).T)
    sums = np.zeros(lanes, dtype=np.uint32)
    for column in by_step:
        sums = (sums >> 8) ^ TABLE[(sums ^ column) & 0xFF]
    shift = _zeros(length)
    while len(sums) > 1:
        sums = _apply(shift, sums[::2]) ^ sums[1::2]
        shift = _apply(shift, shift)
    return int(sums[0]) ^ ONES


def _in_a_row(data: bytes | memoryview) -> int:
    value = ONES
    for byte in data:
        value = (value >> 8) ^ ROW[(value ^ byte) & 0xFF]
    return value ^ ONES


def masked_crc32c(data: bytes | memoryview) -> int:
    """CRC-32C as TensorFlow stores it: rotated right by 15 bits, plus a constant."""
    value = crc32c(data)
    return (((value >> 15) | (value << 17)) + MASK_DELTA) & ONES


def _apply(matrix: Words, values: Words) -> Words:
    """Multiply bit vectors ``[n]`` by a bit matrix, given as 32 words for its columns."""
    moved = np.zeros_like(values)
    for bit in range(32):
        moved ^= np.where((values >> np.uint32(bit)) & 1, matrix[bit], np.uint32(0)).astype(np.uint32)
    return moved


def _zeros(count: int) -> Words:
    """The matrix that advances a checksum by ``count`` zero bytes."""
    one_byte = np.uint32(1) << np.arange(32, dtype=np.uint32)
    moved = one_byte.copy()
    one_byte = (one_byte >> 8) ^ TABLE[one_byte & 0xFF]
    while count:
        if count & 1:
            moved = _apply(one_byte, moved)
        one_byte = _apply(one_byte, one_byte)
        count >>= 1
    return moved
