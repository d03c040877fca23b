"""From datasets to batches: the order of chunks, workers and prefetching."""

import signal
from collections.abc import Iterator
from types import FrameType
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, Sampler, default_collate

from auralflow.config import TrainConfig
from auralflow.cores import usable_workers
from auralflow.datasets.chunks import Chunk, ValidationChunks
from auralflow.datasets.remix import TrainingChunks
from auralflow.errors import AuralflowError

__all__ = ["ChunkLoader", "EpochSampler", "train_loader", "valid_loader"]

GRACE_SECONDS = 60
"""How long a worker goes on after SIGTERM, while the main process trains the current batch and saves."""


class EpochSampler(Sampler[int]):
    """The numbers of the chunks of one epoch for one process.

    Epoch ``e`` has the chunks from ``e * num_chunks``; rank ``r`` of ``W`` takes every ``W``-th of them. So
    the order is a function of epoch, position and rank alone, and can be resumed anywhere.

    Args:
        num_chunks: Chunks in an epoch, over all processes.
        rank: Number of this process.
        world_size: Number of processes. Chunks that do not divide evenly are dropped.

    Attributes:
        epoch: The epoch; set it before iterating.
        start: Chunks of this process to skip at the start of the epoch.

    Example:
        >>> sampler = EpochSampler(7, rank=1, world_size=2)
        >>> sampler.epoch = 1
        >>> list(sampler)
        [8, 10, 12]
    """

    def __init__(self, num_chunks: int, *, rank: int = 0, world_size: int = 1) -> None:
        self.num_chunks = num_chunks
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0
        self.start = 0

    def __len__(self) -> int:
        return max(0, self.num_chunks // self.world_size - self.start)

    def __iter__(self) -> Iterator[int]:
        first = self.epoch * self.num_chunks
        for place in range(self.start, self.num_chunks // self.world_size):
            yield first + place * self.world_size + self.rank


class _Guarded(Dataset[Chunk | AuralflowError]):
    """A dataset that returns its errors instead of raising them."""

    def __init__(self, chunks: Dataset[Chunk]) -> None:
        self.chunks = chunks

    def __getitem__(self, index: int) -> Chunk | AuralflowError:
        try:
            return self.chunks[index]
        except AuralflowError as error:
            return error


def _collate(items: list[Chunk | AuralflowError]) -> Any:
    return next((item for item in items if isinstance(item, AuralflowError)), None) or default_collate(items)


class ChunkLoader(DataLoader[Any]):
    """A loader that raises the dataset's own errors.

    PyTorch re-raises a worker's error with a traceback as its message. Here it stays what it was: one line
    that names the file.

    Args:
        chunks: The dataset.
        options: Those of ``DataLoader``.
    """

    def __init__(self, chunks: Dataset[Chunk], **options: Any) -> None:
        super().__init__(_Guarded(chunks), collate_fn=_collate, **options)

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]  # PyTorch names its own class
        for batch in super().__iter__():
            if isinstance(batch, AuralflowError):
                raise batch
            yield batch


def _leave_signals_to_main(_: int) -> None:
    """Let a worker outlive signals to the process group: the main process saves, then ends its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "SIGALRM"):  # Windows has neither this nor signals to groups.
        signal.signal(signal.SIGTERM, _end_later)


def _end_later(_: int, __: FrameType | None) -> None:
    # SIGTERM must not be ignored for good: it also ends workers that are stuck.
    signal.alarm(GRACE_SECONDS)


def _idle_generator() -> torch.Generator:
    # A loader draws a seed for its workers when it starts; drawn from the global generator, it would change
    # the dropout of a resumed run.
    return torch.Generator()


def train_loader(chunks: TrainingChunks, sampler: EpochSampler, settings: TrainConfig) -> ChunkLoader:
    """Batches of training chunks, in the sampler's order.

    Args:
        chunks: The training chunks.
        sampler: Which of them, in which order.
        settings: Batch size, workers and what they read ahead.
    """
    workers = usable_workers(settings.num_workers)
    return ChunkLoader(
        chunks,
        batch_size=settings.batch_size,
        sampler=sampler,
        num_workers=workers,
        persistent_workers=settings.persistent_workers and workers > 0,
        pin_memory=settings.pin_memory and torch.cuda.is_available(),
        prefetch_factor=settings.pre_fetch if workers else None,
        worker_init_fn=_leave_signals_to_main,
        generator=_idle_generator(),
    )


def valid_loader(
    chunks: ValidationChunks, settings: TrainConfig, *, rank: int = 0, world_size: int = 1
) -> ChunkLoader:
    """Batches of validation chunks, always in the same order; rank ``r`` of ``W`` takes every ``W``-th.

    Args:
        chunks: The validation chunks.
        settings: Batch size, workers and what they read ahead.
        rank: Number of this process.
        world_size: Number of processes.
    """
    workers = usable_workers(settings.num_workers)
    return ChunkLoader(
        chunks,
        batch_size=settings.batch_size,
        sampler=range(rank, len(chunks), world_size),
        num_workers=workers,
        pin_memory=settings.pin_memory and torch.cuda.is_available(),
        prefetch_factor=settings.pre_fetch if workers else None,
        worker_init_fn=_leave_signals_to_main,
        generator=_idle_generator(),
    )
