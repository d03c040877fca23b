"""Checks uploads before any work is done on them: the size at once, the content when it is their turn."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from auralflow.audio import AudioInfo, probe
from auralflow.config import AppConfig
from auralflow.errors import AuralflowError, NotFoundError, UsageError

__all__ = ["check_song", "take_in", "under_its_own_name"]

_HIGHEST_RATE = 192000
_MOST_CHANNELS = 8


def take_in(song: Path, folder: Path, settings: AppConfig) -> Path:
    """Copy an upload to a folder, where it remains when the upload is deleted.

    The content is not checked, since that may take time: see `check_song`.

    Args:
        song: The upload.
        folder: The folder.
        settings: The limits.

    Returns:
        The song in the folder.

    Raises:
        NotFoundError: If the upload was deleted.
        UsageError: If the song is too large.
    """
    try:
        size = song.stat().st_size
    except FileNotFoundError:
        raise NotFoundError(
            f"'{song.name}' is no longer available",
            expected=f"a song uploaded in the last {settings.keep:g} minutes",
            advice="Choose it again.",
        ) from None
    if size > settings.max_size * 2**20:
        raise UsageError(
            f"'{song.name}' is too large",
            found=f"{size / 2**20:.1f} MiB",
            expected=f"at most {settings.max_size:g} MiB",
            advice="Choose a shorter excerpt, or the same song as FLAC or MP3.",
        )
    # Without an extension, so that no server would recognise and serve it.
    kept = folder / "source"
    _link(song, kept)
    return kept


def check_song(kept: Path, name: str, settings: AppConfig) -> AudioInfo:
    """Check the content of a song against the limits.

    Some formats must be decoded to determine their length; decoding stops at the maximum length.

    Args:
        kept: The song, as returned by `take_in`.
        name: The name of the upload.
        settings: The limits.

    Returns:
        Information about the audio.

    Raises:
        UsageError: If the song is too long, empty, or cannot be played by the page.
        AudioError: If it is not audio, or is damaged.
    """
    with under_its_own_name(kept, name):
        info = probe(kept, max_seconds=settings.max_duration)
    _check(info, name, settings)
    return info


@contextmanager
def under_its_own_name(kept: Path, name: str) -> Iterator[None]:
    """Make errors name a song as the user knows it, not by its path on the server.

    Example:
        >>> from auralflow.errors import AudioError
        >>> with under_its_own_name(Path("/tmp/x/source.wav"), "song.wav"):
        ...     raise AudioError("cannot read '/tmp/x/source.wav'")
        Traceback (most recent call last):
        auralflow.errors.AudioError: cannot read 'song.wav'
    """
    try:
        yield
    except AuralflowError as error:
        if str(kept) not in str(error):
            raise
        raise type(error)(str(error).replace(str(kept), name)) from None


def _check(info: AudioInfo, name: str, settings: AppConfig) -> None:
    if info.frames == 0:
        raise UsageError(f"'{name}' is empty", found="no samples", advice="Choose another file.")
    if info.seconds > settings.max_duration:
        raise UsageError(
            f"'{name}' is too long",
            found=f"at least {_minutes(info.seconds)}",
            expected=f"at most {_minutes(settings.max_duration)}",
            advice="Choose a shorter excerpt.",
        )
    if info.channels > _MOST_CHANNELS or info.sample_rate > _HIGHEST_RATE:
        raise UsageError(
            f"this page cannot play '{name}'",
            found=f"{info.channels} channels at {info.sample_rate} Hz",
            expected=f"at most {_MOST_CHANNELS} channels at {_HIGHEST_RATE} Hz",
        )


def _minutes(seconds: float) -> str:
    """Format a duration as minutes and seconds.

    Example:
        >>> _minutes(125.2)
        '2:05 minutes'
    """
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d} minutes"


def _link(song: Path, kept: Path) -> None:
    try:
        os.link(song, kept)
    except OSError:
        # It is on another disk, or the file system does not support hard links.
        shutil.copyfile(song, kept)
