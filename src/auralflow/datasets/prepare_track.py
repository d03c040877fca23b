"""Preparing one track of a cache: keep it if it is up to date, or else make it again."""

import zlib
from pathlib import Path
from typing import Literal

import numpy as np

from auralflow.audio import resampled_length
from auralflow.datasets.cache import (
    Recipe,
    SourceRecord,
    StemRecord,
    TrackRecord,
    VariantRecord,
    read_record,
    source_changes,
    write_record,
)
from auralflow.datasets.cache_files import store_file, write_samples
from auralflow.datasets.facts import silent_stems
from auralflow.datasets.repitch import repitch
from auralflow.datasets.stems import read_samples
from auralflow.datasets.tracks import MIXTURE, Track, read_track, stem_files
from auralflow.errors import DatasetError
from auralflow.storage import atomic_folder, claimed, file_hash

__all__ = ["Outcome", "prepare_track"]

Outcome = Literal["kept", "made"]


def prepare_track(folder: Path, target: Path, recipe: Recipe, *, variants: int, verify: bool) -> Outcome:
    """Prepare a track, unless it is up to date.

    Args:
        folder: The track in the dataset.
        target: Its folder in the cache.
        recipe: How to make the samples.
        variants: Copies at another pitch and tempo.
        verify: Whether to compare the checksums of what is there.

    Returns:
        What was done.

    Raises:
        AuralflowError: If the track cannot be read.
        OSError: If the cache cannot be written.
    """
    if _is_fresh(folder, target, recipe, verify=verify):
        return "kept"
    track = read_track(folder)
    if track is None:
        raise DatasetError(f"'{folder}' holds no audio")
    with claimed(target):
        # Another process may have made it meanwhile.
        if _is_fresh(folder, target, recipe, verify=verify):
            return "kept"
        with atomic_folder(target) as part:
            # Seeds of variants depend on the track alone, not on the others.
            name = f"{target.parent.name}/{target.name}"
            write_record(part, _build(track, part, recipe, variants=variants, name=name))
    return "made"


def _is_fresh(folder: Path, target: Path, recipe: Recipe, *, verify: bool) -> bool:
    record = read_record(target)
    if record is None or record.recipe != recipe:
        return False
    if verify and any(file_hash(target / stem.file) != stem.sha256 for stem in record.all_files):
        return False
    if not source_changes(folder, record):
        return True
    # A copied or touched file has another modification time but the same content.
    files = stem_files(folder)
    same = (
        files.keys() == record.sources.keys()
        and silent_stems(folder, files) == set(record.silent)
        and all(
            record.sources[stem].file == path.name and record.sources[stem].sha256 == file_hash(path)
            for stem, path in files.items()
        )
    )
    if same:
        sources = {stem: _source(path, record.sources[stem].sample_rate) for stem, path in files.items()}
        write_record(target, record.model_copy(update={"sources": sources}))
    return same


def _source(path: Path, sample_rate: int) -> SourceRecord:
    status = path.stat()
    return SourceRecord(
        file=path.name,
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
        sha256=file_hash(path),
        sample_rate=sample_rate,
    )


def _build(track: Track, part: Path, recipe: Recipe, *, variants: int, name: str) -> TrackRecord:
    num_samples = resampled_length(track.num_samples, track.sample_rate, recipe.sample_rate)
    # Recorded before reading, so that a file that is modified meanwhile counts as changed.
    sources = {
        stem: _source(path, track.rates.get(stem, track.sample_rate)) for stem, path in track.files.items()
    }
    stems = {
        stem: store_file(
            path,
            part / f"{stem}.npy",
            sample_rate=recipe.sample_rate,
            num_samples=num_samples,
            sample_type=recipe.sample_type,
        )
        for stem, path in track.files.items()
    }
    return TrackRecord(
        recipe=recipe,
        num_samples=num_samples,
        sources=sources,
        stems=stems,
        silent=tuple(sorted(track.silent)),
        # A track of which only the mixture is known has no stem for remixes.
        variants=tuple(
            _vary(part, stems, num_samples, recipe, number, name)
            for number in range(1, variants + 1 if track.stems else 1)
        ),
    )


def _vary(
    part: Path, stems: dict[str, StemRecord], num_samples: int, recipe: Recipe, number: int, name: str
) -> VariantRecord:
    generator = np.random.default_rng((recipe.seed, zlib.crc32(name.encode()), number))
    pitch, tempo = generator.uniform(-1, 1, 2) * (recipe.pitch_range, recipe.tempo_range)
    made, length = {}, round(num_samples / (1 + tempo / 100))
    for stem, record in stems.items():
        if stem == MIXTURE:
            # Stems changed one by one would not add up to the changed mixture.
            continue
        audio = read_samples(part / record.file, 0, num_samples, scale=record.scale)
        varied = repitch(audio, recipe.sample_rate, pitch=float(pitch), tempo=float(tempo))
        scale = max(1.0, float(np.abs(varied).max(initial=0.0))) if recipe.sample_type == "int16" else 1.0
        path = part / f"{stem}~{number}.npy"
        write_samples(
            path, [varied], shape=(len(varied), length), sample_type=recipe.sample_type, scale=scale
        )
        made[stem] = StemRecord(file=path.name, size=path.stat().st_size, sha256=file_hash(path), scale=scale)
    return VariantRecord(pitch=float(pitch), tempo=float(tempo), num_samples=length, stems=made)
