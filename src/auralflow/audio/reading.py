"""Reading audio files: their properties, a part of them, or all of them in blocks."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike

from auralflow.audio.checks import Audio, SampleType
from auralflow.audio.sources import checked_blocks, opened
from auralflow.errors import UsageError

__all__ = ["AUDIO_SUFFIXES", "AudioInfo", "is_audio", "probe", "read_audio", "stream_audio"]

# fmt: off
AUDIO_SUFFIXES = frozenset(
    {".aac", ".ac3", ".aif", ".aifc", ".aiff", ".amr", ".ape", ".au", ".caf", ".dts", ".flac"}
    | {".m4a", ".m4b", ".m4v", ".mka", ".mkv", ".mov", ".mp2", ".mp3", ".mp4", ".mpc", ".oga"}
    | {".ogg", ".opus", ".rf64", ".tta", ".w64", ".wav", ".wave", ".webm", ".wma", ".wv"}
)
# fmt: on
"""Lower-case extensions that count as audio in a folder; whether a file decodes depends on its content."""


@dataclass(frozen=True)
class AudioInfo:
    """What an audio file holds.

    Attributes:
        path: The file.
        sample_rate: Samples per second.
        channels: Number of channels.
        frames: Samples per channel; exactly what `stream_audio` delivers.
        format: Name of the container, such as "WAV", "FLAC" or "MP4".
        subtype: Name of the encoding, such as "PCM_16", "FLOAT", "VORBIS" or "AAC".

    Example:
        >>> AudioInfo(Path("a.wav"), 44100, 2, 66150, "WAV", "PCM_16").seconds
        1.5
    """

    path: Path
    sample_rate: int
    channels: int
    frames: int
    format: str
    subtype: str

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return self.frames / self.sample_rate


def is_audio(path: str | Path) -> bool:
    """Whether a file has the extension of an audio file.

    Args:
        path: Any path; nothing is opened.

    Returns:
        True if the extension is one of `AUDIO_SUFFIXES`, in upper or lower case.

    Example:
        >>> is_audio(Path("Song.WAV")), is_audio(Path("cover.jpg"))
        (True, False)
    """
    path = Path(path)
    return path.suffix.lower() in AUDIO_SUFFIXES


def probe(path: str | Path, *, max_seconds: float | None = None) -> AudioInfo:
    """Report what an audio file holds.

    Only the header is read where it states the exact length (WAV, FLAC, Ogg, AIFF, MP3 with a frame count).
    Other formats (MPEG-4, WebM, Matroska, MP3 without a frame count) are decoded once to be counted.

    Args:
        path: The file; its content decides, not its name.
        max_seconds: Count no further than this: the reported length of a longer file is then between this and
            its true length.

    Returns:
        Rate, channels, length and encoding.

    Raises:
        NotFoundError: If there is no such file.
        AudioError: If it is not audio, cannot be read, or is found to be shorter than its header says.

    Example:
        >>> import tempfile, soundfile
        >>> path = Path(tempfile.mkdtemp()) / "silence.wav"
        >>> soundfile.write(path, np.zeros((441, 2)), 44100)
        >>> info = probe(path)
        >>> info.frames, info.channels, info.subtype
        (441, 2, 'PCM_16')
    """
    path = Path(path)
    with opened(path) as source:
        most = None if max_seconds is None else round(max_seconds * source.sample_rate)
        frames = source.count(most)
        return AudioInfo(path, source.sample_rate, source.channels, frames, source.format, source.subtype)


def read_audio(
    path: str | Path, *, start: int = 0, frames: int | None = None, dtype: SampleType = "float32"
) -> tuple[Audio, int]:
    """Read an audio file, or a part of it, into memory.

    Only the part is decoded, plus a little before it in Ogg and MP3; formats that FFmpeg decodes are decoded
    from the beginning, because seeking in them is not sample-accurate.

    Args:
        path: The file; its content decides, not its name.
        start: First sample to read.
        frames: How many samples to read; ``None`` means up to the end.
        dtype: Sample type; "float64" keeps 32-bit integer PCM exact.

    Returns:
        Samples ``[C, N]``, fewer than ``frames`` (even none) where the file ends first, and the sample rate.
        A valid file without samples gives an empty array.

    Raises:
        NotFoundError: If there is no such file.
        AudioError: As `stream_audio` does.
        UsageError: If ``start`` or ``frames`` is negative.

    Example:
        >>> import tempfile, soundfile
        >>> path = Path(tempfile.mkdtemp()) / "steps.wav"
        >>> soundfile.write(path, np.arange(4) / 8, 8000, subtype="FLOAT")
        >>> read_audio(path, start=1, frames=2)
        (array([[0.125, 0.25 ]], dtype=float32), 8000)
    """
    path = Path(path)
    _check_range(start, frames)
    with opened(path) as source:
        blocks = [np.zeros((source.channels, 0), dtype=_numpy_type(dtype))]
        blocks += checked_blocks(source, path, start, frames, 1 << 20, dtype)
        audio = np.concatenate(blocks, axis=1) if len(blocks) != 2 else blocks[1]
        return audio, source.sample_rate


def stream_audio(
    path: str | Path,
    *,
    block: int = 65536,
    start: int = 0,
    frames: int | None = None,
    dtype: SampleType = "float32",
) -> Iterator[Audio]:
    """Decode an audio file in blocks; memory does not grow with its length.

    A file that holds less than it promises raises: at once where its header or its last page shows it (WAV,
    RF64, AIFF, AU, W64, CAF, Windows Media, Matroska, WebM, Ogg), or when the end comes too soon (FLAC, MP3
    with a frame count, MPEG-4, an Ogg file damaged inside). Truncation cannot be detected in raw AAC, in an
    MP3 file without a frame count, or in a WAV file whose header leaves the length open; an Ogg file that
    ends between two pages is read with a warning, because recordings of streams end like that. Damage to
    uncompressed samples cannot be distinguished from sound. FLAC, Ogg Vorbis, Opus and MP3 are called damaged
    only after a second decoder has failed.

    Args:
        path: The file; its content decides, not its name.
        block: Samples per block; the last block is shorter.
        start: First sample to deliver.
        frames: How many samples to deliver; ``None`` means up to the end.
        dtype: Sample type; "float64" keeps 32-bit integer PCM exact.

    Yields:
        Samples ``[C, n]``; nothing for a valid file without samples.

    Raises:
        NotFoundError: If there is no such file.
        AudioError: If the file is not audio, may not be read, is damaged, ends early or holds NaN.
        UsageError: If ``block`` is less than 1, or ``start`` or ``frames`` is negative.

    Example:
        >>> import tempfile, soundfile
        >>> path = Path(tempfile.mkdtemp()) / "silence.wav"
        >>> soundfile.write(path, np.zeros((250, 2)), 8000)
        >>> [piece.shape for piece in stream_audio(path, block=100)]
        [(2, 100), (2, 100), (2, 50)]
    """
    path = Path(path)
    _check_range(start, frames)
    if block < 1:
        raise UsageError("cannot stream audio", found=f"a block of {block} samples", expected="at least 1")
    with opened(path) as source:
        yield from checked_blocks(source, path, start, frames, block, dtype)


def _check_range(start: int, frames: int | None) -> None:
    if start < 0 or (frames is not None and frames < 0):
        raise UsageError(
            "cannot read a part of an audio file",
            found=f"start={start}, frames={frames}",
            expected="numbers that are not negative",
        )


def _numpy_type(dtype: SampleType) -> DTypeLike:
    return np.float32 if dtype == "float32" else np.float64
