"""Writing audio files atomically."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import soundfile
from numpy.typing import NDArray

from auralflow.audio.checks import Audio, check_finite
from auralflow.audio.formats import FORMATS, SIZE_LIMIT, SUBTYPES, format_of
from auralflow.audio.sound_files import native_name
from auralflow.audio.tags import fitting_tags
from auralflow.errors import AudioError
from auralflow.storage import atomic_path

__all__ = ["AudioWriter", "write_audio"]

# libsndfile's Vorbis encoder keeps a whole write on the stack, which a minute of audio overflows.
_PIECE = 16384

_OLD = ("WAVEX", "AU")
"""Containers that libsndfile writes too, and that have 32-bit sizes."""


class AudioWriter:
    """Write an audio file block by block.

    The samples go to a temporary name in the same folder. The file gets its own name, complete and flushed to
    the disk, when the ``with`` block succeeds; if the block raises, nothing is left and an existing file of
    that name stays as it was. Equal samples give equal bytes for WAV and FLAC.

    Integer encodings round to the nearest step and clip at full scale. A WAV file that would exceed the 4
    GiB of its format becomes RF64, its 64-bit form, if ``frames`` announces the length.

    Args:
        path: The file to create or replace.
        sample_rate: Samples per second.
        channels: Number of channels.
        subtype: Encoding: "FLOAT", "PCM_16", "PCM_24", "PCM_32", "VORBIS", ...
        format: Container: "WAV", "FLAC", "OGG", "MP3", "AIFF", ...
        frames: Samples per channel that will be written, when known.
        tags: Title, artist and so on, as `read_tags` returns them; what the format cannot hold is left out.

    Raises:
        AudioError: If the encoding does not fit the format, or the file cannot be written.

    Example:
        >>> import tempfile
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
    ) -> None:
        path = Path(path)
        self.path = path
        self.sample_rate = sample_rate
        self.channels = channels
        self.subtype = subtype
        self.format = format
        self.frames = 0
        self.tags = dict(tags or {})
        row = format_of(format)
        if row and row.larger and frames is not None and not self._fits(frames):
            self.format = row.larger
        if not soundfile.check_format(self.format, subtype):
            raise AudioError(
                f"cannot write '{path}'",
                found=f"{format} with {subtype}",
                expected=f"one of {', '.join(soundfile.available_subtypes(format)) or 'the known formats'}",
                advice="Choose an encoding of that format.",
            )

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            try:
                self._part = stack.enter_context(atomic_path(self.path))
                self._file = stack.enter_context(
                    soundfile.SoundFile(
                        native_name(self._part),
                        "w",
                        samplerate=self.sample_rate,
                        channels=self.channels,
                        subtype=self.subtype,
                        format=self.format,
                    )
                )
                for name, text in fitting_tags(self.tags, self.format).items():
                    setattr(self._file, name, text)
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
            for start in range(0, block.shape[1], _PIECE):
                self._file.write(_encoded(block[:, start : start + _PIECE], self.subtype))
        except soundfile.LibsndfileError as error:
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
                self._file.close()
                _clear_time_stamp(self._part)
        except (OSError, soundfile.LibsndfileError) as failure:
            raise self._unwritable(failure) from failure

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
        path: The file to create or replace; ends in .wav, .flac, .ogg, .opus, .mp3 or .aiff.
        audio: Samples ``[C, N]``.
        sample_rate: Samples per second.
        subtype: Encoding; "FLOAT" is for WAV and AIFF.

    Raises:
        AudioError: As `AudioWriter` does, or if the extension is any other.

    Example:
        >>> import tempfile
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


def _encoded(block: Audio, subtype: str) -> Audio | NDArray[np.int32]:
    """Samples ``[n, C]`` as libsndfile takes them without changing a bit."""
    known = SUBTYPES.get(subtype)
    bits = known.bits if known else None
    if bits is None:
        return np.ascontiguousarray(block.T)
    # libsndfile truncates floats instead of rounding them, which shifts every sample by half a step.
    full = 2.0 ** (bits - 1)
    steps = np.clip(np.rint(block.T.astype(np.float64) * full), -full, full - 1)
    return np.ascontiguousarray(steps.astype(np.int64) << (32 - bits), dtype=np.int32)


def _clear_time_stamp(path: Path) -> None:
    """Clear the time stamp in the PEAK chunk of a float WAV file, so that equal audio gives equal bytes."""
    with path.open("rb+") as file:
        header = file.read(4096).partition(b"data")[0]
        place = header.find(b"PEAK")
        if place >= 0:
            # Past the chunk's name, size and version.
            file.seek(place + 12)
            file.write(bytes(4))
