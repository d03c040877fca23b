"""How many chunks a device computes at once, and fewer when its memory does not suffice.

Shape letters: ``B`` batch, ``C`` channel, ``N`` sample.
"""

import logging
from collections.abc import Callable

import torch
from torch import Tensor

from auralflow.errors import UsageError

__all__ = ["Batches", "fitting_batch"]

logger = logging.getLogger(__name__)

MOST_ON_CUDA = 16
USABLE_SHARE = 0.8
"""Of the free memory of a GPU: other programs and the allocator's own losses need some."""


class Batches:
    """Runs a function on batches of chunks, in smaller ones once a batch has run out of memory.

    Args:
        process: Maps ``[B, C, N]`` to ``[B, ...]``.
        advice: What to do if not even one chunk fits.

    Attributes:
        most: Chunks that fit at once, as far as it is known; None before anything failed.

    Example:
        >>> Batches(lambda chunks: 2 * chunks, "")(torch.ones(3, 1, 2)).sum()
        tensor(12.)
    """

    def __init__(self, process: Callable[[Tensor], Tensor], advice: str) -> None:
        self.process = process
        self.advice = advice
        self.most: int | None = None

    def __call__(self, chunks: Tensor) -> Tensor:
        """Process chunks ``[B, C, N]``.

        Raises:
            UsageError: If there is not enough memory for one chunk.
        """
        done: list[Tensor] = []
        count = 0
        while count < len(chunks):
            part = chunks[count : count + (self.most or len(chunks))]
            try:
                done.append(self.process(part))
            except (RuntimeError, MemoryError) as error:
                if not _is_memory(error):
                    raise
                size = len(part)
            else:
                count += len(part)
                continue
            # Not while the exception lives, which holds all tensors of the failed attempt.
            self._shrink(size)
        return done[0] if len(done) == 1 else torch.cat(done)

    def _shrink(self, size: int) -> None:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if size == 1:
            raise UsageError("out of memory", found="not enough for one chunk", advice=self.advice)
        self.most = size // 2
        logger.warning("out of memory with %d chunks at once: going on with %d", size, self.most)


def _is_memory(error: BaseException) -> bool:
    """Whether memory ran out. On the CPU PyTorch says so in words only."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return "DefaultCPUAllocator" in str(error) or "not enough memory" in str(error)


def fitting_batch(process: Callable[[Tensor], object], chunk: Tensor, device: torch.device) -> int:
    """Chunks that fit in the free memory of a GPU at once, from what one takes.

    Args:
        process: What is done with chunks ``[B, C, N]``.
        chunk: One chunk ``[1, C, N]``.
        device: The GPU.
    """
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    free, _ = torch.cuda.mem_get_info(device)
    try:
        process(chunk)
    except torch.OutOfMemoryError:
        return 1
    taken = torch.cuda.max_memory_allocated(device) - before
    return max(1, min(MOST_ON_CUDA, int(USABLE_SHARE * free / max(1, taken))))
