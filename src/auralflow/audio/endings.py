"""Whether a file is as long as its header says, where its decoder would not notice.

FFmpeg takes the end of a truncated CAF, Windows Media, Matroska or WebM file for the end of the song.
"""

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from auralflow.audio.checks import ends_early

__all__ = ["check_size"]

_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_DATA = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")
_EBML = bytes.fromhex("1a45dfa3")
_SEGMENT = bytes.fromhex("18538067")
_MOST_CHUNKS = 1000


def check_size(path: Path) -> None:
    """Raise if a file is shorter than its own table of contents says.

    Args:
        path: Any file; files of other formats are not checked.

    Raises:
        AudioError: If the file ends before its audio should.
    """
    with path.open("rb") as file:
        head = file.read(16)
        promised = next((end(file) for magic, end in _ENDS.items() if head.startswith(magic)), None)
        size = file.seek(0, 2)
    if promised is not None and promised > size:
        raise ends_early(path, found=f"{size} bytes", expected=f"{promised} bytes")


def _end_of_caf(file: BinaryIO) -> int | None:
    place = 8
    for _ in range(_MOST_CHUNKS):
        file.seek(place)
        head = file.read(12)
        size = int.from_bytes(head[4:], "big", signed=True)
        # A size of -1 means that the audio goes on to the end of the file.
        if len(head) < 12 or size < 0:
            return None
        place += 12 + size
        if head[:4] == b"data":
            return place
    return None


def _end_of_asf(file: BinaryIO) -> int | None:
    place = 0
    for _ in range(_MOST_CHUNKS):
        file.seek(place)
        head = file.read(24)
        size = int.from_bytes(head[16:], "little")
        # A broadcast states no size.
        if len(head) < 24 or size < 24 or size >= 1 << 63:
            return None
        place += size
        if head[:16] == _ASF_DATA:
            return place
    return None


def _end_of_matroska(file: BinaryIO) -> int | None:
    file.seek(len(_EBML))
    header = _variable_size(file)
    if header is None:
        return None
    file.seek(header, 1)
    if file.read(4) != _SEGMENT:
        return None
    size = _variable_size(file)
    return None if size is None else file.tell() + size


def _variable_size(file: BinaryIO) -> int | None:
    """A size in EBML; None if it is unknown."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    length = 8 - first[0].bit_length()
    value = int.from_bytes(bytes([first[0] ^ 1 << 7 - length]) + file.read(length), "big")
    return None if value == (1 << 7 * (length + 1)) - 1 else value


_ENDS: dict[bytes, Callable[[BinaryIO], int | None]] = {
    b"caff": _end_of_caf,
    _ASF_HEADER: _end_of_asf,
    _EBML: _end_of_matroska,
}
