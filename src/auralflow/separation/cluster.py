"""The same work on many machines: songs as tasks on a Ray cluster.

The songs and the output folder must lie on a disk that all machines share; the model travels with the tasks.
The journal in the output folder stays the one truth: a task does exactly what a process on this machine would
do with its song, so that a task whose machine died is simply given to another.
"""

import importlib
import logging
import secrets
import time
from collections import deque
from collections.abc import Iterator, Sequence
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
from auralflow.separation.songs import Song
from auralflow.separation.stream import Separator
from auralflow.separation.work import Outcome, Worker

__all__ = ["separate_on_ray"]

logger = logging.getLogger(__name__)

# Tasks that wait at the cluster, for each that can run; the others wait here, where they cost nothing.
_AHEAD = 2
_RETRIES = 5
_PATIENCE = 0.2


@dataclass(frozen=True)
class _Order:
    """What all tasks of a run have in common."""

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
) -> Iterator[Outcome]:
    """Separate songs on a Ray cluster.

    Each task takes one core, or one GPU where the cluster has any: many songs on one core each are done
    sooner than one song on many cores.

    Args:
        model: The model.
        settings: How to separate; the precision ``auto`` is float32 here, the same on all machines.
        songs: The songs.
        save: Folder in which ``separated_audio`` is made.
        options: What to write.
        force: Do again what is done.
        address: Address of the cluster. Default: one on this machine alone, for as long as this lasts.

    Yields:
        The outcome of each song, in the order in which they end.

    Raises:
        UsageError: If the extra ``ray`` is not installed, or there is no cluster at the address.
        AudioError: If the output folder cannot be written to.
    """
    output = output_folder(Path(save)).absolute()
    with _cluster(address) as ray:
        resources = ray.cluster_resources()
        gpus = int(resources.get("GPU", 0))
        task = ray.remote(num_cpus=1, num_gpus=min(gpus, 1), max_retries=_RETRIES)(_separate)
        if settings.precision == "auto":
            # Each machine would choose for itself, and a folder would hold two kinds of stems.
            settings = settings.model_copy(update={"precision": "float32"})
        order = _Order(secrets.token_hex(8), settings, output, options, force)
        # In a list, so that a task fetches the model only when its process does not have it yet.
        shared = [ray.put((model.cpu(), order))]
        left = deque(replace(song, path=song.path.absolute()) for song in songs)
        running: dict[Any, Song] = {}
        while left or running:
            while left and len(running) < _AHEAD * (gpus or int(resources.get("CPU", 1))):
                song = left.popleft()
                running[task.remote(shared, order.run, song)] = song
            (done,), _ = ray.wait(list(running), num_returns=1)
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
        failure = AuralflowError(f"no worker of the cluster finished '{song.path}'", found=found)
        return Outcome(song, output / song.name, "failed", error=failure)
    return outcome


_workers: dict[str, Worker] = {}
"""The worker of the run that this process of the cluster takes part in."""


def _separate(shared: list[Any], run: str, song: Song) -> Outcome:
    """One task, in a process of the cluster."""
    if run not in _workers:
        ray = _require_ray()
        model, order = ray.get(shared[0])
        torch.set_num_threads(1)
        _workers.clear()
        separator = Separator(model, order.settings)
        _workers[run] = Worker(separator, order.output, order.options, force=order.force)
    return _workers[run].run(song)


def _require_ray() -> ModuleType:
    try:
        return importlib.import_module("ray")
    except ImportError:
        raise UsageError("ray is not installed", advice="Run: pip install auralflow[ray]") from None


@contextmanager
def _cluster(address: str | None) -> Iterator[ModuleType]:
    """A connection to a cluster; one that was there before stays."""
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
