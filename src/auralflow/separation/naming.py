"""Names of a song's files, and their place in the output folder."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from auralflow.config import StemConfig
from auralflow.errors import UsageError

__all__ = ["LONGEST_NAME", "ORIGINAL", "RESIDUAL", "check_names", "file_names", "stem_folder", "stem_names"]

ORIGINAL, RESIDUAL = "original", "residual"

LONGEST_NAME = 255
"""Maximum length of a file name on common file systems, in bytes."""


def file_names(targets: Sequence[str], options: StemConfig, track: str) -> list[str]:
    """Names of a song's files, starting with the original if it is written.

    Args:
        targets: Names of the stems.
        options: What to write.
        track: Name of the song, truncated if it is too long for a file system.

    Example:
        >>> file_names(("vocals",), StemConfig(residual=True), "song")
        ['original.wav', 'vocals.wav', 'residual.wav']
        >>> file_names(("vocals",), StemConfig(name="{track} - {stem}", original=False), "song")
        ['song - vocals.wav']
    """
    return [_file_name(options, track, stem) for stem in stem_names(targets, options)]


def stem_names(targets: Sequence[str], options: StemConfig) -> list[str]:
    """Names of everything written for a song, including the original and the residual if requested."""
    return [*([ORIGINAL] if options.original else []), *targets, *([RESIDUAL] if options.residual else [])]


def _file_name(options: StemConfig, track: str, stem: str) -> str:
    pattern = f"{options.name_pattern}.{options.format}"
    name = pattern.format(track=track, stem=stem)
    excess = len(os.fsencode(name)) - LONGEST_NAME
    if excess <= 0 or track not in name:
        return name
    room = len(os.fsencode(track)) - -(-excess // pattern.count("{track}"))
    # Drop a character that was cut in half.
    return pattern.format(track=os.fsencode(track)[: max(room, 0)].decode(errors="ignore"), stem=stem)


def stem_folder(output: Path, name: Path, options: StemConfig) -> Path:
    """The folder for a song's files.

    Args:
        output: The output folder.
        name: Name of the song: its path relative to the output folder.
        options: The layout of the files.
    """
    return output if options.layout == "flat" else output / name


def check_names(names: Iterable[Path], targets: Sequence[str], options: StemConfig) -> None:
    """Check that no two songs have files of the same name, before anything is computed.

    Args:
        names: Names of the songs, from `find_songs`.
        targets: Names of the stems.
        options: What to write, and where.

    Raises:
        UsageError: If two files would have the same name, ignoring case.

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
                    advice="Use --layout tree, another --name, or shorter song names.",
                )
