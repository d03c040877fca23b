"""Planning an import: for every track, which files make up which stem. Nothing is decoded here."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator, model_validator

from auralflow.audio import is_audio
from auralflow.datasets.facts import read_facts
from auralflow.datasets.tracks import MIXTURE, Split, find_tracks, list_folder, split_of, stem_files
from auralflow.errors import DatasetError, NotFoundError, SettingsError

__all__ = [
    "ImportTrack",
    "Part",
    "StemMapping",
    "plan_mapping",
    "plan_musdb18",
    "plan_musdb18hq",
    "read_mapping",
]

STEM_FILE = ".stem.mp4"
MUSDB18_STREAMS = (MIXTURE, "drums", "bass", "other", "vocals")
MUSDB18_VALIDATION = frozenset(
    {
        "ANiMAL - Rockshow",
        "Actions - One Minute Smile",
        "Alexander Ross - Goodbye Bolero",
        "Clara Berry And Wooldog - Waltz For My Victims",
        "Fergessen - Nos Palpitants",
        "James May - On The Line",
        "Johnny Lokke - Promises & Lies",
        "Leaf - Summerghost",
        "Meaxic - Take A Step",
        "Patrick Talbot - A Reason To Leave",
        "Skelpolu - Human Mistakes",
        "Traffic Experiment - Sirens",
        "Triviul - Angelsaint",
        "Young Griffo - Pennies",
    }
)
"""The validation tracks of MUSDB18 by custom.

Source:
    https://github.com/sigsep/sigsep-mus-db, ``mus.yaml``.
"""


@dataclass(frozen=True)
class Part:
    """A piece of a stem: a file, and for stem files which of its audio streams; None: a plain file."""

    path: Path
    stream: int | None = None


@dataclass(frozen=True)
class ImportTrack:
    """A track to import.

    Attributes:
        split: Where it goes.
        name: Its name.
        stems: The parts whose sum is each stem; a stem without parts is silent.
        notes: What was left out, and why.
        silent: Stems that get no file because they are stated to be silent.
    """

    split: Split
    name: str
    stems: Mapping[str, tuple[Part, ...]]
    notes: tuple[str, ...] = field(default=())
    silent: tuple[str, ...] = ()


def _musdb_split(split: Split, name: str, *, validation: bool) -> Split:
    return "valid" if validation and split == "train" and name in MUSDB18_VALIDATION else split


def plan_musdb18(source: Path, *, validation: bool) -> list[ImportTrack]:
    """Plan the import of MUSDB18: ``{train,test}/<track>.stem.mp4`` with five audio streams.

    Args:
        source: Its folder.
        validation: Whether the 14 customary tracks go to ``valid``.
    """
    return [
        ImportTrack(
            _musdb_split(split, name, validation=validation),
            name,
            {stem: (Part(path, number),) for number, stem in enumerate(MUSDB18_STREAMS)},
        )
        for part in list_folder(source)
        if part.is_dir() and (split := split_of(part.name))
        for entry in list_folder(Path(part.path))
        if entry.name.lower().endswith(STEM_FILE)
        for path, name in [(Path(entry.path), entry.name[: -len(STEM_FILE)])]
    ]


def plan_musdb18hq(source: Path, *, validation: bool) -> list[ImportTrack]:
    """Plan the import of MUSDB18-HQ, or of any dataset of its shape: ``{train,test}/<track>/<stem>.wav``.

    A ``track.json`` is imported with its track.

    Args:
        source: Its folder.
        validation: Whether the 14 customary tracks go to ``valid``.
    """
    splits: tuple[Split, ...] = ("train", "valid", "test")
    return [
        ImportTrack(
            _musdb_split(split, folder.name, validation=validation),
            folder.name,
            {stem: (Part(path),) for stem, path in files.items()},
            silent=read_facts(folder).silent,
        )
        for split in splits
        for folder in find_tracks(source, split)
        if (files := stem_files(folder))
    ]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class Labels(_Strict):
    """Where a track's metadata labels its files.

    Attributes:
        file: The YAML or JSON file in the track's folder; ``{track}`` is the folder's name.
        list: Key of its entries, a list or a mapping.
        label: Key of an entry's label.
        audio: The entry's file in the track's folder; ``{track}``, ``{key}`` and the entry's own keys are
            filled in.
    """

    file: str
    list: str
    label: str
    audio: str


class StemMapping(_Strict):
    """A mapping file.

    Attributes:
        tracks: Patterns of the tracks' folders in the source, by split. A folder that matches several splits
            goes to test, or else to valid.
        stems: Patterns by stem: of files in a track's folder or, with ``labels``, of labels. The first stem
            that matches takes the file.
        mixture: Pattern of the mixture's file.
        labels: Where to find labels.
        absent: What a stem without files means; ``silent`` writes a silent file.
        silent: Stems that sound in no track of the collection, such as the vocals of instrumental music; they
            get no file, and each track's ``track.json`` states it.
    """

    tracks: dict[Split, list[str]]
    stems: dict[str, list[str]] = {}
    mixture: list[str] = []
    labels: Labels | None = None
    absent: Literal["unknown", "silent"] = "unknown"
    silent: list[str] = []

    @model_validator(mode="after")
    def _makes_something(self) -> Self:
        if not self.stems and not self.mixture:
            raise ValueError("neither stems nor a mixture")
        if both := sorted(self.stems.keys() & set(self.silent)):
            raise ValueError(f"{', '.join(both)} both among stems and silent")
        return self

    @field_validator("mixture", "silent", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return _as_list(value)

    @field_validator("tracks", "stems", mode="before")
    @classmethod
    def _each_one_or_several(cls, value: Any) -> Any:
        return {key: _as_list(item) for key, item in value.items()} if isinstance(value, dict) else value


def _read_yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotFoundError(f"no such file: '{path}'") from None
    except (OSError, UnicodeDecodeError, RecursionError, yaml.YAMLError) as error:
        raise DatasetError(f"cannot read '{path}'", found=str(error), expected="YAML or JSON") from None


def read_mapping(path: Path) -> StemMapping:
    """Read a mapping file.

    Args:
        path: The YAML file.

    Raises:
        NotFoundError: If there is none.
        SettingsError: If it is no mapping.
    """
    try:
        return StemMapping.model_validate(_read_yaml(path))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "it"
        raise SettingsError(f"cannot use '{path}': {place}: {first['msg']}") from None


def plan_mapping(source: Path, mapping: StemMapping) -> list[ImportTrack]:
    """Plan the import of any multitrack collection.

    Args:
        source: Its folder.
        mapping: Which files make which stem.

    Raises:
        DatasetError: If a track's metadata cannot be read.
    """
    folders: dict[Path, Split] = {}
    splits: tuple[Split, ...] = ("train", "valid", "test")
    for split in splits:
        for pattern in mapping.tracks.get(split, []):
            folders |= {path: split for path in source.glob(pattern) if path.is_dir()}
    return [_plan_track(folder, folders[folder], mapping) for folder in sorted(folders)]


def _plan_track(folder: Path, split: Split, mapping: StemMapping) -> ImportTrack:
    files = [path for path in sorted(folder.rglob("*")) if _is_visible(path, folder) and is_audio(path)]
    mixture = [path for path in files if _matches(path.relative_to(folder).as_posix(), mapping.mixture)]
    stems: dict[str, list[Part]] = {stem: [] for stem in mapping.stems}
    notes = []
    if mapping.labels:
        named = list(_labelled(folder, mapping.labels))
    else:
        named = [(path.relative_to(folder).as_posix(), path) for path in files if path not in mixture]
    for name, path in named:
        stem = next((stem for stem, patterns in mapping.stems.items() if _matches(name, patterns)), None)
        if stem is None:
            notes.append(f"{folder.name}: no stem takes '{name}'")
        elif not path.is_file():
            notes.append(f"{folder.name}: '{path.name}' is listed but not there")
        else:
            stems[stem].append(Part(path))
    found = {stem: tuple(parts) for stem, parts in stems.items() if parts or mapping.absent == "silent"}
    if mixture:
        found[MIXTURE] = tuple(map(Part, mixture))
    return ImportTrack(split, folder.name, found, tuple(notes), tuple(mapping.silent))


def _is_visible(path: Path, folder: Path) -> bool:
    return path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch(name.lower(), pattern.lower()) for pattern in patterns)


def _labelled(folder: Path, labels: Labels) -> Iterator[tuple[str, Path]]:
    path = folder / labels.file.format(track=folder.name)
    try:
        entries = _read_yaml(path)[labels.list]
        items = entries.items() if isinstance(entries, dict) else enumerate(entries)
        for key, entry in items:
            facts = {**entry, "track": folder.name, "key": key}
            yield str(entry[labels.label]), folder / labels.audio.format_map(facts)
    except (KeyError, TypeError, AttributeError) as error:
        raise DatasetError(
            f"cannot use '{path}'", found=repr(error), expected=f"entries with '{labels.label}'"
        ) from None
