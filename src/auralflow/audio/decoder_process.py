"""The program that decodes with FFmpeg, in a process of its own that may die.

FFmpeg parses untrusted files, and a crash in it ends its process. So that process must not be the user's:
`auralflow.audio.decoders` runs this file as a script, for one file after another. It imports PyAV and nothing
else of weight (neither numpy nor the rest of auralflow), so that it starts fast.

A request is a line of JSON on the standard input: what to "do", the "path", the number of the "stream". The
answer on the standard output is a series of messages, each a letter and the size of what follows: "P" says
that there is progress, "S" brings interleaved samples, and "J", the last one, is a JSON object with the
answer, or with a "fault" of the file, or with an "error" that may be the process's own.
"""

import json
import os
import queue
import struct
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from av import AudioFrame, AudioStream

__all__ = ["HEADER", "Recording"]

HEADER = struct.Struct("<cI")
"""Header of a message: its kind, and the number of bytes that follow."""

_MEMORY = 1 << 30
_PIECE = 1 << 18
_HEARTBEAT = 1.0
_SAMPLES = {"float32": ("flt", 4), "float64": ("dbl", 8)}


class FileFaultError(Exception):
    """A fault of a file: the words of an `AudioError`, with "{path}" in place of the file's name."""

    def __init__(self, found: str, *, what: str = "", expected: str = "", advice: str = "") -> None:
        super().__init__(found)
        self.words = {
            "what": what or "cannot read '{path}'",
            "found": found,
            "expected": expected or "audio that libsndfile or FFmpeg can decode",
            "advice": advice or "Check that it plays elsewhere; convert it to WAV if it does.",
        }


class _WatchedFile:
    """A file that reports when it is read further than before: a decoder in a loop makes no progress."""

    def __init__(self, path: bytes, on_progress: Callable[[], None]) -> None:
        self._file = open(path, "rb")  # noqa: PTH123, SIM115 - a name in bytes is no Path, and it is closed below
        self._furthest = 0
        self._on_progress = on_progress
        self.seek, self.tell, self.close = self._file.seek, self._file.tell, self._file.close

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        if self._file.tell() > self._furthest:
            self._furthest = self._file.tell()
            self._on_progress()
        return data


class Recording:
    """One audio stream of one open file.

    Args:
        path: Name of the file, as the system has it.
        number: Which of its audio streams.
        on_progress: Called whenever more of the file has been read or decoded.

    Raises:
        FileFaultError: If the file has no such stream, or FFmpeg does not know its codec.
    """

    def __init__(self, path: bytes, number: int, on_progress: Callable[[], None] = lambda: None) -> None:
        import av  # noqa: PLC0415 - what cannot be loaded is an answer, not the end

        self._on_progress = on_progress
        # An open file and this list keep FFmpeg from treating a file's name or content as a URL.
        self._file = _WatchedFile(path, on_progress)
        try:
            self._container = av.open(
                self._file, mode="r", options={"protocol_whitelist": "file"}, metadata_errors="replace"
            )
            self.stream = self._chosen_stream(number)
        except BaseException:
            self._file.close()
            raise
        if self.stream.codec_context.name == "flac":
            # Each frame has a checksum, which FFmpeg otherwise ignores.
            self.stream.codec_context.options = {"err_detect": "crccheck+explode"}
        self.rate, self.channels = int(self.stream.rate), int(self.stream.channels)
        name = self._container.format.name
        self.format = "MP4" if "mp4" in name else name.upper()
        self.codec = self.stream.codec_context.name.upper()

    def close(self) -> None:
        """Close the file."""
        self._container.close()
        self._file.close()

    def tags(self) -> dict[str, str]:
        """The container's metadata, with keys in lower case."""
        # Matroska and Ogg keep it with the stream, sometimes in upper case.
        return {
            name.lower(): value
            for name, value in {**self._container.metadata, **self.stream.metadata}.items()
        }

    def keep_padding(self) -> None:
        """Also decode what an Opus stream has before and after the audio; the caller trims it."""
        from av.codec.context import Flags2  # noqa: PLC0415

        self.stream.codec_context.flags2 |= Flags2.skip_manual

    def pieces(self, sample_type: str) -> Iterator[memoryview]:
        """Decode everything to interleaved samples, in pieces as long as the codec's own frames."""
        import av  # noqa: PLC0415

        name, size = _SAMPLES[sample_type]
        # Packed samples: for planar ones with eight or more channels, PyAV reads a pointer that does not
        # exist. Neither rate nor layout are given, so that nothing but the sample format changes.
        packed = av.AudioResampler(format=name)
        held: memoryview | None = None
        # One piece is held back, because only the last packet says how much of the last piece is audio.
        for frame in self.frames():
            if held is not None:
                yield held
            parts = [
                bytes(memoryview(part.planes[0])[: part.samples * size * self.channels])
                for part in packed.resample(frame)
            ]
            held = memoryview(b"".join(parts))
        if held is not None:
            yield held[: len(held) - self.padding * size * self.channels]

    def frames(self) -> Iterator["AudioFrame"]:
        """Decode everything; afterwards `total` is the number of samples, `padding` of them after the audio.

        Raises:
            FileFaultError: If the file is damaged, holds no audio, or ends before its promised length.
        """
        import av  # noqa: PLC0415

        self.total = self.padding = 0
        origin: int | None = None
        end = last = 0
        try:
            for packet in self._container.demux(self.stream):
                if packet.pts is not None and packet.duration is not None:
                    end = max(end, packet.pts + packet.duration)
                for frame in packet.decode():
                    if origin is None:
                        origin = frame.pts or 0
                    self._check_steady(frame)
                    last = frame.samples
                    self.total += last
                    self._on_progress()
                    yield frame
        except av.error.FFmpegError as error:
            raise FileFaultError(
                f"'{error.strerror}'",
                what=f"cannot decode '{{path}}' after sample {self.total}",
                expected=f"{self.codec} audio",
                advice="It is truncated or damaged: copy it again from where it came.",
            ) from error
        if not self.total:
            raise FileFaultError("a stream without a single sample")
        self.padding = self._padding(origin or 0, end, last)

    def _padding(self, origin: int, end: int, longest: int) -> int:
        """Samples at the end that only pad the codec's last frame, where an MPEG-4 file says so."""
        tick = self.stream.time_base
        if self.format != "MP4" or tick is None or tick * self.rate != 1:
            return 0
        duration = self.stream.duration
        # Encoders round the promised duration, to milliseconds or a 600th of a second, but not their packets.
        if duration is not None and duration < end - self.rate // 500:
            end = duration
        if duration is not None and self.total < duration - origin - self.rate // 10:
            raise ends_early(self.total, duration - origin)
        return min(max(self.total - (end - origin), 0), longest)

    def _check_steady(self, frame: "AudioFrame") -> None:
        found = (frame.sample_rate, frame.layout.nb_channels)
        if found != (self.rate, self.channels):
            raise FileFaultError(
                f"{found[0]} Hz with {found[1]} channels",
                what=f"'{{path}}' changes at sample {self.total}",
                expected=f"{self.rate} Hz with {self.channels} channels throughout",
                advice="Convert it to one rate and layout, for example to WAV.",
            )

    def _chosen_stream(self, number: int) -> "AudioStream":
        streams = self._container.streams.audio
        if not streams:
            raise FileFaultError("no audio stream")
        if number >= len(streams):
            raise FileFaultError(f"{len(streams)} audio streams where number {number + 1} was wanted")
        if streams[number].codec_context is None:
            raise FileFaultError("a codec that FFmpeg does not know")
        return streams[number]


def ends_early(found: int, expected: int) -> FileFaultError:
    """The fault of a file that holds fewer samples than it promises."""
    return FileFaultError(
        f"{found} samples",
        what="'{path}' ends early",
        expected=f"{expected} samples",
        advice="It is truncated or damaged: copy it again from where it came.",
    )


class _Server:
    """Answers one request after another."""

    def __init__(self, output: BinaryIO) -> None:
        self._output = output
        self._last_sent = 0.0
        self._file: tuple[Any, Recording] | None = None

    def answer(self, request: dict[str, Any]) -> None:
        """Handle a request; an error is an answer too."""
        self._last_sent = time.monotonic()
        try:
            reply = getattr(self, f"_do_{request['do']}")(request)
        except FileFaultError as fault:
            reply = {"fault": fault.words, "trace": traceback.format_exc()}
        except Exception as error:  # noqa: BLE001 - reported to whoever asked
            # Errors of the system or FFmpeg concern the file; anything else may stem from an earlier one.
            of_the_file = hasattr(error, "strerror") and not isinstance(error, MemoryError)
            words = FileFaultError(_in_words(error)).words
            reply = {"fault" if of_the_file else "error": words, "trace": traceback.format_exc()}
        if request["do"] != "close":
            self._send(b"J", json.dumps(reply).encode())

    def _do_open(self, request: dict[str, Any]) -> dict[str, Any]:
        found = self._opened(request)
        self._file = (_key(request), found)
        return {"rate": found.rate, "channels": found.channels, "format": found.format, "codec": found.codec}

    def _do_close(self, request: dict[str, Any]) -> None:
        if self._file:
            self._file[1].close()
            self._file = None

    def _do_tags(self, request: dict[str, Any]) -> dict[str, Any]:
        with closing(self._opened(request)) as recording:
            return {"tags": recording.tags()}

    def _do_count(self, request: dict[str, Any]) -> dict[str, Any]:
        """Count the samples, up to a second beyond "most", which is more than any padding."""
        most = request["most"]
        with closing(self._opened(request)) as recording:
            for _ in recording.frames():
                if most is not None and recording.total > most + recording.rate:
                    return {"frames": recording.total}
            return {"frames": recording.total - recording.padding}

    def _do_decode(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send the samples from "start" on, "frames" of them or all.

        With "promised", the first "skip" samples and those after the promised number are not audio.
        """
        skip, promised, frames = request["skip"], request["promised"], request["frames"]
        start = skip + request["start"]
        end = None if frames is None else start + frames
        if promised is not None:
            end = min(skip + promised, end or sys.maxsize)
        with closing(self._opened(request)) as recording:
            if promised is not None:
                recording.keep_padding()
            position, width = 0, _SAMPLES[request["dtype"]][1] * recording.channels
            waiting = bytearray()
            for piece in recording.pieces(request["dtype"]):
                first = max(start - position, 0)
                last = None if end is None else max(end - position, 0) * width
                position += len(piece) // width
                waiting += piece[first * width : last]
                if len(waiting) >= _PIECE:
                    self._send(b"S", waiting)
                    waiting = bytearray()
                if frames is not None and position >= start + frames:
                    break
            else:
                if promised is not None and position < skip + promised:
                    raise ends_early(max(position - skip, 0), promised)
            if waiting:
                self._send(b"S", waiting)
            return {}

    def _opened(self, request: dict[str, Any]) -> Recording:
        """The file of this request, opened before or now."""
        kept, self._file = self._file, None
        if kept and kept[0] == _key(request):
            return kept[1]
        if kept:
            kept[1].close()
        return Recording(request["path"].encode("latin-1"), request["stream"], self._progress)

    def _progress(self) -> None:
        if time.monotonic() - self._last_sent > _HEARTBEAT:
            self._send(b"P", b"")

    def _send(self, kind: bytes, content: bytes | bytearray) -> None:
        self._output.write(HEADER.pack(kind, len(content)))
        self._output.write(content)
        self._output.flush()
        self._last_sent = time.monotonic()


def _key(request: dict[str, Any]) -> tuple[str, int]:
    return request["path"], request["stream"]


def _in_words(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return f"a demand for more than {_MEMORY >> 20} MiB of memory"
    # Some of FFmpeg's errors are an OSError, others a ValueError, but all have this.
    said = getattr(error, "strerror", None)
    if said == "Invalid data found when processing input":
        return "data that is no audio, or damaged"
    if said:
        return f"'{said}'"
    return f"{type(error).__name__}: {error}"


def _limit_this_process() -> None:
    """Limit memory to what any honest file needs, and forbid writing, where the system can."""
    try:
        import resource  # noqa: PLC0415 - not on Windows
    except ImportError:
        return
    limits = ((resource.RLIMIT_AS, _MEMORY), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0))
    for what, most in limits:
        # Where the limit is already lower, and on macOS, which only pretends to support the first.
        with suppress(ValueError, OSError):
            resource.setrlimit(what, (most, most))


def _listen(requests: "queue.SimpleQueue[dict[str, Any]]") -> None:
    """Read requests from the standard input; when it ends the parent has ended, and so does this process."""
    for line in sys.stdin.buffer:
        requests.put(json.loads(line))
    # Even within a decoder that never returns.
    os._exit(0)


def _main() -> None:
    _limit_this_process()
    # The parent's module path.
    sys.path[:] = json.loads(sys.stdin.buffer.readline())
    # What a library prints must not mix with the messages.
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()
    server = _Server(output)
    while True:
        server.answer(requests.get())


if __name__ == "__main__":
    _main()
