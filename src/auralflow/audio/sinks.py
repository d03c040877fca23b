"""What encodes samples and writes them to a file: libsndfile, or FFmpeg for what libsndfile cannot write."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np
import soundfile
from numpy.typing import NDArray

from auralflow.audio.checks import Audio
from auralflow.audio.formats import SUBTYPES, OutputFormat
from auralflow.audio.sound_files import native_name
from auralflow.audio.tags import CONTAINER_NAMES

if TYPE_CHECKING:
    from av import AudioStream

__all__ = ["ContainerSink", "SoundFileSink"]

# libsndfile's Vorbis encoder keeps a whole write on the stack, which a minute of audio overflows.
_PIECE = 16384

# Kilobits per second of a channel that the Vorbis encoder aims at for its qualities 0 to 10, in stereo.
_VORBIS_BITRATES = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 250)
_VORBIS_RATE = 44100


class SoundFileSink:
    """A file that libsndfile writes.

    Args:
        path: The file.
        sample_rate: Samples per second.
        channels: Number of channels.
        format: Container, by libsndfile's name.
        subtype: Encoding, by libsndfile's name.
        tags: Those that the format can hold.
        bitrate: Kilobits per second of all channels. Default: the encoder's own choice.

    Raises:
        soundfile.LibsndfileError: If libsndfile cannot write such a file.
    """

    def __init__(
        self,
        path: Path,
        sample_rate: int,
        channels: int,
        *,
        format: str,  # noqa: A002 - the field's own word
        subtype: str,
        tags: Mapping[str, str],
        bitrate: int | None,
    ) -> None:
        effort: dict[str, Any] = {}
        if bitrate and subtype == "MPEG_LAYER_III":
            effort = {
                "compression_level": _mp3_level(bitrate, sample_rate),
                "bitrate_mode": "CONSTANT",
            }
        elif bitrate:
            effort = {"compression_level": _vorbis_level(bitrate / channels, sample_rate)}
        self._path, self._subtype = path, subtype
        self._file = soundfile.SoundFile(
            native_name(path),
            "w",
            samplerate=sample_rate,
            channels=channels,
            subtype=subtype,
            format=format,
            **effort,
        )
        for name, text in tags.items():
            setattr(self._file, name, text)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()
        if error is None:
            _clear_time_stamp(self._path)

    def write(self, block: Audio) -> None:
        """Append samples ``[C, n]``."""
        for start in range(0, block.shape[1], _PIECE):
            self._file.write(_encoded(block[:, start : start + _PIECE], self._subtype))


def _mp3_level(bitrate: int, sample_rate: int) -> float:
    """The place of a bit rate between the most and the least that MP3 has at a sample rate."""
    most, least = (320, 32) if sample_rate >= 32000 else (160, 8) if sample_rate >= 16000 else (64, 8)
    return (most - min(bitrate, most)) / (most - least)


def _vorbis_level(bitrate: float, sample_rate: int) -> float:
    """The place of the quality that aims at a bit rate of a channel."""
    aimed = bitrate * max(1.0, _VORBIS_RATE / sample_rate)
    return 1 - float(np.interp(aimed, _VORBIS_BITRATES, np.linspace(0, 1, len(_VORBIS_BITRATES))))


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


class ContainerSink:
    """A file that FFmpeg writes.

    Players get the sound without the encoder's delay, and of its exact length: the container states both.
    Equal samples give equal bytes.

    Args:
        path: The file.
        sample_rate: Samples per second.
        channels: 1 or 2.
        row: The format.
        tags: Those that the format can hold.
        bitrate: Kilobits per second of all channels. Default: what the format has for a channel.

    Raises:
        OSError: If FFmpeg cannot write such a file.
    """

    def __init__(
        self,
        path: Path,
        sample_rate: int,
        channels: int,
        *,
        row: OutputFormat,
        tags: Mapping[str, str],
        bitrate: int | None,
    ) -> None:
        import av  # noqa: PLC0415 - most files need no FFmpeg
        from av.codec.context import Flags  # noqa: PLC0415

        self._rate = sample_rate
        self._position = 0
        # Opened here, so that FFmpeg takes no name for an address, and a full disk is the system's own error.
        self._file = path.open("wb+")
        try:
            with _as_os_error():
                # Without "bitexact" the name of the program and a random number get in. MPEG-4 rounds the
                # length to milliseconds unless told to count samples.
                options = {"fflags": "+bitexact"}
                if row.muxer == "ipod":
                    options["movie_timescale"] = str(sample_rate)
                self._container = av.open(self._file, "w", format=row.muxer, options=options)
                self._container.metadata.update(
                    {CONTAINER_NAMES.get(name, name): text for name, text in tags.items()}
                )
                layout = "mono" if channels == 1 else "stereo"
                self._stream = cast(
                    "AudioStream", self._container.add_stream(row.encoder, rate=sample_rate, layout=layout)
                )
                codec = self._stream.codec_context
                codec.bit_rate = 1000 * (bitrate or row.channel_bitrate * channels)
                codec.flags |= Flags.bitexact
                # Floats, which some encoders take only when asked to.
                names = [form.name for form in codec.codec.audio_formats or ()]
                codec.format = next(name for name in names if name in ("flt", "fltp"))
                codec.open()
        except BaseException:
            self._file.close()
            raise
        self._waiting = np.zeros((channels, 0), dtype=np.float32)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            # What is written is thrown away; FFmpeg must let go of the file all the same.
            with suppress(Exception):
                self._container.close()
            with suppress(OSError):
                self._file.close()
            return
        with self._file, _as_os_error():
            if self._waiting.shape[1]:
                self._encode(self._waiting)
            for packet in self._stream.encode(None):
                self._container.mux(packet)
            self._container.close()

    def write(self, block: Audio) -> None:
        """Append samples ``[C, n]``."""
        size = self._stream.codec_context.frame_size
        self._waiting = np.concatenate((self._waiting, block.astype(np.float32, copy=False)), axis=1)
        whole = self._waiting.shape[1] // size * size
        with _as_os_error():
            for start in range(0, whole, size):
                self._encode(self._waiting[:, start : start + size])
        self._waiting = self._waiting[:, whole:]

    def _encode(self, samples: Audio) -> None:
        import av  # noqa: PLC0415

        codec = self._stream.codec_context
        planar = codec.format.is_planar
        data = np.ascontiguousarray(samples if planar else samples.T.reshape(1, -1))
        frame = av.AudioFrame.from_ndarray(data, format=codec.format.name, layout=codec.layout.name)
        frame.sample_rate, frame.pts, frame.time_base = self._rate, self._position, codec.time_base
        self._position += samples.shape[1]
        for packet in self._stream.encode(frame):
            self._container.mux(packet)


@contextmanager
def _as_os_error() -> Iterator[None]:
    """Make whatever FFmpeg raises an error of the system, as those of the disk are."""
    import av  # noqa: PLC0415

    try:
        yield
    except av.error.FFmpegError as error:
        raise OSError(error.errno, error.strerror or type(error).__name__) from error
