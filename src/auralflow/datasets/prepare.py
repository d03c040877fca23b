"""Preparing a cache: decode and resample a dataset once, so that training only reads.

Every track is written to a hidden folder and then renamed, under a lock of its own. So an interrupted
preparation resumes where it stopped, the next one removes what a killed one left, and two that run at the
same time share the work.
"""

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from auralflow.config import PrepareConfig
from auralflow.cores import usable_workers
from auralflow.datasets.cache import MANIFEST_FILE, TRACK_FILE, Manifest, Recipe, is_cache, read_manifest
from auralflow.datasets.layout import no_tracks
from auralflow.datasets.prepare_track import Outcome, prepare_track
from auralflow.datasets.tracks import SPLITS, Split, find_tracks, list_folder, stem_files
from auralflow.errors import AuralflowError, DatasetError, UsageError
from auralflow.storage import remove_dead_folders, write_json

__all__ = ["PrepareReport", "prepare"]


@dataclass
class PrepareReport:
    """What a preparation did.

    Attributes:
        made: Tracks that were prepared now.
        kept: Tracks that were up to date.
        removed: Tracks that the dataset no longer has.
        failed: Why a track could not be prepared, by its folder.
    """

    made: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def prepare(
    dataset: Path,
    cache: Path,
    settings: PrepareConfig | None = None,
    *,
    on_track: Callable[[int, int, str], None] | None = None,
) -> PrepareReport:
    """Prepare a cache of a dataset, or bring it up to date.

    A track is kept if its recipe, the size and modification time of its sources (or else their checksums) and
    the size of its own files match. One that cannot be prepared does not stop the others, but leaves the
    cache incomplete.

    Args:
        dataset: A MUSDB-shaped dataset.
        cache: The cache's folder; new, empty, or an earlier cache.
        settings: Rate, sample type, variants.
        on_track: Called with the number of tracks done, the number of all tracks and the last one's name.

    Returns:
        What was done.

    Raises:
        UsageError: If ``cache`` holds something else, or lies in the dataset.
        NotFoundError: If there is no dataset.
        DatasetError: If it has no tracks.
    """
    settings = settings or PrepareConfig()
    recipe = _recipe(settings)
    tracks = _folders(dataset)
    _check_place(dataset, cache)
    former = _former_tracks(cache)
    manifest = Manifest(source=str(dataset.resolve()), recipe=recipe, complete=False, tracks=tracks)
    write_json(cache / MANIFEST_FILE, manifest.model_dump(mode="json"))
    for split in SPLITS:
        remove_dead_folders(cache / split)
    report = PrepareReport()
    names = [(split, name) for split in tracks for name in tracks[split]]
    for done, (name, outcome) in enumerate(_prepare_all(dataset, cache, names, recipe, settings), start=1):
        if isinstance(outcome, str):
            getattr(report, outcome).append(name)
        else:
            report.failed[name] = str(outcome)
        if on_track:
            on_track(done, len(names), name)
    report.removed = _remove(cache, former - {name for _, name in names})
    if not report.failed:
        write_json(
            cache / MANIFEST_FILE, manifest.model_copy(update={"complete": True}).model_dump(mode="json")
        )
    return report


def _recipe(settings: PrepareConfig) -> Recipe:
    values = settings.model_dump(include=set(Recipe.model_fields))
    if not settings.variants:
        # Without variants their settings have no effect, and must not make a cache stale.
        values |= {"pitch_range": 0.0, "tempo_range": 0.0, "seed": 0}
    return Recipe(**values)


def _folders(dataset: Path) -> dict[Split, list[str]]:
    tracks = {
        split: [
            str(folder.relative_to(dataset)) for folder in find_tracks(dataset, split) if _has_audio(folder)
        ]
        for split in SPLITS
    }
    if not any(tracks.values()):
        raise no_tracks(dataset, f"'{dataset}' has no tracks")
    return tracks


def _has_audio(folder: Path) -> bool:
    try:
        return bool(stem_files(folder))
    except DatasetError:
        # It will be tried, and its error reported.
        return True


def _check_place(dataset: Path, cache: Path) -> None:
    inside, outside = cache.resolve(), dataset.resolve()
    if inside.is_relative_to(outside):
        raise UsageError(f"the cache '{cache}' would lie in the dataset", advice="Name another folder.")
    # Hidden files do not count: another preparation may be about to write its manifest, which is the first
    # visible file. So look for that last.
    if cache.exists() and (not cache.is_dir() or list_folder(cache)) and not is_cache(cache):
        raise UsageError(
            f"'{cache}' is not a cache",
            found="other files",
            expected="a new or empty folder, or an earlier cache",
            advice="Name another folder.",
        )


def _former_tracks(cache: Path) -> set[str]:
    if not is_cache(cache):
        return set()
    try:
        return {name for names in read_manifest(cache).tracks.values() for name in names}
    except DatasetError:
        return set()


def _remove(cache: Path, names: set[str]) -> list[str]:
    gone = sorted(name for name in names if (cache / name / TRACK_FILE).is_file())
    for name in gone:
        shutil.rmtree(cache / name, ignore_errors=True)
    return gone


def _prepare_all(
    dataset: Path, cache: Path, names: list[tuple[Split, str]], recipe: Recipe, settings: PrepareConfig
) -> Iterator[tuple[str, Outcome | Exception]]:
    with ThreadPoolExecutor(max_workers=usable_workers(settings.num_workers)) as pool:
        running = {
            pool.submit(
                prepare_track,
                dataset / name,
                cache / name,
                recipe,
                variants=recipe.variants if split == "train" else 0,
                verify=settings.verify,
            ): name
            for split, name in names
        }
        try:
            for future in as_completed(running):
                error = future.exception()
                if error is not None and not isinstance(error, AuralflowError | OSError):
                    raise error
                yield running[future], error if isinstance(error, Exception) else future.result()
        finally:
            pool.shutdown(cancel_futures=True)
