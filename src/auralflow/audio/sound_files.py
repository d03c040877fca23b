"""Decoding with libsndfile: WAV, FLAC, Ogg, MP3, AIFF and similar formats."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import numpy as np
import soundfile

from auralflow.audio.checks import Audio, SampleType, check_bounds, ends_early
from auralflow.errors import AudioError

__all__ = ["SoundFileSource", "native_name"]

# To decode a sample of these exactly as in continuous playback, a decoder needs some of what precedes it: MP3
# frames borrow bits from earlier ones, Vorbis and Opus blocks overlap.
_NEEDS_RUN_UP = frozenset({"MP3", "OGG"})
_RUN_UP = 8192

# libsndfile shortens a truncated file without an error, and only its log says so. A size that means "not
# known yet", from a writer that could not seek back to its header, is not a promise.
_SHORT_SIZE = re.compile(r"^\s*(?:data|Data Size|riff)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)
_SHORT_COUNT = (
    re.compile(r"Calculated frame count \d+ does not match value from 'ds64' chunk of (\d+)"),
    re.compile(r"Frame count read from 'COMM' chunk \((\d+)\) not equal to frame count"),
)
_UNKNOWN_SIZES = (range(0x7FFF0000, 0x80000000), range(0xFFFF0000, 2**64))


class _Sequential(soundfile.SoundFile):  # type: ignore[misc]  # no types there
    """A file whose position moves only by reading or by an explicit `seek`."""

    def seekable(self) -> bool:
        """Return False: otherwise soundfile seeks after every read, which is inexact in Ogg and MP3."""
        return False


class SoundFileSource:
    """One open file, decoded by libsndfile.

    Args:
        path: The file to read.

    Attributes:
        sample_rate: Samples per second.
        channels: Number of channels.
        frames: Samples per channel.
        format: Name of the container, such as "WAV".
        subtype: Name of the encoding, such as "PCM_16".
        promised: Samples per channel that the header promises; more than ``frames`` if the file ends early.

    Raises:
        soundfile.LibsndfileError: If libsndfile does not know the format.
        AudioError: If its header is impossible.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = _Sequential(native_name(path))
        self.sample_rate = int(self._file.samplerate)
        self.channels = int(self._file.channels)
        self.frames = int(self._file.frames)
        self.format = str(self._file.format)
        self.subtype = str(self._file.subtype)
        try:
            check_bounds(path, self.sample_rate, self.channels)
            self._check_header()
        except (AudioError, soundfile.LibsndfileError):
            self._file.close()
            raise
        self.promised = max(self.frames, *self._promises())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def count(self, most: int | None = None) -> int:
        """Samples per channel: the header states them."""
        return self.frames

    def check_complete(self) -> None:
        """Raise if the file is shorter than its header says.

        Raises:
            AudioError: If it is.
        """
        if self.promised > self.frames:
            raise ends_early(self._path, found=f"{self.frames} samples", expected=f"{self.promised} samples")

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
        try:
            self._file.seek(start - run_up)
        except soundfile.LibsndfileError as error:
            raise self._damaged(start - run_up, error) from error
        if run_up:
            self._read(start - run_up, run_up, "float32")

    def _read(self, position: int, wanted: int, dtype: SampleType) -> Audio:
        try:
            samples: Audio = self._file.read(wanted, dtype=dtype, always_2d=True)
        except soundfile.LibsndfileError as error:
            raise self._damaged(position, error) from error
        if len(samples) < wanted:
            raise ends_early(
                self._path, found=f"{position + len(samples)} samples", expected=f"{self.frames} samples"
            )
        return samples

    def _check_header(self) -> None:
        # libsndfile would guess the length of an MP3 from the first frame's bit rate and stop there, and it
        # takes any content for samples if a name ends in .au, .snd, .vox or .gsm.
        if self.format == "RAW" or (self.format == "MP3" and not _states_its_length(self._path)):
            raise soundfile.LibsndfileError(1, prefix=f"'{self._path}' has no header to rely on: ")

    def _damaged(self, position: int, error: soundfile.LibsndfileError) -> AudioError:
        return AudioError(
            f"cannot decode '{self._path}' after sample {position}",
            found=f"'{error.error_string}'",
            expected=f"{self.frames} samples",
            advice="It is truncated or damaged: copy it again from where it came.",
        )

    def _promises(self) -> list[int]:
        log = str(self._file.extra_info)
        promised = [int(match[1]) for pattern in _SHORT_COUNT if (match := pattern.search(log))]
        return [
            0,
            *promised,
            *(self._frames_of(int(said), int(there)) for said, there in _SHORT_SIZE.findall(log)),
        ]

    def _frames_of(self, promised: int, there: int) -> int:
        if any(promised in sizes for sizes in _UNKNOWN_SIZES):
            return 0
        # None of the data is there: at least one sample is missing.
        return promised * self.frames // there if there and self.frames else int(promised > 0)


def native_name(path: Path) -> str | bytes:
    """Return a path in the form that libsndfile accepts.

    Args:
        path: Any path, even one whose name is not valid text.

    Returns:
        The absolute path: "-" alone would mean standard input.
    """
    absolute = path.absolute()
    return str(absolute) if os.name == "nt" else os.fsencode(absolute)


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
