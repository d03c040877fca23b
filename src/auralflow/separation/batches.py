"""Batch sizes: how many chunks fit on a device, and smaller batches when memory runs out.

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
"""Fraction of a GPU's free memory to use; other programs and fragmentation need the rest."""


class Batches:
    """Runs a function on batches of chunks, and halves the batches when memory runs out.

    Args:
        process: Maps ``[B, C, N]`` to ``[B, ...]``.
        advice: Advice for the error raised when not even one chunk fits.

    Attributes:
        most: Maximum batch size known to fit; None until a batch has failed.

    Example:
        >>> Batches(lambda chunks: 2 * chunks, "")(torch.ones(3, 1, 2)).sum()
        tensor(12.)
    """

    def __init__(self, process: Callable[[Tensor], Tensor], advice: str) -> None:
        self.process = process
        self.advice = advice
        self.most: int | None = None

    def __call__(self, chunks: Tensor) -> Tensor:
        """Process chunks.

        Args:
            chunks: Audio ``[B, C, N]``.

        Returns:
            The results ``[B, ...]``.

        Raises:
            UsageError: If there is not enough memory for a single chunk.
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
            # After the except block: the exception holds all tensors of the failed attempt.
            self._shrink(size)
        return done[0] if len(done) == 1 else torch.cat(done)

    def _shrink(self, size: int) -> None:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if size == 1:
            raise UsageError("out of memory", found="not enough for one chunk", advice=self.advice)
        self.most = size // 2
        logger.warning("out of memory with batches of %d chunks, continuing with %d", size, self.most)


def _is_memory(error: BaseException) -> bool:
    """Whether memory ran out. On the CPU, PyTorch only says so in the message."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return "DefaultCPUAllocator" in str(error) or "not enough memory" in str(error)


def fitting_batch(process: Callable[[Tensor], object], chunk: Tensor, device: torch.device) -> int:
    """Estimate how many chunks fit in the free memory of a GPU, from the memory that one takes.

    Args:
        process: Called with chunks ``[B, C, N]``.
        chunk: One chunk ``[1, C, N]``.
        device: The GPU.

    Returns:
        The batch size, at least 1.
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
