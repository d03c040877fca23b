"""The index of a dataset folder: which tracks there are, and which stems each has.

A dataset has the shape of MUSDB18,
``DATA/{train,valid,test}/<track>/{mixture,vocals,drums,bass,other}.<ext>``, in any format that auralflow
decodes. ``val`` is accepted for ``valid``. A stem whose file is missing is *unknown*, not silent.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from auralflow.audio import AudioInfo, is_audio, probe
from auralflow.config import SOURCES
from auralflow.errors import DatasetError, NotFoundError

__all__ = [
    "MIXTURE",
    "Split",
    "Track",
    "find_mixture",
    "index_split",
    "read_track",
    "sources_of",
    "training_tracks",
]

MIXTURE = "mixture"
Split = Literal["train", "valid", "test"]
SPLIT_FOLDERS: dict[Split, tuple[str, ...]] = {
    "train": ("train",),
    "valid": ("valid", "val"),
    "test": ("test",),
}
HELD_OUT_EVERY = 7
"""Without a validation folder one training track in this many is held out."""


@dataclass(frozen=True)
class Track:
    """One song of a dataset.

    Attributes:
        name: Name of its folder.
        stems: File of each stem that is known.
        mixture: File of the mixture, None when it is the sum of the stems.
        sample_rate: In hertz, of every file.
        num_samples: Length of every file.
    """

    name: str
    stems: Mapping[str, Path]
    mixture: Path | None
    sample_rate: int
    num_samples: int

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.num_samples / self.sample_rate

    def knows(self, targets: Iterable[str], sources: Iterable[str]) -> bool:
        """Whether the mixture and all of ``targets`` are known.

        Args:
            targets: The stems that are asked for.
            sources: The stems that the mixture is the sum of, needed where it has no file of its own.
        """
        return set(targets) <= self.stems.keys() and (
            self.mixture is not None or set(sources) <= self.stems.keys()
        )


def find_mixture(folder: Path) -> Path | None:
    """The mixture's file in a track folder, None if there is none.

    Args:
        folder: A folder of audio files.
    """
    found = sorted(path for path in folder.iterdir() if path.stem.lower() == MIXTURE and _is_sound(path))
    return found[0] if found else None


def _is_sound(path: Path) -> bool:
    return not path.name.startswith(".") and is_audio(path) and path.is_file()


def read_track(folder: Path) -> Track | None:
    """Index one track folder by reading the headers of its files.

    Args:
        folder: A folder of stems.

    Returns:
        The track, None if the folder holds no audio.

    Raises:
        DatasetError: If two files claim the same stem, or files differ in length or sample rate.
        AudioError: If a file is no audio.
    """
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if not _is_sound(path):
            continue
        stem = path.stem.lower()
        if stem in files:
            raise DatasetError(
                f"'{folder}' has two files for {stem}",
                found=f"{files[stem].name} and {path.name}",
                expected="one",
                advice="Remove one of them.",
            )
        files[stem] = path
    if not files:
        return None
    headers = {stem: probe(path) for stem, path in files.items()}
    _check_alike(folder, headers, "sample_rate", "Hz")
    _check_alike(folder, headers, "frames", "samples")
    first = next(iter(headers.values()))
    mixture = files.pop(MIXTURE, None)
    return Track(folder.name, files, mixture, first.sample_rate, first.frames)


def _check_alike(folder: Path, headers: Mapping[str, AudioInfo], attribute: str, unit: str) -> None:
    values = {stem: getattr(header, attribute) for stem, header in headers.items()}
    if len(set(values.values())) > 1:
        raise DatasetError(
            f"the stems in '{folder}' differ",
            found=", ".join(f"{stem} with {value} {unit}" for stem, value in values.items()),
            expected="all stems of a track alike",
            advice="Bring the files to one length and sample rate.",
        )


def index_split(dataset: Path, split: Split) -> list[Track]:
    """List the tracks of one part of a dataset, sorted by name.

    Args:
        dataset: The dataset folder.
        split: ``"train"``, ``"valid"`` or ``"test"``.

    Returns:
        The tracks; none if the dataset has no such part. Hidden folders and folders without audio are left
        out.

    Raises:
        NotFoundError: If ``dataset`` is no folder.
        DatasetError: If a track's files contradict each other.
        AudioError: If a file is no audio.
    """
    if not dataset.is_dir():
        raise NotFoundError(
            f"no dataset '{dataset}'", expected="a folder with train/, valid/ and test/ in it"
        )
    folders = sorted(
        folder
        for name in SPLIT_FOLDERS[split]
        if (dataset / name).is_dir()
        for folder in (dataset / name).iterdir()
        if folder.is_dir() and not folder.name.startswith(".")
    )
    return [track for track in map(read_track, folders) if track is not None]


def training_tracks(dataset: Path) -> tuple[list[Track], list[Track]]:
    """List the tracks for training and for validation.

    Without a validation folder, one training track in seven is held out, at least one: always the same.

    Args:
        dataset: The dataset folder.

    Returns:
        Training tracks and validation tracks.

    Raises:
        NotFoundError: If ``dataset`` is no folder.
        DatasetError: If there is nothing to train on or nothing left to validate on.
        AudioError: If a file is no audio.
    """
    train, valid = index_split(dataset, "train"), index_split(dataset, "valid")
    if not train:
        inside = sorted(path.name for path in dataset.iterdir() if not path.name.startswith("."))
        raise DatasetError(
            f"'{dataset}' has no training track",
            found=", ".join(inside[:8]) or "an empty folder",
            expected="train/<track>/vocals.wav and so on",
        )
    if valid:
        return train, valid
    if len(train) == 1:
        raise DatasetError(
            f"'{dataset}' has one training track and no validation track",
            advice="Add a second track, or a folder valid/ with one.",
        )
    # The first of every seven rather than the last: with fewer than seven tracks one is held out too.
    held_out = train[::HELD_OUT_EVERY]
    return [track for track in train if track not in held_out], held_out


def sources_of(tracks: Iterable[Track], targets: Iterable[str]) -> tuple[str, ...]:
    """The stems that a mixture is the sum of.

    Args:
        tracks: Tracks of the dataset.
        targets: Targets of the model.

    Returns:
        The four sources of MUSDB18 when every target is one of them, else every stem that a track has.

    Example:
        >>> sources_of([], ["vocals"])
        ('vocals', 'drums', 'bass', 'other')
    """
    if set(targets) <= set(SOURCES):
        return SOURCES
    return tuple(sorted({stem for track in tracks for stem in track.stems}))
