"""Which decoder reads a file; that a file is damaged takes the word of two."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path

import soundfile

from auralflow.audio.checks import (
    Audio,
    SampleType,
    as_audio_error,
    check_finite,
    check_readable,
    ends_early,
)
from auralflow.audio.containers import ContainerSource
from auralflow.audio.endings import check_size
from auralflow.audio.ogg import inspect_ogg
from auralflow.audio.sound_files import SoundFileSource
from auralflow.errors import AudioError

__all__ = ["Source", "checked_blocks", "opened"]

logger = logging.getLogger(__name__)

# Where a single decoder may be wrong about damage; for plain samples the file's size decides.
_COMPRESSED = frozenset({"FLAC", "OGG", "MP3"})

Source = SoundFileSource | ContainerSource


@contextmanager
def opened(path: Path) -> Iterator[Source]:
    """Open a file with the decoder that reads it best; any failure in the ``with`` block is one line.

    Args:
        path: The file; its content decides, not its name.

    Yields:
        The open file.

    Raises:
        NotFoundError: If there is no such file.
        AudioError: If it is not audio, or cannot be read.
    """
    check_readable(path)
    with as_audio_error(path), _source(path) as source:
        yield source


def _source(path: Path) -> Source:
    check_size(path)
    if ogg := inspect_ogg(path):
        if not ogg.is_whole:
            raise ends_early(
                path, found=f"{max(ogg.granule, 0)} samples and a damaged page", expected="whole pages"
            )
        if not ogg.has_end:
            _warn_of_no_end(path)
        # libsndfile refuses some good Opus files, and reads only the first of several chained streams.
        if ogg.is_opus or not ogg.is_single:
            return ContainerSource(path, skip=ogg.skip, promised=ogg.frames)
    try:
        source = SoundFileSource(path)
    except (soundfile.LibsndfileError, TypeError):
        # A TypeError means a name ending in .raw, which soundfile takes for samples without a header.
        return ContainerSource(path)
    try:
        source.check_complete()
    except AudioError as error:
        with source:
            return _second_opinion(path, source, error)
    return source


@lru_cache(maxsize=256)
def _warn_of_no_end(path: Path) -> None:
    logger.warning(
        "'%s' has no mark of its end: it was recorded from a stream, or cut between two pages", path
    )


def _second_opinion(path: Path, first: Source, error: AudioError) -> Source:
    """Another decoder that reads the whole of a file that the first one calls damaged.

    Raises:
        AudioError: The first one's error, if there is no other decoder, or if that fails too or finds less.
    """
    if first.promised is None or first.format not in _COMPRESSED:
        raise error
    with ExitStack() as stack:
        try:
            other = _other_decoder(path, first)
            stack.push(other)
            found = sum(piece.shape[1] for piece in other.blocks(0, None, 1 << 16, "float32"))
        except (AudioError, soundfile.LibsndfileError):
            raise error from None
        if found != first.promised:
            raise error
        stack.pop_all()
    return other


def _other_decoder(path: Path, first: Source) -> Source:
    return ContainerSource(path) if isinstance(first, SoundFileSource) else SoundFileSource(path)


def checked_blocks(
    source: Source, path: Path, start: int, frames: int | None, block: int, dtype: SampleType
) -> Iterator[Audio]:
    """Decode a range with finite samples; where one decoder calls the file damaged, the other takes over.

    Args:
        source: The open file.
        path: Its path.
        start: First sample of the range.
        frames: Its length; ``None`` means up to the end.
        block: Samples per block.
        dtype: Sample type of the blocks.

    Yields:
        Samples ``[C, n]``.

    Raises:
        AudioError: If the file is damaged, or a sample is NaN or infinite.
    """
    done = 0
    blocks = source.blocks(start, frames, block, dtype)
    while True:
        try:
            piece = next(blocks, None)
        except AudioError as error:
            other = _second_opinion(path, source, error)
            break
        if piece is None:
            return
        check_finite(piece, path)
        yield piece
        done += piece.shape[1]
    with other:
        for piece in other.blocks(start + done, None if frames is None else frames - done, block, dtype):
            check_finite(piece, path)
            yield piece
