"""Separates songs as tasks on a Ray cluster.

The songs and the output folder must be on a disk that all machines share; the model is sent with the tasks.
The journal in the output folder remains the single source of truth: a task does exactly what a local process
would do with its song, so a task whose machine died is simply run on another one.
"""

import importlib
import logging
import math
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from auralflow.config import EngineConfig, StemConfig
from auralflow.errors import AuralflowError, UsageError
from auralflow.nets.door import SeparationModel
from auralflow.separation.folder import output_folder
from auralflow.separation.naming import check_names
from auralflow.separation.songs import Song
from auralflow.separation.stream import Separator
from auralflow.separation.two_stems import pair_of
from auralflow.separation.work import Outcome, Worker

__all__ = ["separate_on_ray"]

logger = logging.getLogger(__name__)

# Tasks to submit for each one that can run; the others wait here, where they cost nothing.
_AHEAD = 2
_RETRIES = 5
_PATIENCE = 0.2
# Seconds between two progress reports of a song.
_REPORT_EVERY = 0.5


@dataclass(frozen=True)
class _Order:
    """The parameters shared by all tasks of a run."""

    run: str
    settings: EngineConfig
    output: Path
    options: StemConfig
    force: bool


def separate_on_ray(
    model: SeparationModel,
    settings: EngineConfig,
    songs: Sequence[Song],
    save: str | Path,
    options: StemConfig,
    *,
    force: bool = False,
    address: str | None = None,
    on_progress: Callable[[Song, float], None] | None = None,
) -> Iterator[Outcome]:
    """Separate songs on a Ray cluster.

    Each task uses one core, or one GPU if the cluster has any: many songs on one core each finish sooner than
    one song on many cores.

    Args:
        model: The model.
        settings: How to separate; the precision ``auto`` means float32, the same on all machines.
        songs: The songs.
        save: Folder in which ``separated_audio`` is created.
        options: What to write.
        force: Separate finished songs again.
        address: Address of the cluster. Default: start a temporary one on this machine.
        on_progress: Called with a song and the fraction done, when a worker reports it.

    Yields:
        The outcome of each song, in order of completion.

    Raises:
        UsageError: If the extra ``ray`` is not installed, there is no cluster at the address, or two songs
            would have files of the same name.
        AudioError: If the output folder is not writable.
    """
    pair = pair_of(settings.two_stems, model.targets).names if settings.two_stems else None
    check_names([song.name for song in songs], pair or settings.targets or model.targets, options)
    output = output_folder(Path(save)).absolute()
    with _cluster(address) as ray:
        resources = ray.cluster_resources()
        gpus = int(resources.get("GPU", 0))
        task = ray.remote(num_cpus=1, num_gpus=min(gpus, 1), max_retries=_RETRIES)(_separate)
        if settings.precision == "auto":
            # Machines might choose differently, and the folder would contain two kinds of stems.
            settings = settings.model_copy(update={"precision": "float32"})
        order = _Order(secrets.token_hex(8), settings, output, options, force)
        # In a list, so that a task only fetches the model if its process does not have it yet.
        reports = ray.remote(num_cpus=0)(_Reports).remote()
        shared = [ray.put((model.cpu(), order, reports))]
        left = deque(replace(song, path=song.path.absolute()) for song in songs)
        running: dict[Any, Song] = {}
        while left or running:
            while left and len(running) < _AHEAD * (gpus or int(resources.get("CPU", 1))):
                song = left.popleft()
                running[task.remote(shared, order.run, song)] = song
            finished, _ = ray.wait(list(running), num_returns=1, timeout=_REPORT_EVERY)
            if on_progress:
                _pass_on(ray, reports, running.values(), on_progress)
            if not finished:
                continue
            (done,) = finished
            song = running.pop(done)
            outcome = _outcome(ray, done, song, output)
            if outcome.status == "busy":
                left.append(song)
                time.sleep(_PATIENCE)
            else:
                yield outcome


def _outcome(ray: ModuleType, task: Any, song: Song, output: Path) -> Outcome:
    try:
        outcome: Outcome = ray.get(task)
    except Exception as error:
        logger.info("'%s' failed", song.path, exc_info=True)
        found = next(iter(str(error).splitlines()), type(error).__name__)
        failure = AuralflowError(f"no worker on the cluster finished '{song.path}'", found=found)
        return Outcome(song, output / song.name, "failed", error=failure)
    return outcome


class _Reports:
    """Collects progress reports from the tasks, in a process on the cluster."""

    def __init__(self) -> None:
        self._fractions: dict[str, float] = {}

    def put(self, path: str, fraction: float) -> None:
        self._fractions[path] = fraction

    def take(self) -> dict[str, float]:
        taken, self._fractions = self._fractions, {}
        return taken


def _pass_on(
    ray: ModuleType, reports: Any, songs: Iterable[Song], on_progress: Callable[[Song, float], None]
) -> None:
    try:
        fractions = ray.get(reports.take.remote())
    except ray.exceptions.RayError:
        # Its machine died; the songs move to others, and only the progress bar stops.
        logger.info("the cluster no longer reports progress", exc_info=True)
        return
    for song in songs:
        if str(song.path) in fractions:
            on_progress(song, fractions[str(song.path)])


_workers: dict[str, tuple[Worker, Any]] = {}
"""The worker of the current run, in a process on the cluster."""


def _separate(shared: list[Any], run: str, song: Song) -> Outcome:
    """Run one task, in a process on the cluster."""
    if run not in _workers:
        ray = _require_ray()
        model, order, reports = ray.get(shared[0])
        torch.set_num_threads(1)
        _workers.clear()
        separator = Separator(model, order.settings)
        worker = Worker(separator, order.output, order.options, force=order.force)
        _workers[run] = worker, reports
    worker, reports = _workers[run]
    last = -math.inf

    def report(fraction: float) -> None:
        nonlocal last
        if time.monotonic() - last > _REPORT_EVERY:
            last = time.monotonic()
            reports.put.remote(str(song.path), fraction)

    report(0.0)
    return worker.run(song, report)


def _require_ray() -> ModuleType:
    try:
        return importlib.import_module("ray")
    except ImportError:
        raise UsageError("ray is not installed", advice='Run: pip install "auralflow[ray]"') from None


@contextmanager
def _cluster(address: str | None) -> Iterator[ModuleType]:
    """Connect to a cluster, and disconnect afterwards unless already connected before."""
    ray = _require_ray()
    if ray.is_initialized():
        yield ray
        return
    try:
        ray.init(address=address, log_to_driver=False, include_dashboard=False if address is None else None)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UsageError(
            f"there is no Ray cluster at {address!r}",
            found=str(error),
            advice="Start one with: ray start --head",
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()
