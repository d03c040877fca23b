"""Decoding with FFmpeg through PyAV: MPEG-4, WebM, Matroska, raw AAC and whatever else carries sound.

PyAV is imported where a file is opened: it takes longer to load than the rest of this package together.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from auralflow.audio.checks import Audio, SampleType, ends_early
from auralflow.errors import AudioError

if TYPE_CHECKING:
    from av import AudioFrame, AudioStream

__all__ = ["ContainerSource"]


class ContainerSource:
    """One audio stream of one open file, decoded by FFmpeg.

    The delay that an encoder put before the sound is removed where the container tells it (MPEG-4, WebM,
    Matroska); raw AAC, AC-3 and WMA do not tell, so that their sound is a codec frame off.

    Args:
        path: The file to be read.
        stream: Which of its audio streams. Default: the first.

    Attributes:
        sample_rate: Samples per second.
        channels: Number of channels.
        format: Name of the container, such as "MP4".
        subtype: Name of the codec, such as "AAC".

    Raises:
        AudioError: If the file is not audio, or has no audio stream.
    """

    def __init__(self, path: Path, stream: int = 0) -> None:
        import av  # noqa: PLC0415 - see the module's docstring

        self._path = path
        self._number = stream
        # An open file and this list keep FFmpeg from taking a file's name or its content for an address.
        self._file = path.open("rb")
        try:
            self._container = av.open(self._file, mode="r", options={"protocol_whitelist": "file"})
            self._stream = self._chosen_stream()
        except (av.error.FFmpegError, AudioError) as error:
            self._file.close()
            if isinstance(error, AudioError):
                raise
            raise self._unreadable(str(error.strerror)) from error
        self.sample_rate = int(self._stream.rate)
        self.channels = int(self._stream.channels)
        self.format = "MP4" if "mp4" in self._container.format.name else self._container.format.name.upper()
        self.subtype = self._stream.codec_context.name.upper()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()
        self._file.close()

    @property
    def frames(self) -> int:
        """Samples per channel, counted by decoding: no container states them to the sample.

        Raises:
            AudioError: If the file is damaged.
        """
        with ContainerSource(self._path, self._number) as fresh:
            return sum(chunk.shape[1] for chunk in fresh.chunks("float32"))

    def blocks(self, start: int, frames: int | None, block: int, dtype: SampleType) -> Iterator[Audio]:
        """Decode a range in blocks of ``block`` samples, the last one shorter.

        Everything before ``start`` is decoded too, because seeking in these formats is not exact.

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
        waiting = np.zeros((self.channels, 0), dtype=dtype)
        position = 0
        for chunk in self.chunks(dtype):
            first = max(start - position, 0)
            last = None if frames is None else max(start + frames - position, 0)
            position += chunk.shape[1]
            waiting = np.concatenate([waiting, chunk[:, first:last]], axis=1)
            while waiting.shape[1] >= block:
                yield waiting[:, :block].copy()
                waiting = waiting[:, block:]
            if frames is not None and position >= start + frames:
                break
        if waiting.shape[1]:
            yield waiting.copy()

    def chunks(self, dtype: SampleType) -> Iterator[Audio]:
        """Decode everything, in pieces as long as the codec's own frames.

        Args:
            dtype: Sample type.

        Yields:
            Samples ``[C, n]``.

        Raises:
            AudioError: If the file is damaged, holds no sound, or ends before its promised length.
        """
        from av import AudioResampler  # noqa: PLC0415

        # Changes the sample format only: neither rate nor layout are given.
        planar = AudioResampler(format="fltp" if dtype == "float32" else "dblp")
        total = 0
        held: Audio | None = None
        # One chunk is held back, because only the last packet tells how much of the last one is sound.
        for frame in self._decode():
            if held is not None:
                yield held
            held = np.concatenate([part.to_ndarray() for part in planar.resample(frame)], axis=1)
            total += held.shape[1]
        if held is None:
            raise self._unreadable("a stream without a single sample")
        yield held[:, : held.shape[1] - self._padding(total, held.shape[1])]

    def _decode(self) -> Iterator["AudioFrame"]:
        import av  # noqa: PLC0415

        self._origin: int | None = None
        self._end = 0
        position = 0
        try:
            for packet in self._container.demux(self._stream):
                if packet.pts is not None and packet.duration is not None:
                    self._end = max(self._end, packet.pts + packet.duration)
                for frame in packet.decode():
                    if self._origin is None:
                        self._origin = frame.pts or 0
                    self._check_steady(frame, position)
                    position += frame.samples
                    yield frame
        except av.error.FFmpegError as error:
            raise AudioError(
                f"cannot decode '{self._path}' after sample {position}",
                found=f"'{error.strerror}'",
                expected=f"{self.subtype} audio",
                advice="It is truncated or damaged: copy it again from where it came.",
            ) from error

    def _padding(self, total: int, longest: int) -> int:
        """Samples at the end that only fill the codec's last frame, where an MPEG-4 file tells."""
        tick = self._stream.time_base
        if self.format != "MP4" or tick is None or tick * self.sample_rate != 1:
            return 0
        origin = self._origin or 0
        duration = self._stream.duration
        end = self._end
        # Writers round the promised duration, to milliseconds or a 600th of a second, but not their packets.
        if duration is not None and duration < end - self.sample_rate // 500:
            end = duration
        if duration is not None and total < duration - origin - self.sample_rate // 10:
            raise ends_early(self._path, found=f"{total} samples", expected=f"{duration - origin} samples")
        return min(max(total - (end - origin), 0), longest)

    def _check_steady(self, frame: "AudioFrame", position: int) -> None:
        found = (frame.sample_rate, len(frame.layout.channels))
        if found != (self.sample_rate, self.channels):
            raise AudioError(
                f"'{self._path}' changes at sample {position}",
                found=f"{found[0]} Hz with {found[1]} channels",
                expected=f"{self.sample_rate} Hz with {self.channels} channels throughout",
                advice="Convert it to one rate and layout, for example to WAV.",
            )

    def _chosen_stream(self) -> "AudioStream":
        streams = self._container.streams.audio
        if not streams:
            self._container.close()
            raise self._unreadable("no audio stream")
        if self._number >= len(streams):
            found = len(streams)
            self._container.close()
            raise self._unreadable(f"{found} audio streams where number {self._number + 1} was wanted")
        return streams[self._number]

    def _unreadable(self, found: str) -> AudioError:
        return AudioError(
            f"cannot read '{self._path}'",
            found=found,
            expected="audio that libsndfile or FFmpeg can decode",
            advice="Check that it plays elsewhere; convert it to WAV if it does.",
        )
