"""The format of a prepared cache: its manifest, its records, and how its tracks are listed.

::

    CACHE/
      manifest.json               where it comes from, how it was made, which tracks it has
      train/<track>/track.json    the files it was made of, and checksums
      train/<track>/vocals.npy    samples [C, N], all tracks at one rate
      train/<track>/vocals~1.npy  the same at another pitch and tempo

A track's folder appears once it is complete, so that every folder can be used.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from auralflow.datasets.facts import FACTS_FILE, silent_stems
from auralflow.datasets.tracks import MIXTURE, Split, Track, find_tracks, stem_files
from auralflow.errors import AuralflowError, DatasetError, NotFoundError
from auralflow.storage import write_json

__all__ = [
    "MANIFEST_FILE",
    "TRACK_FILE",
    "Manifest",
    "Recipe",
    "SourceRecord",
    "StemRecord",
    "TrackRecord",
    "VariantRecord",
    "cached_tracks",
    "is_cache",
    "read_manifest",
    "read_record",
    "source_changes",
    "write_record",
]

MANIFEST_FILE = "manifest.json"
TRACK_FILE = "track.json"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Recipe(_Record):
    """How the samples of a cache are made; another recipe makes other files.

    Attributes:
        sample_rate: In hertz.
        sample_type: Type of the stored samples.
        variants: Copies of each training track at another pitch and tempo.
        pitch_range: Largest change in semitones.
        tempo_range: Largest change in percent.
        seed: Seed of the changes.
    """

    sample_rate: int
    sample_type: Literal["int16", "float32"]
    variants: int = 0
    pitch_range: float = 0.0
    tempo_range: float = 0.0
    seed: int = 0


class SourceRecord(_Record):
    """A source file of a track: name, size, modification time, checksum and rate."""

    file: str
    size: int
    mtime_ns: int
    sha256: str
    sample_rate: int


class StemRecord(_Record):
    """A file of the cache: name, size, checksum, and the factor of its samples beyond full scale."""

    file: str
    size: int
    sha256: str
    scale: float = 1.0


class VariantRecord(_Record):
    """A track at another pitch (semitones) and tempo (percent)."""

    pitch: float
    tempo: float
    num_samples: int
    stems: dict[str, StemRecord]


class TrackRecord(_Record):
    """What ``track.json`` of a cache says; ``silent`` is what that of the dataset states."""

    format_version: Literal[1] = 1
    recipe: Recipe
    num_samples: int
    sources: dict[str, SourceRecord]
    stems: dict[str, StemRecord]
    variants: tuple[VariantRecord, ...] = ()
    silent: tuple[str, ...] = ()

    @property
    def all_files(self) -> list[StemRecord]:
        """Every file of the cache that belongs to the track."""
        return [*self.stems.values(), *(stem for variant in self.variants for stem in variant.stems.values())]


class Manifest(_Record):
    """What ``manifest.json`` says; ``tracks`` are folders relative to the cache and to the dataset alike."""

    format_version: Literal[1] = 1
    source: str
    recipe: Recipe
    complete: bool
    tracks: dict[Split, list[str]]


def is_cache(folder: Path) -> bool:
    """Whether a folder is a prepared cache."""
    return (folder / MANIFEST_FILE).is_file()


def read_manifest(cache: Path) -> Manifest:
    """Read what a cache says of itself.

    Args:
        cache: The cache's folder.

    Raises:
        DatasetError: If ``manifest.json`` is missing, broken or of another version.
    """
    try:
        return Manifest.model_validate_json((cache / MANIFEST_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        found = f"{error.error_count()} errors" if isinstance(error, ValidationError) else str(error)
        raise DatasetError(
            f"cannot read '{cache / MANIFEST_FILE}'",
            found=found,
            expected="the manifest of a cache",
            advice="Run auralflow data prepare again.",
        ) from None


def read_record(folder: Path) -> TrackRecord | None:
    """Read ``track.json``, None if it is missing or broken, or a file of the cache has another size."""
    try:
        record = TrackRecord.model_validate_json((folder / TRACK_FILE).read_text(encoding="utf-8"))
        sizes_fit = all((folder / stem.file).stat().st_size == stem.size for stem in record.all_files)
    except (OSError, ValueError):
        return None
    return record if sizes_fit else None


def write_record(folder: Path, record: TrackRecord) -> None:
    """Write ``track.json``."""
    write_json(folder / TRACK_FILE, record.model_dump(mode="json"))


def source_changes(folder: Path, record: TrackRecord) -> list[str]:
    """Name the files of a track that have changed since the cache was made.

    Args:
        folder: The track's folder in the dataset.
        record: What was recorded.

    Returns:
        Names of files that are new, missing, or have another size or modification time, and ``track.json`` if
        it states something else.
    """
    try:
        files = stem_files(folder)
        if silent_stems(folder, files) != set(record.silent):
            return [FACTS_FILE]
    except AuralflowError:
        return [folder.name]
    sources = record.sources
    names = {path.name for path in files.values()} ^ {source.file for source in sources.values()}
    for stem, source in sources.items():
        if stem in files and source.file == files[stem].name:
            status = files[stem].stat()
            if (status.st_size, status.st_mtime_ns) != (source.size, source.mtime_ns):
                names.add(source.file)
    return sorted(names)


def cached_tracks(cache: Path, split: Split) -> list[Track]:
    """List the tracks of one part of a cache.

    They are compared with the dataset for as long as it exists; a cache may outlive its dataset.

    Args:
        cache: The cache's folder.
        split: ``"train"``, ``"valid"`` or ``"test"``.

    Returns:
        The tracks, sorted.

    Raises:
        DatasetError: If the cache is not finished, is broken, or the dataset has changed since.
    """
    manifest = read_manifest(cache)
    if not manifest.complete:
        raise _unusable(cache, "a preparation that did not finish")
    dataset = Path(manifest.source)
    names = manifest.tracks.get(split, [])
    if dataset.is_dir():
        here = {str(path.relative_to(dataset)) for path in find_tracks(dataset, split) if stem_files(path)}
        if different := sorted(here ^ set(names)):
            raise _unusable(cache, f"a dataset with other tracks ({', '.join(different[:3])})")
    return [_read_cached(cache, name, dataset) for name in names]


def _read_cached(cache: Path, name: str, dataset: Path) -> Track:
    record = read_record(cache / name)
    if record is None:
        raise _unusable(cache, f"damaged or missing files in '{cache / name}'")
    if dataset.is_dir() and (changed := source_changes(dataset / name, record)):
        raise _unusable(cache, f"a change of '{dataset / name / changed[0]}' since it was prepared")
    variants = tuple(
        _as_track(cache / name, variant.stems, record, variant.num_samples) for variant in record.variants
    )
    return _as_track(cache / name, record.stems, record, record.num_samples, variants)


def _as_track(
    folder: Path,
    stems: Mapping[str, StemRecord],
    record: TrackRecord,
    num_samples: int,
    variants: tuple[Track, ...] = (),
) -> Track:
    files = {stem: folder / record.file for stem, record in stems.items()}
    scales = {stem: record.scale for stem, record in stems.items() if record.scale != 1}
    mixture = files.pop(MIXTURE, None)
    return Track(
        folder.name,
        files,
        mixture,
        record.recipe.sample_rate,
        num_samples,
        scales=scales,
        variants=variants,
        silent=frozenset(record.silent),
    )


def _unusable(cache: Path, found: str) -> AuralflowError:
    if not cache.is_dir():
        return NotFoundError(f"no cache '{cache}'")
    return DatasetError(
        f"the cache '{cache}' cannot be used",
        found=found,
        expected="a cache that matches its dataset",
        advice="Run auralflow data prepare again; what is still right is kept.",
    )
