"""Material by many authors: who made each file, under which licence, and who is held out for validation.

``credits.json``, in the source or beside this file, lists title, artist, licence and source of every file in
the folders ``instrumental`` and ``loops``.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from pathlib import Path

from pydantic import Field, TypeAdapter, ValidationError

from auralflow.audio import is_audio, probe
from auralflow.config import Settings
from auralflow.errors import DatasetError
from auralflow.models import DataPart

CREDITS_FILE = "credits.json"
FOLDERS = {"instrumental": "Instrumental music", "loops": "Instruments alone"}
HERE = Path(__file__).parent


class Credit(Settings):
    """The credits of a file."""

    file: str = Field(min_length=1, description="Path in the source.")
    title: str = Field(min_length=1, description="Title.")
    artist: str = Field(min_length=1, description="Artist to credit.")
    licence: str = Field(min_length=1, description="Licence.")
    source: str = Field("", description="Where it is available.")


def read_credits(source: Path) -> dict[str, Credit]:
    """Credits by file.

    Args:
        source: The source; without its own file, the credits beside this file apply.

    Raises:
        DatasetError: If the file is not a list of credits, or a licence restricts the use of the weights.
    """
    own = source / CREDITS_FILE
    path = own if own.is_file() else HERE / CREDITS_FILE
    try:
        listed = TypeAdapter(list[Credit]).validate_json(path.read_bytes())
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"]))
        raise DatasetError(
            f"'{path}' is not a list of credits", found=f"{place}: {error.errors()[0]['msg']}"
        ) from None
    for credit in listed:
        refuse_restricted(f"{credit.file} by {credit.artist}", credit.licence)
    return {credit.file: credit for credit in listed}


def refuse_restricted(name: str, licence: str) -> None:
    """Refuse a licence that restricts the use of the weights.

    Raises:
        DatasetError: If it does.
    """
    words = licence.upper().replace("-", " ").split()
    if {"NC", "ND"} & set(words) or "NONCOMMERCIAL" in "".join(words):
        raise DatasetError(
            f"{name} is refused", found=licence, expected="a licence that lets anyone use the weights"
        )


def credited_files(source: Path, folder: str, *, without: Collection[str] = ()) -> list[Path]:
    """The audio files of a folder in the source, except those by some artists.

    Args:
        source: The source.
        folder: One of `FOLDERS`, or a folder in one.
        without: Artists that are held out.

    Raises:
        DatasetError: If a file has no credits.
    """
    known = read_credits(source)
    files = sorted(path for path in (source / folder).rglob("*") if path.is_file() and is_audio(path))
    for path in files:
        if path.relative_to(source).as_posix() not in known:
            raise DatasetError(
                f"the licence of '{path}' is not known", advice=f"Add it to '{source / CREDITS_FILE}'."
            )
    return [path for path in files if known[path.relative_to(source).as_posix()].artist not in without]


def describe_credited(source: Path, files: Iterable[Path]) -> list[DataPart]:
    """The training data, for the card: one part for each folder and licence, with all its artists.

    Args:
        source: The source.
        files: The files that were used.
    """
    known = read_credits(source)
    groups: dict[tuple[str, str], list[Path]] = defaultdict(list)
    for path in files:
        name = path.relative_to(source)
        groups[name.parts[0], known[name.as_posix()].licence].append(path)
    return [
        DataPart(
            name=f"{FOLDERS[folder]}, {licence}",
            licence=licence,
            minutes=round(sum(probe(path).seconds for path in paths) / 60, 1),
            credit=", ".join(sorted({known[path.relative_to(source).as_posix()].artist for path in paths})),
            source=f"each title and its source in recipes/pretrained/{CREDITS_FILE}",
        )
        for (folder, licence), paths in sorted(groups.items())
    ]
