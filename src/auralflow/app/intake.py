"""What a user sends is looked at before any work is done on it: its size at once, its content in its turn."""

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
    """Bring a song into a folder, where it stays when the upload is removed.

    Its content is not looked at, which may take time: see `check_song`.

    Args:
        song: The upload.
        folder: The folder.
        settings: The limits.

    Returns:
        The song in the folder.

    Raises:
        NotFoundError: If the upload has been removed.
        UsageError: If the song is too large.
    """
    try:
        size = song.stat().st_size
    except FileNotFoundError:
        raise NotFoundError(
            f"'{song.name}' is no longer here",
            expected=f"a song that was sent in the last {settings.keep:g} minutes",
            advice="Choose it again.",
        ) from None
    if size > settings.max_size * 2**20:
        raise UsageError(
            f"'{song.name}' is too large",
            found=f"{size / 2**20:.1f} MiB",
            expected=f"at most {settings.max_size:g} MiB",
            advice="Send a shorter part of it, or the same song as FLAC or MP3.",
        )
    # Without its ending: a server shows a file by that, and nobody needs to see this one.
    kept = folder / "source"
    _link(song, kept)
    return kept


def check_song(kept: Path, name: str, settings: AppConfig) -> AudioInfo:
    """Check the content of a song against the limits.

    Some formats must be decoded to know their length. That ends at the longest song that is allowed.

    Args:
        kept: The song, as `take_in` has put it.
        name: The name that the user knows.
        settings: The limits.

    Returns:
        What the song holds.

    Raises:
        UsageError: If the song is too long, empty, or nothing that the page can play.
        AudioError: If it is no audio, or damaged.
    """
    with under_its_own_name(kept, name):
        info = probe(kept, max_seconds=settings.max_duration)
    _check(info, name, settings)
    return info


@contextmanager
def under_its_own_name(kept: Path, name: str) -> Iterator[None]:
    """Let errors call a song by the name that the user knows, not by where the server keeps it.

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
            advice="Send a part of it.",
        )
    if info.channels > _MOST_CHANNELS or info.sample_rate > _HIGHEST_RATE:
        raise UsageError(
            f"'{name}' is no song that the page can play",
            found=f"{info.channels} channels at {info.sample_rate} Hz",
            expected=f"at most {_MOST_CHANNELS} channels at {_HIGHEST_RATE} Hz",
        )


def _minutes(seconds: float) -> str:
    """A length as minutes and seconds.

    Example:
        >>> _minutes(125.2)
        '2:05 minutes'
    """
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d} minutes"


def _link(song: Path, kept: Path) -> None:
    try:
        os.link(song, kept)
    except OSError:
        # Another disk, or one that knows no links.
        shutil.copyfile(song, kept)
