"""Downloads of a song's stems: one or all, in a chosen format."""

import threading
from pathlib import Path

from auralflow.app.tracks import Result, full_name, pack
from auralflow.audio import AudioWriter, probe, read_tags, stream_audio
from auralflow.audio.encoding import choose_encoding
from auralflow.audio.formats import FORMATS
from auralflow.errors import AudioError, NotFoundError

__all__ = ["ALL", "CHOICES", "Downloads", "possible_formats"]

ALL = "all"
"""Stands for all tracks, as an archive."""
CHOICES = ("wav", "flac", "mp3")
"""The available formats."""


def possible_formats(result: Result) -> tuple[str, ...]:
    """The formats suitable for a song: MP3 does not support high sample rates or more than two channels."""
    rate, channels = result.report.sample_rate, result.report.channels
    return tuple(
        name
        for name in CHOICES
        if (not FORMATS[name].rates or rate in FORMATS[name].rates)
        and channels <= FORMATS[name].most_channels
        and (result.report.seconds > 0 or FORMATS[name].holds_nothing)
    )


class Downloads:
    """Encodes tracks on demand, and only once.

    Args:
        workers: Number of files to encode concurrently. Default: 1.
    """

    def __init__(self, workers: int = 1) -> None:
        self._turns = threading.Semaphore(workers)

    def file(self, result: Result, name: str, wished: str) -> tuple[Path, str]:
        """Return a file to download, encoding it first if necessary.

        Args:
            result: The song.
            name: Name of a track, or `ALL` for an archive of all tracks.
            wished: One of `possible_formats`.

        Returns:
            The path of the file, and the name to save it under.

        Raises:
            NotFoundError: If the track or the format does not exist.
            AudioError: If it cannot be encoded, for example because the disk is full.
        """
        possible = possible_formats(result)
        if wished not in possible:
            raise NotFoundError(f"no format '{wished}' for this song", expected=", ".join(possible))
        tracks = {track.name: track.file for track in result.tracks}
        if name != ALL and name not in tracks:
            raise NotFoundError(f"no track '{name}' in this song", expected=", ".join(tracks))
        with self._turns:
            if name == ALL:
                return _archive(result, wished), f"{result.title} - stems ({wished.upper()}).zip"
            return _encoded(tracks[name], wished), full_name(result.title, f"{name}.{wished}")


def _archive(result: Result, wished: str) -> Path:
    archive = result.archive.with_name(f"{ALL}.{wished}.zip")
    if archive.exists():
        return archive
    files = tuple(_encoded(track.file, wished).name for track in result.tracks)
    try:
        return pack(archive.parent, files, result.title)
    except OSError as error:
        raise AudioError("cannot pack the stems", found=error.strerror or str(error)) from error


def _encoded(wave: Path, wished: str) -> Path:
    """Encode a WAV file to another format, beside it."""
    path = wave.with_suffix(f".{wished}")
    if path.exists():
        return path
    info = probe(wave)
    encoding = choose_encoding(info, wished)
    with AudioWriter(
        path,
        info.sample_rate,
        info.channels,
        encoding.subtype,
        encoding.format,
        frames=info.frames,
        tags=read_tags(wave),
    ) as writer:
        for block in stream_audio(wave):
            writer.write(block)
    return path
