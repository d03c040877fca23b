"""Finds songs, and names the folders of their stems."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from auralflow.audio import is_audio
from auralflow.errors import AudioError, NotFoundError
from auralflow.separation.naming import LONGEST_NAME

__all__ = ["FAILED_FILE", "OUTPUT_FOLDER", "Song", "find_songs", "numbered"]

OUTPUT_FOLDER = "separated_audio"
FAILED_FILE = "failed.txt"
"""Name of the list of failed songs in the output folder."""
MIXTURE = "mixture"


@dataclass(frozen=True)
class Song:
    """A song to separate.

    Attributes:
        path: The audio file.
        name: Folder of its stems, relative to ``separated_audio``.
        fault: Why it cannot be separated, if that is already known; otherwise None.
    """

    path: Path
    name: Path
    fault: AudioError | None = None


def find_songs(
    paths: Sequence[str | Path],
    *,
    listed: Sequence[str | Path] = (),
    flat: bool = False,
    may_be_none: bool = False,
) -> list[Song]:
    """Find the audio files in files and folders.

    Folders are searched recursively, and their structure is mirrored in the output. A folder with a
    ``mixture`` file, as in MUSDB18, is one song with the name of the folder. Hidden files and results of
    earlier runs are skipped.

    Args:
        paths: Files and folders. A file given by name is taken whatever its extension.
        listed: Files and folders from a list: their full paths are mirrored in the output, and a missing one
            becomes a song that fails instead of an error.
        flat: Name songs without their folders.
        may_be_none: Return an empty list, rather than raise an error, if the folders contain no audio.

    Returns:
        The songs, with unique names: where two would be the same, the extension is added, then a number.

    Raises:
        NotFoundError: If a path does not exist, or none contains audio and ``may_be_none`` is False.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in ("a.wav", "b.wav", "b.mp3", "notes.txt"):
        ...     (folder / name).touch()
        >>> [song.name.as_posix() for song in find_songs([folder])]
        ['a', 'b.mp3', 'b.wav']
    """
    songs: list[Song] = []
    for path in map(Path, paths):
        if path.is_dir():
            songs.extend(_songs_in(path, Path()))
        elif path.exists():
            songs.append(_song(path, Path()))
        elif path.parts[:1] in (("http:",), ("https:",)):
            raise NotFoundError(
                f"'{path.name}' is a URL", advice="Download it, then give the path of the file."
            )
        else:
            raise NotFoundError(f"no such file or folder: '{path}'", expected="a song or a folder of songs")
    for path in map(Path, listed):
        songs.extend(_listed(path))
    if not songs and not may_be_none:
        raise NotFoundError(
            "nothing to separate",
            found="no audio files in " + (", ".join(f"'{path}'" for path in paths) or "the list"),
            expected="wav, flac, ogg, mp3, m4a or similar",
        )
    unique: dict[str, Song] = {}
    for song in songs:
        # A file given by name may also be in one of the folders.
        unique.setdefault(os.path.abspath(song.path), song)  # noqa: PTH100 - links are not followed
    found = list(unique.values())
    return _with_own_names([replace(song, name=Path(song.name.name)) for song in found] if flat else found)


def _listed(path: Path) -> Iterator[Song]:
    # Strip the root and "..", so that each path maps to its own place in the output, whatever else is listed.
    whole = Path(os.path.normpath(path))
    parent = Path(*(part for part in whole.parent.parts if part not in (whole.anchor, os.pardir)))
    if path.is_dir():
        yield from _songs_in(path, parent / whole.name)
    elif path.exists():
        yield _song(path, parent)
    else:
        fault = AudioError(f"no such file or folder: '{path}'", expected="a song or a folder of songs")
        yield Song(path, _song(path, parent).name, fault)


def _song(path: Path, parent: Path) -> Song:
    if path.stem.lower() == MIXTURE:
        return Song(path, parent / (path.resolve().parent.name or MIXTURE))
    # The stem of "...wav" is "..", which would lead out of the folder.
    return Song(path, parent / (path.name if path.stem in (".", "..") else path.stem))


def _songs_in(folder: Path, parent: Path) -> Iterator[Song]:
    try:
        entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
        # A folder may be readable although its entries are not accessible.
        files = [entry for entry in entries if entry.is_file() and is_audio(entry)]
    except OSError as error:
        # Report an inaccessible folder, but continue with the others.
        fault = AudioError(f"cannot read the folder '{folder}'", found=f"'{error.strerror}'")
        yield Song(folder, parent / folder.name, fault)
        return
    mixtures = [file for file in files if file.stem.lower() == MIXTURE]
    if mixtures:
        yield Song(mixtures[0], parent.parent / folder.resolve().name)
    else:
        yield from (_song(file, parent) for file in files)
    for entry in entries:
        # A link to a folder could lead back up and never end.
        if entry.is_dir() and not entry.is_symlink() and entry.name != OUTPUT_FOLDER:
            yield from _songs_in(entry, parent / entry.name)


def numbered(name: Path, number: int) -> Path:
    """Append a number to a name, truncating it to the maximum length of file systems.

    Example:
        >>> numbered(Path("live/song"), 2).as_posix()
        'live/song (2)'
    """
    ending = f" ({number})"
    room = LONGEST_NAME - len(os.fsencode(ending))
    # Drop a character that was cut in half.
    return name.with_name(os.fsencode(name.name)[:room].decode(errors="ignore") + ending)


def _with_own_names(songs: Sequence[Song]) -> list[Song]:
    def key(name: Path) -> str:
        # Some file systems ignore case.
        return os.fspath(name).casefold()

    shared = Counter(key(song.name) for song in songs)
    taken = {key(Path(FAILED_FILE))}
    result = []
    for song in songs:
        base = song.name if shared[key(song.name)] == 1 else song.name.with_name(song.path.name)
        name, number = base, 1
        while key(name) in taken:
            number += 1
            name = numbered(base, number)
        taken.add(key(name))
        result.append(replace(song, name=name))
    return result
