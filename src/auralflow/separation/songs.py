"""Which songs lie under some paths, and what their folders of stems are called."""

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
"""The list of songs that failed, in the output folder."""
MIXTURE = "mixture"


@dataclass(frozen=True)
class Song:
    """A file to be separated.

    Attributes:
        path: The file.
        name: Where its stems go, relative to ``separated_audio``.
        fault: Why it cannot be separated, as far as a look at its folder tells; else None.
    """

    path: Path
    name: Path
    fault: AudioError | None = None


def find_songs(
    paths: Sequence[str | Path], *, listed: Sequence[str | Path] = (), flat: bool = False
) -> list[Song]:
    """List the audio files under some paths.

    Folders are searched whole, and their tree is mirrored in the output. A folder with a ``mixture`` file, as
    in MUSDB18, is one song of the folder's name. Hidden files, and results of earlier runs, are left out.

    Args:
        paths: Files and folders. A file that is named is taken whatever its ending.
        listed: Files and folders of a list: their whole paths are mirrored in the output, and one that does
            not exist is a song that fails.
        flat: Name songs without the folders that they lie in.

    Returns:
        The songs, each with a name of its own: where two would share one, their endings are added to it,
        then a number.

    Raises:
        NotFoundError: If a path does not exist, or there is no audio under any of them.
    """
    songs: list[Song] = []
    for path in map(Path, paths):
        if path.is_dir():
            songs.extend(_songs_in(path, Path()))
        elif path.exists():
            songs.append(_song(path, Path()))
        elif path.parts[:1] in (("http:",), ("https:",)):
            raise NotFoundError(
                f"'{path.name}' is an address on the network", advice="Download it, and name the file."
            )
        else:
            raise NotFoundError(f"no such file or folder: '{path}'", expected="a song or a folder of songs")
    for path in map(Path, listed):
        songs.extend(_listed(path))
    if not songs:
        raise NotFoundError(
            "there is nothing to separate",
            found="no audio file in " + (", ".join(f"'{path}'" for path in paths) or "the list"),
            expected="wav, flac, ogg, mp3, m4a and the like",
        )
    unique: dict[str, Song] = {}
    for song in songs:
        # One that is named, and lies in a folder that is named too, is one song.
        unique.setdefault(os.path.abspath(song.path), song)  # noqa: PTH100 - links are not followed
    found = list(unique.values())
    return _with_own_names([replace(song, name=Path(song.name.name)) for song in found] if flat else found)


def _listed(path: Path) -> Iterator[Song]:
    # Without what leads to the root or upwards, each has a place of its own whatever else is listed.
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
    # The stem of "...wav" is "..", which is no name but the way out of the folder.
    return Song(path, parent / (path.name if path.stem in (".", "..") else path.stem))


def _songs_in(folder: Path, parent: Path) -> Iterator[Song]:
    try:
        entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
        # A folder may list its entries and not let them be looked at.
        files = [entry for entry in entries if entry.is_file() and is_audio(entry)]
    except OSError as error:
        # One closed folder is no reason to leave the others alone, nor to keep quiet.
        fault = AudioError(f"cannot look into the folder '{folder}'", found=f"'{error.strerror}'")
        yield Song(folder, parent / folder.name, fault)
        return
    mixtures = [file for file in files if file.stem.lower() == MIXTURE]
    if mixtures:
        yield Song(mixtures[0], parent.parent / folder.resolve().name)
    else:
        yield from (_song(file, parent) for file in files)
    for entry in entries:
        # A link to a folder could lead back up, and round and round.
        if entry.is_dir() and not entry.is_symlink() and entry.name != OUTPUT_FOLDER:
            yield from _songs_in(entry, parent / entry.name)


def numbered(name: Path, number: int) -> Path:
    """A name with a number behind it, cut to what file systems take.

    Example:
        >>> numbered(Path("live/song"), 2).as_posix()
        'live/song (2)'
    """
    ending = f" ({number})"
    room = LONGEST_NAME - len(os.fsencode(ending))
    # Half a character at the cut is dropped.
    return name.with_name(os.fsencode(name.name)[:room].decode(errors="ignore") + ending)


def _with_own_names(songs: Sequence[Song]) -> list[Song]:
    def key(name: Path) -> str:
        # Some file systems do not tell upper from lower case.
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
