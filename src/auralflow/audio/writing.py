"""Writing audio files atomically."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import soundfile

from auralflow.audio.checks import Audio, check_finite
from auralflow.audio.encoding import subtypes_of
from auralflow.audio.formats import FORMATS, SIZE_LIMIT, SUBTYPES, format_of
from auralflow.audio.sinks import ContainerSink, SoundFileSink
from auralflow.audio.tags import fitting_tags
from auralflow.errors import AudioError
from auralflow.storage import atomic_path

__all__ = ["AudioWriter", "write_audio"]

_OLD = ("WAVEX", "AU")
"""Containers that libsndfile writes too, and that have 32-bit sizes."""


class AudioWriter:
    """Write an audio file block by block.

    The samples go to a temporary name in the same folder. The file gets its own name, complete and flushed to
    the disk, when the ``with`` block succeeds; if the block raises, nothing is left and an existing file of
    that name stays as it was. Equal samples give equal bytes for WAV, FLAC, MPEG-4 and Opus.

    Integer encodings round to the nearest step and clip at full scale. A WAV file that would exceed the 4
    GiB of its format becomes RF64, its 64-bit form, if ``frames`` announces the length.

    Args:
        path: The file to create or replace.
        sample_rate: Samples per second.
        channels: Number of channels.
        subtype: Encoding: "FLOAT", "PCM_16", "PCM_24", "PCM_32", "VORBIS", ...
        format: Container: "WAV", "FLAC", "OGG", "MP3", "MP4", "OPUS", "AIFF", ...
        frames: Samples per channel that will be written, when known.
        tags: Title, artist and so on, as `read_tags` returns them; what the format cannot hold is left out.
        bitrate: Kilobits per second of all channels of a lossy format. Default: what the format has.

    Raises:
        AudioError: If the encoding or the rate does not fit the format, or the file cannot be written.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> path = Path(tempfile.mkdtemp()) / "silence.wav"
        >>> with AudioWriter(path, 44100, 2) as writer:
        ...     writer.write(np.zeros((2, 100), dtype=np.float32))
        >>> soundfile.info(str(path)).frames
        100
    """

    def __init__(
        self,
        path: str | Path,
        sample_rate: int,
        channels: int,
        subtype: str = "FLOAT",
        format: str = "WAV",  # noqa: A002 - the field's own word
        *,
        frames: int | None = None,
        tags: Mapping[str, str] | None = None,
        bitrate: int | None = None,
    ) -> None:
        path = Path(path)
        self.path = path
        self.sample_rate = sample_rate
        self.channels = channels
        self.subtype = subtype
        self.format = format
        self.frames = 0
        self.tags = dict(tags or {})
        self.bitrate = bitrate
        row = format_of(format)
        if row and row.larger and frames is not None and not self._fits(frames):
            self.format = row.larger
        if subtype not in subtypes_of(self.format):
            raise AudioError(
                f"cannot write '{path}'",
                found=f"{format} with {subtype}",
                expected=f"one of {', '.join(subtypes_of(format)) or 'the known formats'}",
                advice="Choose an encoding of that format.",
            )
        if row and row.one_rate and sample_rate != row.one_rate:
            raise AudioError(
                f"cannot write '{path}'",
                found=f"{sample_rate} Hz",
                expected=f"{row.one_rate} Hz, the one rate of {format}",
                advice="Resample it.",
            )

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            try:
                self._part = stack.enter_context(atomic_path(self.path))
                self._sink = self._opened(self._part)
                stack.push(self._sink)
            except (OSError, soundfile.LibsndfileError) as error:
                raise self._unwritable(error) from error
            self._stack = stack.pop_all()
        return self

    def write(self, block: Audio) -> None:
        """Append samples.

        Args:
            block: Samples ``[C, n]``.

        Raises:
            AudioError: If the shape does not fit, a sample is NaN, or the disk or the format is full.
        """
        if block.ndim != 2 or block.shape[0] != self.channels:
            raise AudioError(
                f"cannot write '{self.path}'",
                found=f"a block of shape {list(block.shape)}",
                expected=f"[{self.channels}, samples]",
            )
        check_finite(block, self.path)
        if not self._fits(self.frames + block.shape[1]):
            raise AudioError(
                f"cannot write '{self.path}'",
                found=f"more than {SIZE_LIMIT} bytes",
                expected=f"less, the most that {self.format} can hold",
                advice="Announce the number of frames, or choose the format RF64 or FLAC.",
            )
        try:
            self._sink.write(block)
        except (OSError, soundfile.LibsndfileError) as error:
            raise self._unwritable(error) from error
        self.frames += block.shape[1]

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            self._stack.__exit__(kind, error, traceback)
            return
        try:
            with self._stack:
                pass
        except (OSError, soundfile.LibsndfileError) as failure:
            raise self._unwritable(failure) from failure

    def _opened(self, path: Path) -> SoundFileSink | ContainerSink:
        row = format_of(self.format)
        tags = fitting_tags(self.tags, self.format)
        if row and row.encoder:
            return ContainerSink(
                path, self.sample_rate, self.channels, row=row, tags=tags, bitrate=self.bitrate
            )
        return SoundFileSink(
            path,
            self.sample_rate,
            self.channels,
            format=self.format,
            subtype=self.subtype,
            tags=tags,
            bitrate=self.bitrate,
        )

    def _fits(self, frames: int) -> bool:
        row, known = format_of(self.format), SUBTYPES.get(self.subtype)
        limited = self.format in _OLD or (row is not None and row.limited and self.format == row.container)
        return not limited or frames * self.channels * (known.size if known else 0) <= SIZE_LIMIT

    def _unwritable(self, error: Exception) -> AudioError:
        reason = error.strerror if isinstance(error, OSError) else str(error).rpartition(": ")[2]
        return AudioError(
            f"cannot write '{self.path}'",
            found=f"'{reason}' for {self.channels} channels of {self.format} {self.subtype}",
            expected="a file that can be written",
            advice="Check the folder, its permissions, the free space and the encoding.",
        )


def write_audio(path: str | Path, audio: Audio, sample_rate: int, subtype: str = "FLOAT") -> None:
    """Write a whole audio file at once; the extension of its name determines the format.

    Args:
        path: The file to create or replace; ends in .wav, .flac, .ogg, .mp3, .m4a, .opus or .aiff.
        audio: Samples ``[C, N]``.
        sample_rate: Samples per second.
        subtype: Encoding; "FLOAT" is for WAV and AIFF.

    Raises:
        AudioError: As `AudioWriter` does, or if the extension is any other.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> path = Path(tempfile.mkdtemp()) / "silence.flac"
        >>> write_audio(path, np.zeros((1, 10), dtype=np.float32), 8000, subtype="PCM_16")
        >>> soundfile.info(str(path)).format
        'FLAC'
    """
    path = Path(path)
    endings = {ending: row.container for row in FORMATS.values() for ending in row.endings}
    form = endings.get(path.suffix.lower())
    if form is None:
        raise AudioError(
            f"cannot write '{path}'",
            found=f"the ending '{path.suffix}'",
            expected=f"one of {', '.join(endings)}",
            advice="Name the file after its format.",
        )
    with AudioWriter(path, sample_rate, audio.shape[0], subtype, form, frames=audio.shape[-1]) as writer:
        writer.write(audio)
