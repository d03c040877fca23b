"""Decoding with FFmpeg: MPEG-4, WebM, Matroska, Opus, raw AAC and whatever else carries sound.

FFmpeg runs in a process of its own, so that what ends it is an error of the file.
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
    """A decoding process for one file, replaced by a fresh one if an earlier file may have harmed it."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._shown = path
        self.decoder = decoders.borrow()

    def ask(self, do: str, **words: Any) -> dict[str, Any]:
        """Ask for something that is answered at once.

        Raises:
            AudioError: If the file cannot be read, or a process that saw no other file died of it.
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
        """Go on with a fresh process.

        Raises:
            AudioError: If the lost one had been fresh: then this file is what it died of.
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

    The delay that an encoder put before the sound is removed where the container tells it (MPEG-4, WebM,
    Matroska, Ogg); raw AAC, AC-3 and WMA do not tell, so that their sound is a codec frame off.

    Args:
        path: The file to be read.
        stream: Which of its audio streams. Default: the first.
        skip: Samples before the sound, if ``promised`` is given.
        promised: Samples per channel that the file says it has, if it does.

    Attributes:
        sample_rate: Samples per second.
        channels: Number of channels.
        format: Name of the container, such as "MP4".
        subtype: Name of the codec, such as "AAC".
        promised: Samples per channel, None if only decoding counts them.

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
            most: Stop when more than this have been found.

        Returns:
            Their number, or one that is larger than ``most`` and smaller than the whole.

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
    """What a container says in words.

    Args:
        path: The file.

    Returns:
        FFmpeg's names in lower case, and the text; nothing if the file cannot be read.
    """
    loan = _Loan(path)
    try:
        tags: Mapping[str, str] = loan.ask("tags", stream=0)["tags"]
    except AudioError:
        return {}
    finally:
        loan.close()
    return tags
