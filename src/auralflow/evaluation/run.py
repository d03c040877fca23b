"""Runs an evaluation: selects tracks, scores them one by one or in parallel, and resumes after a stop."""

import hashlib
import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from auralflow.datasets import Split, Track, index_split, sources_of
from auralflow.datasets.cache import is_cache
from auralflow.datasets.layout import no_tracks
from auralflow.errors import AuralflowError, DatasetError, UnexpectedError, UsageError
from auralflow.evaluation.results import Comparison
from auralflow.evaluation.scores import ACCOMPANIMENT, RESIDUAL, Report, TrackScores
from auralflow.evaluation.scoring import Extras, score_track
from auralflow.evaluation.systems import IdealMask, MixtureAsEstimate, ModelSystem, System, fingerprint
from auralflow.separation import Separator
from auralflow.storage import write_json

__all__ = ["TRACKS_FOLDER", "compare", "evaluate"]

logger = logging.getLogger(__name__)

TRACKS_FOLDER = "tracks"
CACHE_VERSION = 1
"""To be incremented when the same audio would get different scores than before."""

Progress = Callable[[str, float], None]
logger = logging.getLogger(__name__)


def evaluate(
    separator: Separator,
    dataset: str | Path,
    *,
    subset: Split = "test",
    on_progress: Progress | None = None,
) -> Report:
    """Separate the tracks of a dataset, and compare the estimates with the stems.

    The mixture is the track's mixture file or, if all stems are known, their sum. Estimates are compared at
    the track's sample rate and number of channels. To score several systems, with bounds, see `compare`.

    Args:
        separator: The separator.
        dataset: A dataset in the layout of MUSDB18.
        subset: ``"train"``, ``"valid"`` or ``"test"``. Default: ``"test"``.
        on_progress: Called with the name of the current track and the fraction of it that is done.

    Returns:
        The scores of the model's targets.

    Raises:
        NotFoundError: If the dataset does not exist.
        DatasetError: If the subset has no tracks that can be scored.
        AudioError: If a track cannot be read.
    """
    dataset = Path(dataset)
    plan = Plan.of(dataset, subset, separator.targets)
    system = ModelSystem(separator, "model")
    tracks = [
        score_track(
            system,
            track,
            plan.sources,
            separator.targets,
            device=metric_device(separator.model.device),
            on_progress=partial(on_progress, track.name) if on_progress else None,
        )
        for track in plan.tracks
    ]
    return Report(tracks, separator.targets, plan.skipped, system.name)


def metric_device(device: torch.device) -> torch.device:
    """The device for scores: the model's, unless it does not support double precision."""
    return torch.device("cpu") if device.type == "mps" else device


@dataclass(frozen=True)
class Plan:
    """The tracks of a subset that can be scored."""

    tracks: Sequence[Track]
    sources: tuple[str, ...]
    skipped: Mapping[str, str]

    @classmethod
    def of(cls, dataset: Path, subset: Split, targets: Sequence[str]) -> "Plan":
        found = index_split(dataset, subset)
        sources = sources_of(found, targets)
        tracks, skipped = [], {}
        for track in found:
            known = [target for target in targets if target in track.stems]
            if not known:
                skipped[track.name] = f"has none of the targets {', '.join(targets)}"
            elif not track.knows(known, sources):
                skipped[track.name] = "has neither a mixture nor all stems"
            else:
                tracks.append(track)
        if not tracks:
            if is_cache(dataset):
                raise DatasetError(
                    f"'{dataset}' is a prepared cache, which is only for training",
                    expected="the dataset it was prepared from",
                )
            if not found:
                raise no_tracks(dataset, f"'{dataset}' has no tracks in {subset}/", split=subset)
            raise DatasetError(
                f"no track of '{dataset}' can be scored",
                found=f"{len(found)} tracks in {subset}/",
                expected="tracks with the targets' stems and a mixture, or all stems",
            )
        return cls(tracks, sources, skipped)


def compare(  # noqa: PLR0913 - each is a choice of its own
    systems: Sequence[System],
    dataset: str | Path,
    *,
    subset: Split = "test",
    targets: Sequence[str] = (),
    bounds: bool = True,
    extras: Extras | None = None,
    jobs: int = 1,
    folder: str | Path | None = None,
    device: torch.device | None = None,
    on_progress: Progress | None = None,
) -> Comparison:
    """Score several systems, and the bounds, on the same tracks.

    If a track fails for a system, the error is recorded in its report, and the evaluation continues.

    Args:
        systems: Models and folders of stems.
        dataset: A dataset in the layout of MUSDB18.
        subset: ``"train"``, ``"valid"`` or ``"test"``. Default: ``"test"``.
        targets: Targets to score. Default: the targets of all systems.
        bounds: Also score the mixture as an estimate, and ideal masks in the first model's transform.
            Default: True.
        extras: Optional scores. Default: none.
        jobs: Number of tracks to score in parallel, in threads. Default: 1.
        folder: Folder in which the scores of each track are cached as soon as they are known. A later run
            reuses them, unless the system, the track or the requested scores have changed. Default: none.
        device: Device for computing scores. Default: the first model's.
        on_progress: Called with the current system and track, and the fraction of all work that is done; from
            several threads if ``jobs`` is more than 1.

    Returns:
        A report for each system.

    Raises:
        NotFoundError: If the dataset does not exist.
        DatasetError: If the subset has no tracks that can be scored.
        UsageError: If two systems have the same name.
    """
    dataset = Path(dataset)
    folder = None if folder is None else Path(folder)
    stems = list(dict.fromkeys(targets or [name for system in systems for name in system.targets]))
    stems = [name for name in stems if name != ACCOMPANIMENT]
    plan = Plan.of(dataset, subset, stems)
    wanted = [*stems, *_left_over(systems, stems, plan.sources)]
    models = [system for system in systems if isinstance(system, ModelSystem)]
    place = device or metric_device(models[0].separator.model.device if models else torch.device("cpu"))
    everyone = _with_bounds(systems, models, wanted, place) if bounds else list(systems)
    names = [system.name for system in everyone]
    if len(set(names)) < len(names):
        raise UsageError(
            "two systems have the same name", found=", ".join(names), expected="a different name for each"
        )
    work = _Work(plan, wanted, extras or Extras(), folder, place)
    # Track by track, so that a track's files are still in the disk cache for the next system.
    tasks = [(system, track) for track in plan.tracks for system in everyone if work.has_any(system, track)]
    found = _run(work, tasks, jobs, on_progress)
    outcomes = {
        (system.name, track.name): outcome for (system, track), outcome in zip(tasks, found, strict=True)
    }
    reports = [_report(system.name, wanted, plan, outcomes) for system in everyone]
    return Comparison(reports, {"dataset": str(dataset), "subset": subset})


def _run(
    work: "_Work", tasks: Sequence[tuple[System, Track]], jobs: int, on_progress: Progress | None
) -> Iterator[TrackScores | str]:
    """Run tasks one by one or in threads, and yield the results in order."""
    shares = [0.0] * len(tasks)
    stop = threading.Event()

    def one(index: int) -> TrackScores | str:
        system, track = tasks[index]

        def tell(share: float) -> None:
            if stop.is_set():
                raise AuralflowError("stopped")
            shares[index] = share
            if on_progress:
                on_progress(f"{system.name}: {track.name}", sum(shares) / len(tasks))

        outcome = work.score(system, track, tell)
        tell(1.0)
        return outcome

    if jobs == 1:
        yield from map(one, range(len(tasks)))
        return
    pool = ThreadPoolExecutor(max_workers=jobs)
    try:
        yield from pool.map(one, range(len(tasks)))
    finally:
        # When interrupted, do not wait for the tracks in progress.
        stop.set()
        pool.shutdown(cancel_futures=True)


def _left_over(systems: Sequence[System], stems: Sequence[str], sources: Sequence[str]) -> Iterator[str]:
    """The accompaniment and the residual, if they mean the same for all systems."""
    if "vocals" in stems:
        yield ACCOMPANIMENT
    alike = all(set(stems) <= set(system.targets) for system in systems)
    if alike and set(stems) not in ({"vocals"}, set(sources)):
        yield RESIDUAL


def _with_bounds(
    systems: Sequence[System], models: Sequence[ModelSystem], wanted: Sequence[str], device: torch.device
) -> list[System]:
    stems = [name for name in wanted if name not in {ACCOMPANIMENT, RESIDUAL}]
    ceilings = [
        IdealMask(
            kind,
            models[0].separator.model,
            targets=stems,
            overlap=models[0].separator.overlap,
            device=device,
        )
        for kind in ("ibm", "irm")
        if models
    ]
    return [MixtureAsEstimate(wanted), *systems, *ceilings]


def _report(
    name: str, wanted: Sequence[str], plan: Plan, outcomes: Mapping[tuple[str, str], TrackScores | str]
) -> Report:
    own = {track: outcome for (system, track), outcome in outcomes.items() if system == name}
    tracks = [outcome for outcome in own.values() if isinstance(outcome, TrackScores)]
    failed = {track: outcome for track, outcome in own.items() if isinstance(outcome, str)}
    nothing = {track.name: "has no estimate of its targets" for track in plan.tracks if track.name not in own}
    scored = tuple(target for target in wanted if any(target in track.scores for track in tracks))
    return Report(tracks, scored, {**plan.skipped, **nothing}, name, failed)


@dataclass(frozen=True)
class _Work:
    """Scores one system on one track."""

    plan: Plan
    wanted: Sequence[str]
    extras: Extras
    folder: Path | None
    device: torch.device

    def has_any(self, system: System, track: Track) -> bool:
        """Whether the system has an estimate of any target with a known reference."""
        known = {*track.stems, *([ACCOMPANIMENT] if "vocals" in track.stems else [])}
        return bool(known & set(self.wanted) & set(system.available(track)))

    def score(self, system: System, track: Track, tell: Callable[[float], None]) -> TrackScores | str:
        """The scores, from the cache if they are already known, or an error message."""
        try:
            path = self._path(system, track)
            known = _read_scores(path) if path is not None and path.is_file() else None
            if known is not None:
                return known
            scores = score_track(
                system,
                track,
                self.plan.sources,
                self.wanted,
                extras=self.extras,
                device=self.device,
                on_progress=tell,
            )
            if path is not None:
                write_json(path, scores.to_json())
        except AuralflowError as error:
            return str(error)
        except OSError as error:
            return str(AuralflowError(f"cannot score '{track.name}'", found=str(error)))
        except Exception as error:
            logger.info("'%s' failed", track.name, exc_info=True)
            return str(UnexpectedError.of(f"cannot score '{track.name}'", error))
        return scores

    def _path(self, system: System, track: Track) -> Path | None:
        """The file to cache the scores in, whose name depends on everything that affects them."""
        if self.folder is None:
            return None
        files = [*track.stems.values(), *([track.mixture] if track.mixture else [])]
        content: dict[str, Any] = {
            "version": CACHE_VERSION,
            "system": dict(system.identity(track)),
            "track": fingerprint(files),
            "sources": self.plan.sources,
            "wanted": list(self.wanted),
            "extras": self.extras.to_json(),
        }
        key = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        # Truncated, because file systems allow 255 bytes; the key distinguishes tracks.
        return self.folder / TRACKS_FOLDER / f"{track.name[:50]}-{key[:16]}.json"


def _read_scores(path: Path) -> TrackScores | None:
    """Read cached scores; None if the file is damaged, in which case they are computed again."""
    try:
        return TrackScores.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError):
        logger.warning("'%s' is damaged, scoring the track again", path)
        return None
