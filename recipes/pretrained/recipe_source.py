"""The source material: its content and licences, and a check that no scored song is trained on.

A source is a folder::

    SOURCE/
      songs/train/<Artist - Title>/{vocals,drums,bass,other}.<ext>   a missing stem is unknown, not silent
      songs/valid/...                                                 never trained on
      songs/test/...                                                  never trained on
      midi/  voices/  oneshots/                                       optional, for generated songs
      instrumental/  loops/                                           optional: mixes without a voice, stems
      sources.json  credits.json                                      optional: licences, as in those here
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from recipe_credits import FOLDERS, credited_files, refuse_restricted

from auralflow.audio import is_audio, probe
from auralflow.config import CheckConfig, read_settings
from auralflow.datasets.check import DatasetReport, check_dataset
from auralflow.datasets.tracks import index_split
from auralflow.errors import DatasetError
from auralflow.models import DataPart

SOURCES_FILE = "sources.json"
TRAINED_ON = ("songs/train", "midi", "voices", "oneshots")
HERE = Path(__file__).parent


def fingerprint(folder: Path) -> list[list[Any]]:
    """Name, size and modification time of every file below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [[str(path.relative_to(folder)), path.stat().st_size, path.stat().st_mtime_ns] for path in files]


def check_songs(source: Path) -> DatasetReport:
    """Read all songs; refuse them if they are unusable, or if a song would be trained on and scored.

    Args:
        source: The source.

    Raises:
        DatasetError: If a song, or a single stem of one, is in ``train`` and also in ``valid`` or ``test``.
    """
    report = check_dataset(source / "songs", CheckConfig())
    errors = [finding for finding in report.findings if finding.severity == "error"]
    if errors:
        raise DatasetError(
            f"'{source / 'songs'}' cannot be trained on", found=f"{errors[0].place}: {errors[0].text}"
        )
    if "valid" not in report.tracks:
        raise DatasetError(
            f"'{source / 'songs'}' has no songs in valid", expected="some to select weights by"
        )
    leaks = sorted(find_leaks(report))
    if leaks:
        raise DatasetError(
            f"'{source / 'songs'}' is refused: songs would be trained on and scored",
            found="; ".join(leaks),
            advice="Remove these songs from train.",
        )
    return report


def find_leaks(report: DatasetReport) -> Iterator[str]:
    """Songs that would be trained on and scored: the same samples in any stem, or the same name."""
    places: dict[str, list[str]] = defaultdict(list)
    for split, tracks in report.tracks.items():
        for track in tracks:
            keys = {part.content for part in track.stems.values() if part.content}
            for key in {*keys, f"name {track.folder.name}"}:
                places[key].append(f"{split}/{track.folder.name}")
    for found in places.values():
        trained = [place for place in found if place.startswith("train/")]
        scored = [place for place in found if not place.startswith("train/")]
        if trained and scored:
            yield f"{trained[0]} is also {scored[0]}"


def licences(source: Path) -> dict[str, DataPart]:
    """The licence and credits of each part of the material, by its folder in the source.

    Args:
        source: The source; without its own file, the one beside this file applies.

    Raises:
        DatasetError: If a folder that is trained on has no licence, or one that forbids commercial use.
    """
    own = source / SOURCES_FILE
    values = read_settings(own if own.is_file() else HERE / SOURCES_FILE)
    parts = {folder: DataPart.model_validate({"minutes": 0.0, **part}) for folder, part in values.items()}
    for part in parts.values():
        refuse_restricted(part.name, part.licence)
    for folder in FOLDERS:
        credited_files(source, folder)
    for folder in _folders_trained_on(source):
        if not any(folder == known or folder.startswith(f"{known}/") for known in parts):
            raise DatasetError(
                f"the licence of '{source / folder}' is not known", advice=f"Add it to '{own}'."
            )
    return parts


def _folders_trained_on(source: Path) -> Iterator[str]:
    for part in TRAINED_ON:
        folder = source / part
        if not folder.is_dir():
            continue
        inner = [entry.name for entry in folder.iterdir() if entry.is_dir()] if part != "songs/train" else []
        yield from (f"{part}/{name}" for name in sorted(inner))
        if not inner:
            yield part


def data_card(source: Path, parts: dict[str, DataPart], used: Iterable[str]) -> list[DataPart]:
    """The parts of the source that were used, with their minutes.

    Args:
        source: The source.
        parts: Licence and credits of each part of it.
        used: The folders of ``SOURCE`` that were used.
    """
    used = tuple(used)
    return [
        part.model_copy(update={"minutes": round(minutes(source, folder), 1)})
        for folder, part in parts.items()
        if (source / folder).is_dir() and any(folder == u or folder.startswith(f"{u}/") for u in used)
    ]


def minutes(source: Path, folder: str) -> float:
    """Minutes of the songs, or of the recordings, in a folder of the source."""
    if folder == "songs/train":
        return sum(track.seconds for track in index_split(source / "songs", "train")) / 60
    files = [path for path in (source / folder).rglob("*") if path.is_file() and is_audio(path)]
    return sum(probe(path).seconds for path in files if path.suffix.lower() not in (".mid", ".midi")) / 60


def artists(source: Path) -> set[str]:
    """The artists in the training songs: the part of their names before `` - ``."""
    return {artist(track.name) for track in index_split(source / "songs", "train")}


def artist(track: str) -> str:
    """The artist of a track."""
    return track.partition(" - ")[0]
