"""The index of a dataset folder: its tracks, and the stems of each.

A dataset has the shape of MUSDB18,
``DATA/{train,valid,test}/<track>/{mixture,vocals,drums,bass,other}.<ext>``, in any format that auralflow
decodes. ``val`` is accepted for ``valid``. A stem whose file is missing is *unknown*, not silent, unless the
track's ``track.json`` states that it is.
"""

import logging
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

from auralflow.audio import AudioInfo, is_audio, probe
from auralflow.config import SOURCES
from auralflow.datasets.facts import MIXTURE, silent_stems
from auralflow.errors import DatasetError, NotFoundError

__all__ = [
    "LENGTH_TOLERANCE",
    "MIXTURE",
    "OTHER",
    "SPLITS",
    "Split",
    "Track",
    "check_dataset_exists",
    "find_mixture",
    "find_tracks",
    "index_split",
    "list_folder",
    "read_track",
    "sources_of",
    "split_of",
    "stem_files",
    "stem_order",
]

logger = logging.getLogger(__name__)

Split = Literal["train", "valid", "test"]
OTHER = "other"
SPLITS: tuple[Split, ...] = ("train", "valid", "test")
SPLIT_NAMES: dict[str, Split] = {"train": "train", "valid": "valid", "val": "valid", "test": "test"}
LENGTH_TOLERANCE = 0.1
"""Seconds by which the files of a track may differ: codecs pad and cut. The shortest counts."""


@dataclass(frozen=True)
class Track:
    """One song of a dataset, in files or in a prepared cache.

    Attributes:
        name: Name of its folder.
        stems: File of each stem that is known.
        mixture: File of the mixture, None when it is the sum of the stems.
        sample_rate: In hertz, of most of the files; times and lengths are counted at this rate.
        num_samples: Length of the shortest file.
        rates: Sample rate of the files, by stem, that have another one.
        scales: Factor of the samples of a cached stem, where it is not 1.
        variants: The song at other pitches and tempos, in a cache prepared with them.
        silent: Stems without a file that are known to be silent.
    """

    name: str
    stems: Mapping[str, Path]
    mixture: Path | None
    sample_rate: int
    num_samples: int
    rates: Mapping[str, int] = field(default_factory=dict)
    scales: Mapping[str, float] = field(default_factory=dict)
    variants: tuple["Track", ...] = ()
    silent: frozenset[str] = frozenset()

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.num_samples / self.sample_rate

    @property
    def files(self) -> dict[str, Path]:
        """All files by stem, including the mixture's."""
        return dict(self.stems) | ({MIXTURE: self.mixture} if self.mixture else {})

    @property
    def known(self) -> frozenset[str]:
        """The stems that are known: those with a file, and those that are silent."""
        return self.silent | self.stems.keys()

    def knows(self, targets: Iterable[str], sources: Iterable[str]) -> bool:
        """Whether the mixture and all of ``targets`` are known.

        Args:
            targets: The stems that are asked for.
            sources: The stems that the mixture is the sum of, needed where it has no file of its own.
        """
        return set(targets) <= self.known and (self.mixture is not None or set(sources) <= self.known)

    def certain(self, targets: Iterable[str], sources: Iterable[str]) -> frozenset[str]:
        """The stems that are known one by one in the track's own mix.

        ``other`` is whatever is left over. In a track that lacks stems they may be part of it, so it is known
        only together with them, unless only known stems are asked for.

        Args:
            targets: The stems that are asked for.
            sources: The stems that the mixture is the sum of.
        """
        return self.known if self.knows(targets, sources) else self.known - {OTHER}

    def sums_up(self, targets: Iterable[str], sources: Iterable[str]) -> bool:
        """Whether each target is known, or what is left of the mixture is the sum of those that are not.

        That takes a mixture, or ``other``, which holds everything else. And every unknown source must be a
        target: otherwise the sum would hold more than targets.

        Args:
            targets: The stems that are asked for.
            sources: The stems that the mixture is the sum of.
        """
        unknown = {*targets, *sources} - self.certain(targets, sources)
        rest = self.mixture is not None or (OTHER in self.stems and OTHER in set(sources))
        return self.knows(targets, sources) or (rest and unknown <= set(targets))


def list_folder(folder: Path) -> list[os.DirEntry[str]]:
    """List the entries of a folder that are not hidden, sorted by name.

    Args:
        folder: Any folder.

    Raises:
        NotFoundError: If there is no such folder.
        DatasetError: If it may not be read.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted((e for e in entries if not e.name.startswith(".")), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        raise NotFoundError(f"no such folder: '{folder}'") from None
    except OSError as error:
        raise DatasetError(
            f"cannot read the folder '{folder}'",
            found=f"'{error.strerror}'",
            expected="a folder that may be read",
            advice="Check its permissions and the disk.",
        ) from error


def stem_order(stem: str) -> tuple[int, str]:
    """Key to sort stems by: those of MUSDB18, the mixture, then others by name.

    Example:
        >>> sorted(["bass", "flute", "mixture", "vocals"], key=stem_order)
        ['vocals', 'bass', 'mixture', 'flute']
    """
    order = (*SOURCES, MIXTURE)
    return (order.index(stem) if stem in order else len(order), stem)


def find_mixture(folder: Path) -> Path | None:
    """The mixture's file in a track folder, None if there is none.

    Args:
        folder: A folder of audio files.
    """
    return next((path for path in _sounds(folder) if path.stem.lower() == MIXTURE), None)


def _sounds(folder: Path) -> list[Path]:
    return [Path(e.path) for e in list_folder(folder) if e.is_file() and is_audio(Path(e.name))]


def stem_files(folder: Path) -> dict[str, Path]:
    """The audio files in a track folder, by the stem's name in lower case, including the mixture.

    Args:
        folder: A folder of stems. Hidden files and files that are not audio are skipped.

    Raises:
        DatasetError: If two files claim the same stem, or the folder may not be read.
    """
    files: dict[str, Path] = {}
    for path in _sounds(folder):
        stem = path.stem.lower()
        if stem in files:
            raise DatasetError(
                f"'{folder}' has two files for {stem}",
                found=f"{files[stem].name} and {path.name}",
                expected="one",
                advice="Remove one of them.",
            )
        files[stem] = path
    return files


def read_track(folder: str | Path) -> Track | None:
    """Index one track folder by reading the headers of its files.

    Args:
        folder: A folder of stems.

    Returns:
        The track, None if the folder holds no audio.

    Raises:
        DatasetError: If two files claim the same stem, files differ in length, or ``track.json`` is broken or
            contradicts a file.
        AudioError: If a file is no audio.
    """
    folder = Path(folder)
    files = stem_files(folder)
    if not files:
        return None
    headers = {stem: probe(path) for stem, path in files.items()}
    _check_lengths(folder, headers)
    counted = Counter(header.sample_rate for header in headers.values())
    # The most frequent rate, and the highest of equally frequent ones, which loses nothing.
    rate = max(counted, key=lambda rate: (counted[rate], rate))
    rates = {stem: header.sample_rate for stem, header in headers.items() if header.sample_rate != rate}
    for stem, other in rates.items():
        _warn_once(f"'{files[stem]}' has {other} Hz, its track {rate} Hz: it will be resampled")
    num_samples = min(header.frames * rate // header.sample_rate for header in headers.values())
    if num_samples == 0:
        raise DatasetError(f"a file in '{folder}' holds no samples", expected="at least one")
    silent = silent_stems(folder, files)
    mixture = files.pop(MIXTURE, None)
    return Track(folder.name, files, mixture, rate, num_samples, rates, silent=silent)


@cache
def _warn_once(text: str) -> None:
    logger.warning("%s", text)


def _check_lengths(folder: Path, headers: Mapping[str, AudioInfo]) -> None:
    seconds = [header.seconds for header in headers.values()]
    if max(seconds) - min(seconds) > LENGTH_TOLERANCE:
        raise DatasetError(
            f"the stems in '{folder}' differ in length",
            found=", ".join(f"{stem} with {header.seconds:.2f} s" for stem, header in headers.items()),
            expected="all stems of a track equally long",
            advice="Bring the files to one length.",
        )


def split_of(name: str) -> Split | None:
    """The part of a dataset that a folder's name stands for, None if it stands for none.

    Example:
        >>> split_of("val"), split_of("Train"), split_of("extra")
        ('valid', 'train', None)
    """
    return SPLIT_NAMES.get(name.lower())


def check_dataset_exists(dataset: Path) -> None:
    """Check that there is a dataset, before anything slow is imported.

    Args:
        dataset: The dataset folder, or a cache prepared from one.

    Raises:
        NotFoundError: If it is no folder.
    """
    if not dataset.is_dir():
        raise NotFoundError(
            f"no dataset '{dataset}'", expected="a folder with train/, valid/ and test/ in it"
        )


def find_tracks(dataset: Path, split: Split) -> list[Path]:
    """List the folders of one part of a dataset, sorted by path; none if it has no such part.

    Args:
        dataset: The dataset folder.
        split: ``"train"``, ``"valid"`` or ``"test"``.

    Raises:
        NotFoundError: If ``dataset`` is no folder.
        DatasetError: If a folder may not be read.
    """
    check_dataset_exists(dataset)
    parts = [e.path for e in list_folder(dataset) if e.is_dir() and split_of(e.name) == split]
    return [Path(entry.path) for part in parts for entry in list_folder(Path(part)) if entry.is_dir()]


def index_split(dataset: str | Path, split: Split) -> list[Track]:
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
    dataset = Path(dataset)
    return [track for track in map(read_track, find_tracks(dataset, split)) if track is not None]


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
