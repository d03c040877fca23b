"""Lists of songs: those named in a file, the shard of one machine, and those that failed."""

import hashlib
import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path

from filelock import FileLock

from auralflow.errors import UsageError
from auralflow.separation.journal import LOCK_FILE
from auralflow.separation.songs import FAILED_FILE, Song
from auralflow.storage import write_text

__all__ = ["FailedSongs", "escaped_path", "paths_in", "share_of", "unescaped_path"]


def paths_in(content: bytes) -> list[Path]:
    r"""Parse a list of paths, separated by NUL if it contains any, otherwise by newlines.

    There are no escapes: lists separated by NUL can contain any path.

    Args:
        content: The list.

    Returns:
        The paths.

    Example:
        >>> [path.as_posix() for path in paths_in(b"a b.wav\r\n\nc.wav\n")]
        ['a b.wav', 'c.wav']
        >>> [path.as_posix() for path in paths_in(b"a\nb.wav\0c.wav\0")]
        ['a\nb.wav', 'c.wav']
    """
    if b"\0" in content:
        names = content.split(b"\0")
    else:
        names = [line.removesuffix(b"\r") for line in content.split(b"\n")]
    return [Path(os.fsdecode(name)) for name in names if name]


def share_of(songs: Sequence[Song], shard: tuple[int, int]) -> list[Song]:
    """Select the songs of one shard.

    The hash of a song's name decides: its content would have to be read, and its position would change with
    every song that is added. Machines given the same folder or list therefore agree without communicating:
    each song belongs to exactly one shard, and stays there when other songs are added or removed.

    Args:
        songs: All songs, the same on every machine.
        shard: Index of the shard, counted from 1, and the number of shards.

    Returns:
        The songs of the shard.

    Example:
        >>> songs = [Song(Path(name), Path(name)) for name in "abcdef"]
        >>> [len(share_of(songs, (number, 3))) for number in (1, 2, 3)]
        [1, 2, 3]
    """
    number, count = shard
    return [song for song in songs if _hash(song.name) % count == number - 1]


def _hash(name: Path) -> int:
    # Systems encode the same accents in two ways.
    text = unicodedata.normalize("NFC", name.as_posix())
    return int.from_bytes(hashlib.sha256(os.fsencode(text)).digest()[:8], "big")


_CONTROL = re.compile("[\x00-\x1f\x7f\x85\u2028\u2029\ud800-\udfff\\\\]")
_ESCAPE = re.compile(rb"\\(?:x([0-9a-f]{2})|(.))", re.DOTALL)
_LETTERS = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_MEANINGS = {b"\\": b"\\", b"n": b"\n", b"r": b"\r", b"t": b"\t"}


def escaped_path(path: Path) -> str:
    r"""Escape any path as one line of text, the inverse of `unescaped_path`.

    Example:
        >>> print(escaped_path(Path("a\nb\\c Zoë.wav")))
        a\nb\\c Zoë.wav
    """
    return _CONTROL.sub(
        lambda match: _LETTERS.get(match[0]) or "".join(f"\\x{byte:02x}" for byte in os.fsencode(match[0])),
        str(path),
    )


def unescaped_path(line: str) -> Path:
    r"""Restore the path from a line that `escaped_path` returned.

    Example:
        >>> unescaped_path("a\\nb.wav") == Path("a\nb.wav")
        True
    """
    return Path(
        os.fsdecode(
            _ESCAPE.sub(
                lambda match: bytes([int(match[1], 16)]) if match[1] else _MEANINGS.get(match[2], match[0]),
                os.fsencode(line),
            )
        )
    )


class FailedSongs:
    """The list of failed songs in an output folder, one path per line, escaped by `escaped_path`.

    Runs that share the folder share the list. A song is removed when any run succeeds with it, and the file
    is deleted with the last one.

    Args:
        output: The output folder.

    Example:
        >>> import tempfile
        >>> failed = FailedSongs(Path(tempfile.mkdtemp()))
        >>> failed.update(failed=[Path("/a.wav"), Path("/b.wav")], done=[])
        >>> failed.update(failed=[], done=[Path("/a.wav")])
        >>> [path.as_posix() for path in failed.read()]
        ['/b.wav']
    """

    def __init__(self, output: Path) -> None:
        self.path = output / FAILED_FILE

    def read(self) -> list[Path]:
        """Read the songs on the list; empty if there is no list.

        Raises:
            UsageError: If it is not text.
        """
        try:
            if not self.path.is_file():
                return []
            lines = self.path.read_text(encoding="utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(
                f"cannot read '{self.path}'", found=str(error), expected="one path per line"
            ) from error
        return [unescaped_path(line) for line in lines if line]

    def chosen(self, songs: Iterable[Song]) -> list[Song]:
        """Select the songs that are on the list, or in a folder on it."""
        failed = {path.absolute() for path in self.read()}
        paths = ((song, song.path.absolute()) for song in songs)
        return [song for song, path in paths if failed.intersection((path, *path.parents))]

    def update(self, *, failed: Iterable[Path], done: Iterable[Path]) -> None:
        """Add failed songs, and remove finished ones.

        Args:
            failed: Songs to add.
            done: Songs to remove.

        Raises:
            OSError: If the disk is full.
        """
        gone = {path.absolute() for path in done}
        added = {path.absolute() for path in failed}
        if not added and not self.path.is_file():
            return
        with FileLock(self.path.parent / LOCK_FILE):
            # A folder that could not be searched stands for the songs in it.
            left = {
                path
                for path in self.read()
                if path not in gone and not any(path in song.parents for song in gone)
            }
            lines = sorted(map(escaped_path, left | added))
            if lines:
                write_text(self.path, "".join(f"{line}\n" for line in lines))
            else:
                self.path.unlink(missing_ok=True)
