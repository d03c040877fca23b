"""Facts that the pages of an Ogg file state, before a decoder reads them.

A decoder skips a page with a wrong checksum, so a flipped bit in the last page silently shortens a song. And
the exact length of an Opus stream is stated in its pages only.

Sources:
    RFC 3533 (Ogg), RFC 7845 (Opus in Ogg), RFC 6716 section 3.1 (packets of Opus).
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

__all__ = ["OggFile", "checksum", "inspect_ogg"]

_CAPTURE = b"OggS"
# Version, flags, granule position, serial number, sequence number, checksum, number of segments.
_HEADER = struct.Struct("<4sBBqIIIB")
_FIRST, _LAST = 2, 4
_NO_GRANULE = -1
_LONGEST_PAGE = _HEADER.size + 255 + 255 * 255
# Two pages, and tags of another format that may have been appended.
_TAILS = (2 * _LONGEST_PAGE, 1 << 24)
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass(frozen=True)
class OggFile:
    """What the first and last pages of a file state.

    Attributes:
        is_opus: Whether its first stream is Opus.
        is_whole: Whether the last page is complete and undamaged; and all others too, where no decoder would
            notice.
        has_end: Whether the last page is marked as such; recorders of radio streams omit the mark.
        is_single: Whether there is only one stream, neither several multiplexed nor several chained.
        granule: Position that the last page gives, in samples.
        frames: Samples of Opus; None if the pages do not state them.
        skip: Samples of Opus to skip before these.
    """

    is_opus: bool
    is_whole: bool
    has_end: bool
    is_single: bool
    granule: int
    skip: int = 0
    frames: int | None = None


@dataclass(frozen=True)
class _Page:
    flags: int
    granule: int
    serial: int
    number: int
    end: int = field(compare=False)
    segments: bytes
    content: bytes


def checksum(page: bytes) -> int:
    """The CRC of an Ogg page, computed with its own field as zero.

    zlib's has the same polynomial but reads each byte in reverse.

    Example:
        >>> hex(checksum(bytes(26) + bytes([1])))
        '0x4c11db7'
    """
    mirrored = (page[:22] + bytes(4) + page[26:]).translate(_MIRRORED)
    return int(f"{zlib.crc32(mirrored, 0xFFFFFFFF) ^ 0xFFFFFFFF:032b}"[::-1], 2)


def inspect_ogg(path: Path) -> OggFile | None:
    """Read the first and the last pages of a file.

    Args:
        path: Any file.

    Returns:
        What they state; None if the file is not Ogg.
    """
    with path.open("rb") as file:
        if file.read(4) != _CAPTURE:
            return None
        last, rest = _last_page(file)
        file.seek(0)
        pages = _pages(file)
        first = next(pages, None)
        if last is None or first is None:
            return OggFile(False, is_whole=False, has_end=False, is_single=False, granule=0)
        has_end = bool(last.flags & _LAST)
        # Appended data is not damage, but part of a page is.
        is_whole = not rest or (has_end and _CAPTURE not in rest)
        second = next(pages, first)
        is_single = last.serial == first.serial and (second is first or not second.flags & _FIRST)
        # For a single stream of these, decoders check the length that they find against the last page.
        if not (is_single and first.content.startswith((b"OpusHead", b"\x01vorbis"))):
            file.seek(0)
            is_whole = is_whole and _is_continuous(_pages(file), last)
        is_opus = first.content.startswith(b"OpusHead") and len(first.content) >= 19
        skip, frames = 0, None
        if is_opus and is_single and last.granule != _NO_GRANULE:
            skip = int.from_bytes(first.content[10:12], "little")
            file.seek(0)
            frames = max(last.granule - _start(_pages(file)) - skip, 0)
    return OggFile(is_opus, is_whole, has_end, is_single, last.granule, skip, frames)


def _page(data: bytes, start: int) -> _Page | None:
    """The page that begins at an offset; None if it is truncated or damaged."""
    header = data[start : start + _HEADER.size]
    if len(header) < _HEADER.size:
        return None
    _, _, flags, granule, serial, number, crc, count = _HEADER.unpack(header)
    segments = data[start + _HEADER.size : start + _HEADER.size + count]
    begin = start + _HEADER.size + count
    end = begin + sum(segments)
    if len(segments) < count or end > len(data) or checksum(data[start:end]) != crc:
        return None
    return _Page(flags, granule, serial, number, end, segments, data[begin:end])


def _last_page(file: BinaryIO) -> tuple[_Page | None, bytes]:
    """The last undamaged page, and what follows it."""
    size = file.seek(0, 2)
    for length in _TAILS:
        file.seek(max(size - length, 0))
        tail = file.read()
        place = tail.rfind(_CAPTURE)
        while place >= 0:
            if page := _page(tail, place):
                return page, tail[page.end :]
            place = tail.rfind(_CAPTURE, 0, place)
    return None, b""


def _pages(file: BinaryIO) -> Iterator[_Page]:
    """All pages from here to the first damaged one."""
    while True:
        header = file.read(_HEADER.size)
        if len(header) < _HEADER.size or not header.startswith(_CAPTURE):
            return
        segments = file.read(header[-1])
        page = _page(header + segments + file.read(sum(segments)), 0)
        if page is None:
            return
        yield page


def _is_continuous(pages: Iterator[_Page], last: _Page) -> bool:
    """Whether every page up to the last one is undamaged and follows the one before it."""
    following: dict[int, int] = {}
    page = None
    for page in pages:
        if page.number != following.get(page.serial, page.number) and not page.flags & _FIRST:
            return False
        following[page.serial] = page.number + 1
    return page == last


def _start(pages: Iterator[_Page]) -> int:
    """Position of the first sample of an Opus stream: 0 unless it was cut out of a longer one."""
    finished, length = 0, 0
    packet = b""
    for page in pages:
        offset = size = 0
        for segment in page.segments:
            size += segment
            if segment == 255:
                continue
            packet += page.content[offset : offset + size]
            offset, size = offset + size, 0
            # The first two packets are headers.
            length += _duration(packet) if finished >= 2 else 0
            finished += 1
            packet = b""
        packet += page.content[offset : offset + min(size, 2)]
        if length and page.granule != _NO_GRANULE:
            # Fewer samples than its packets hold mean that the end is trimmed.
            return max(page.granule - length, 0)
    return 0


def _duration(packet: bytes) -> int:
    """Samples at 48 kHz in a packet of Opus."""
    if not packet:
        return 0
    configuration, code = packet[0] >> 3, packet[0] & 3
    if configuration < 12:
        frame = (480, 960, 1920, 2880)[configuration & 3]
    elif configuration < 16:
        frame = (480, 960)[configuration & 1]
    else:
        frame = (120, 240, 480, 960)[configuration & 3]
    count = (1, 2, 2)[code] if code < 3 else packet[1] & 63 if len(packet) > 1 else 0
    return frame * count
