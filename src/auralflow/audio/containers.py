"""Decoding with FFmpeg: MPEG-4, WebM, Matroska, Opus, raw AAC and anything else with an audio stream.

FFmpeg runs in a process of its own, so that a crash is an error of the file.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np

from auralflow.audio import decoders
from auralflow.audio.checks import Audio, SampleType, check_bounds
from auralflow.audio.decoder import DecoderLostError
from auralflow.errors import AudioError

__all__ = ["ContainerSource", "container_tags"]


class _Loan:
    """A decoding process for one file, replaced by a fresh one if an earlier file may have corrupted it."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._shown = path
        self.decoder = decoders.borrow()

    def ask(self, do: str, **words: Any) -> dict[str, Any]:
        """Send a request that is answered at once.

        Raises:
            AudioError: If the file cannot be read, or killed a process that had read no other file.
        """
        while True:
            try:
                self.begin(do, **words)
                return self.decoder.reply(self._shown)
            except DecoderLostError as lost:
                self.replace(lost)

    def begin(self, do: str, **words: Any) -> None:
        """Ask for samples."""
        self.decoder.ask(do, self.path, **words)

    def replace(self, lost: DecoderLostError) -> None:
        """Continue with a fresh process.

        Raises:
            AudioError: If the lost one had been fresh: then this file killed it.
        """
        if self.decoder.loans == 1:
            raise AudioError(
                f"cannot decode '{self._shown}'",
                found=str(lost),
                expected="audio that FFmpeg can decode",
                advice="The file is damaged, or beyond FFmpeg: convert it to WAV where it plays.",
            ) from lost
        self.close()
        self.decoder = decoders.borrow(fresh=True)

    def close(self) -> None:
        decoders.give_back(self.decoder)


class ContainerSource:
    """One audio stream of one open file, decoded by FFmpeg.

    The encoder's delay is removed where the container states it (MPEG-4, WebM, Matroska, Ogg); raw AAC, AC-3
    and WMA do not, so their audio is a codec frame late.

    Args:
        path: The file to read.
        stream: Which of its audio streams. Default: the first.
        skip: Samples before the audio, if ``promised`` is given.
        promised: Samples per channel that the file says it has, if it does.

    Attributes:
        sample_rate: Samples per second.
        channels: Number of channels.
        format: Name of the container, such as "MP4".
        subtype: Name of the codec, such as "AAC".
        promised: Samples per channel; None if only decoding can count them.

    Raises:
        AudioError: If the file is not audio, or has no audio stream.
    """

    def __init__(self, path: Path, stream: int = 0, *, skip: int = 0, promised: int | None = None) -> None:
        self._path = path
        self._words = {"stream": stream}
        self._skip = skip
        self.promised = promised
        self._loan = _Loan(path)
        try:
            info = self._loan.ask("open", **self._words)
            self.sample_rate, self.channels = int(info["rate"]), int(info["channels"])
            check_bounds(path, self.sample_rate, self.channels)
        except AudioError:
            self._loan.close()
            raise
        self.format, self.subtype = str(info["format"]), str(info["codec"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._loan.close()

    def count(self, most: int | None = None) -> int:
        """Count the samples per channel, by decoding unless the file states them to the sample.

        Args:
            most: Stop once more than this have been found.

        Returns:
            Their number, or one between ``most`` and the whole.

        Raises:
            AudioError: If the file is damaged.
        """
        if self.promised is not None:
            return self.promised
        return int(self._loan.ask("count", most=most, **self._words)["frames"])

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
        done = 0
        while True:
            left = None if frames is None else frames - done
            try:
                for piece in self._decoded(start + done, left, block, dtype):
                    done += piece.shape[1]
                    yield piece
            except DecoderLostError as lost:
                self._loan.replace(lost)
            else:
                return

    def _decoded(self, start: int, frames: int | None, block: int, dtype: SampleType) -> Iterator[Audio]:
        if self.promised is not None and start >= self.promised:
            return
        if frames is not None:
            if not frames:
                return
            block = min(block, frames)
        decoder = self._loan.decoder
        self._loan.begin(
            "decode",
            start=start,
            frames=frames,
            dtype=dtype,
            skip=self._skip,
            promised=self.promised,
            **self._words,
        )
        samples = np.empty((block, self.channels), dtype=dtype)
        memory, filled = memoryview(samples.data).cast("B"), 0
        while size := decoder.samples(self._path):
            while size:
                part = memory[filled : filled + size]
                decoder.read_into(part)
                filled += len(part)
                size -= len(part)
                if filled == len(memory):
                    yield samples.T.copy()
                    filled = 0
        if filled:
            yield samples[: filled * block // len(memory)].T.copy()


def container_tags(path: Path) -> Mapping[str, str]:
    """The metadata of a container.

    Args:
        path: The file.

    Returns:
        FFmpeg's keys in lower case and their text; empty if the file cannot be read.
    """
    loan = _Loan(path)
    try:
        tags: Mapping[str, str] = loan.ask("tags", stream=0)["tags"]
    except AudioError:
        return {}
    finally:
        loan.close()
    return tags
