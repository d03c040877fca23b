"""Decoding with libsndfile: WAV, FLAC, Ogg, MP3, AIFF and their like."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import numpy as np
import soundfile

from auralflow.audio.checks import Audio, SampleType, ends_early
from auralflow.errors import AudioError

__all__ = ["SoundFileSource", "native_name"]

# In these a decoder needs some of what lies before a sample to decode it as it would in passing: MP3 frames
# borrow bits from earlier ones, Vorbis and Opus blocks overlap.
_NEEDS_RUN_UP = frozenset({"MP3", "OGG"})
_RUN_UP = 8192

# libsndfile shortens a truncated file without an error, and only its log tells. A size that stands for "not
# known yet", from a writer that could not seek back to its header, is not a promise.
_SHORT_SIZE = re.compile(r"^\s*(?:data|Data Size|riff)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)
_SHORT_COUNT = (
    re.compile(r"Calculated frame count \d+ does not match value from 'ds64' chunk of (\d+)"),
    re.compile(r"Frame count read from 'COMM' chunk \((\d+)\) not equal to frame count"),
)
_UNKNOWN_SIZES = (range(0x7FFF0000, 0x80000000), range(0xFFFF0000, 2**64))


class _Sequential(soundfile.SoundFile):  # type: ignore[misc]  # no types there
    """A file whose position only moves by reading, or where `seek` is asked for."""

    def seekable(self) -> bool:
        """Say no: otherwise soundfile seeks after every read, which in Ogg and MP3 is not where it was."""
        return False


class SoundFileSource:
    """One open file, decoded by libsndfile.

    Args:
        path: The file to be read.

    Attributes:
        sample_rate: Samples per second.
        channels: Number of channels.
        frames: Samples per channel.
        format: Name of the container, such as "WAV".
        subtype: Name of the encoding, such as "PCM_16".

    Raises:
        soundfile.LibsndfileError: If libsndfile does not know the format.
        AudioError: If the file is shorter than its header says.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = _Sequential(native_name(path))
        self.sample_rate = int(self._file.samplerate)
        self.channels = int(self._file.channels)
        self.frames = int(self._file.frames)
        self.format = str(self._file.format)
        self.subtype = str(self._file.subtype)
        if self.format == "MP3" and not _states_its_length(path):
            # libsndfile would guess the length from the first frame's bit rate and stop there.
            self._file.close()
            raise soundfile.LibsndfileError(1, prefix=f"'{path}' has no frame count: ")
        try:
            self._check_complete()
        except AudioError:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def blocks(self, start: int, frames: int | None, block: int, dtype: SampleType) -> Iterator[Audio]:
        """Decode a range in blocks of ``block`` samples, the last one shorter.

        Args:
            start: First sample of the range.
            frames: Its length; ``None`` means up to the end.
            block: Samples per block.
            dtype: Sample type of the blocks.

        Yields:
            Samples ``[C, n]``.

        Raises:
            AudioError: If the file is damaged or ends before its promised length.
        """
        start = min(start, self.frames)
        end = self.frames if frames is None else min(self.frames, start + frames)
        self._skip_to(start)
        for position in range(start, end, block):
            wanted = min(block, end - position)
            yield np.ascontiguousarray(self._read(position, wanted, dtype).T)

    def _skip_to(self, start: int) -> None:
        run_up = min(start, _RUN_UP) if self.format in _NEEDS_RUN_UP else 0
        self._file.seek(start - run_up)
        if run_up:
            self._read(start - run_up, run_up, "float32")

    def _read(self, position: int, wanted: int, dtype: SampleType) -> Audio:
        try:
            samples: Audio = self._file.read(wanted, dtype=dtype, always_2d=True)
        except soundfile.LibsndfileError as error:
            raise AudioError(
                f"cannot decode '{self._path}' after sample {position}",
                found=f"'{error.error_string}'",
                expected=f"{self.frames} samples",
                advice="It is truncated or damaged: copy it again from where it came.",
            ) from error
        if len(samples) < wanted:
            raise ends_early(
                self._path, found=f"{position + len(samples)} samples", expected=f"{self.frames} samples"
            )
        return samples

    def _check_complete(self) -> None:
        log = str(self._file.extra_info)
        promised = [int(match[1]) for pattern in _SHORT_COUNT if (match := pattern.search(log))]
        promised += [self._frames_of(int(said), int(there)) for said, there in _SHORT_SIZE.findall(log)]
        if max(promised, default=0) > self.frames:
            raise ends_early(self._path, found=f"{self.frames} samples", expected=f"{max(promised)} samples")
        if self.format == "OGG" and _ends_in_half_a_page(self._path):
            raise ends_early(
                self._path, found=f"{self.frames} samples and half a page", expected="whole pages"
            )

    def _frames_of(self, promised: int, there: int) -> int:
        if any(promised in sizes for sizes in _UNKNOWN_SIZES):
            return 0
        # Nothing of the data is there: at least one sample is missing.
        return promised * self.frames // there if there and self.frames else int(promised > 0)


def native_name(path: Path) -> str | bytes:
    """Return a path as libsndfile takes it.

    Args:
        path: Any path, also one whose name is not valid text.

    Returns:
        The absolute path: "-" alone would mean standard input.
    """
    absolute = path.absolute()
    return str(absolute) if os.name == "nt" else os.fsencode(absolute)


def _ends_in_half_a_page(path: Path) -> bool:
    """Whether an Ogg file stops inside its last page."""
    with path.open("rb") as file:
        # No page is longer than this.
        file.seek(max(path.stat().st_size - 65536, 0))
        tail = file.read()
    start = tail.rfind(b"OggS")
    if start < 0:
        return False
    page = tail[start:]
    # A page is 27 bytes, the last of which counts segments, the lengths of the segments, and the segments.
    lengths = page[27 : 27 + page[26]] if len(page) > 26 else b""
    return len(page) < 27 or len(lengths) < page[26] or len(page) < 27 + len(lengths) + sum(lengths)


def _states_its_length(path: Path) -> bool:
    """Whether an MP3 file starts with a Xing or Info frame that counts its frames."""
    with path.open("rb") as file:
        head = file.read(10)
        tag = 0
        if head[:3] == b"ID3":
            # The tag's size is written in bytes of seven bits.
            tag = 10 + sum(
                (byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True)
            )
        file.seek(tag)
        frame = file.read(4096)
    mark = max(frame.find(b"Xing"), frame.find(b"Info"))
    return mark >= 0 and bool(int.from_bytes(frame[mark + 4 : mark + 8], "big") & 1)
