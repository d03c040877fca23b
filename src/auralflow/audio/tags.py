"""Tags: title, artist and so on."""

from collections.abc import Mapping
from pathlib import Path

import soundfile

from auralflow.audio.checks import as_audio_error, check_readable
from auralflow.audio.containers import container_tags
from auralflow.audio.formats import TAGS, format_of
from auralflow.audio.sound_files import native_name

__all__ = ["CONTAINER_NAMES", "TAGS", "fitting_tags", "read_tags"]

CONTAINER_NAMES = {"tracknumber": "track"}
"""What FFmpeg calls the tags that it does not call as libsndfile does."""


def read_tags(path: str | Path) -> dict[str, str]:
    """Read the tags of an audio file.

    Args:
        path: The file.

    Returns:
        Those of `TAGS` that it has.

    Raises:
        NotFoundError: If there is no such file.
        AudioError: If it cannot be read.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "song.flac"
        >>> with soundfile.SoundFile(path, "w", 8000, 1, format="FLAC") as file:
        ...     file.title = "Song"
        ...     file.write([0.0])
        >>> read_tags(path)
        {'title': 'Song'}
    """
    path = Path(path)
    check_readable(path)
    with as_audio_error(path):
        try:
            with soundfile.SoundFile(native_name(path)) as file:
                found: Mapping[str, str] = file.copy_metadata()
        except (soundfile.LibsndfileError, TypeError):
            found = _container_tags(path)
    return {name: found[name] for name in TAGS if found.get(name)}


def _container_tags(path: Path) -> dict[str, str]:
    known = container_tags(path)
    return {name: known.get(CONTAINER_NAMES.get(name, name), "") for name in TAGS}


def fitting_tags(tags: Mapping[str, str], format: str) -> dict[str, str]:  # noqa: A002 - the field's own word
    """The tags that a format can hold.

    Args:
        tags: Names of `TAGS` and their text.
        format: Name of the container, such as "WAV".

    Returns:
        Those that can be written so that other programs can read them: none for AIFF, where it corrupts
        some; for MP3 those in ASCII only, because their encoding is not written.

    Example:
        >>> fitting_tags({"title": "Lied", "artist": "Zoë", "license": "CC0"}, "MP3")
        {'title': 'Lied'}
    """
    row = format_of(format)
    if row is None:
        return {}
    return {
        name: text
        for name, text in tags.items()
        if name in row.tags and (not row.plain_tags or text.isascii())
    }
