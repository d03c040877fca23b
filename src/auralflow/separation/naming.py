"""What the files of a song are called, and where they lie below the output folder."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from auralflow.config import StemConfig
from auralflow.errors import UsageError

__all__ = ["LONGEST_NAME", "ORIGINAL", "RESIDUAL", "check_names", "file_names", "stem_folder", "stem_names"]

ORIGINAL, RESIDUAL = "original", "residual"

LONGEST_NAME = 255
"""The longest name that common file systems take, in bytes."""


def file_names(targets: Sequence[str], options: StemConfig, track: str) -> list[str]:
    """Names of a song's files, the original first, if it is wanted.

    Args:
        targets: Names of the stems.
        options: What is written.
        track: Name of the song. Where a file system cannot hold the whole, it is cut at its end.

    Example:
        >>> file_names(("vocals",), StemConfig(residual=True), "song")
        ['original.wav', 'vocals.wav', 'residual.wav']
        >>> file_names(("vocals",), StemConfig(name="{track} - {stem}", original=False), "song")
        ['song - vocals.wav']
    """
    return [_file_name(options, track, stem) for stem in stem_names(targets, options)]


def stem_names(targets: Sequence[str], options: StemConfig) -> list[str]:
    """Everything that is written of a song: the original and the residual too, if they are wanted."""
    return [*([ORIGINAL] if options.original else []), *targets, *([RESIDUAL] if options.residual else [])]


def _file_name(options: StemConfig, track: str, stem: str) -> str:
    pattern = f"{options.name_pattern}.{options.format}"
    name = pattern.format(track=track, stem=stem)
    excess = len(os.fsencode(name)) - LONGEST_NAME
    if excess <= 0 or track not in name:
        return name
    room = len(os.fsencode(track)) - -(-excess // pattern.count("{track}"))
    # Half a character at the cut is dropped.
    return pattern.format(track=os.fsencode(track)[: max(room, 0)].decode(errors="ignore"), stem=stem)


def stem_folder(output: Path, name: Path, options: StemConfig) -> Path:
    """The folder that the files of a song go to.

    Args:
        output: The output folder.
        name: Name of the song: its place below that.
        options: Where files go.
    """
    return output if options.layout == "flat" else output / name


def check_names(names: Iterable[Path], targets: Sequence[str], options: StemConfig) -> None:
    """Refuse songs whose files would have one name, before anything is computed.

    Args:
        names: Names of the songs, as `find_songs` makes them.
        targets: Names of the stems.
        options: What is written, and where.

    Raises:
        UsageError: If two files would be one, also where upper and lower case are.

    Example:
        >>> check_names([Path("a"), Path("A")], ("vocals",), StemConfig(layout="flat"))
        Traceback (most recent call last):
        auralflow.errors.UsageError: two files would have the name 'A - original.wav': ...
    """
    if options.layout != "flat":
        return
    taken: dict[str, Path] = {}
    for name in names:
        for file in file_names(targets, options, name.name):
            other = taken.setdefault(file.casefold(), name)
            if other is not name:
                raise UsageError(
                    f"two files would have the name '{file}'",
                    found=f"the songs '{other}' and '{name}'",
                    advice="Use --layout tree, another --name, or shorter names of songs.",
                )
