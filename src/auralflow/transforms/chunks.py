"""From chunks back to a whole signal: overlap-add as a stream.

Shape letters: ``B`` batch, ``C`` channel.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["cross_fade_window", "overlap_add"]


def cross_fade_window(length: int, step: int) -> Tensor:
    """Weights of a chunk for `overlap_add`: linear fades over the overlap, flat between, never zero.

    A net knows least about the ends of its chunk, where it sees only one side of what it has to judge; so
    the ends count least where another chunk covers the same samples.

    Args:
        length: Samples in a chunk.
        step: Samples from one chunk's start to the next.

    Returns:
        ``[length]``, in (0, 1].

    Example:
        >>> cross_fade_window(6, 4).tolist()
        [0.25, 0.75, 1.0, 1.0, 0.75, 0.25]
    """
    fade = max(1.0, min(length - step, length / 2))
    ramp = torch.arange(length, dtype=torch.float32) + 0.5
    return (torch.minimum(ramp, ramp.flip(0)) / fade).clamp_max(1.0)


def overlap_add(
    blocks: Iterable[Tensor],
    process: Callable[[Tensor], Tensor],
    *,
    chunk_length: int,
    step: int,
    batch_size: int = 1,
) -> Iterator[Tensor]:
    """Run a function of fixed-length chunks over a signal of any length, as a stream.

    The signal is cut into chunks of ``chunk_length`` every ``step`` samples, ``process`` sees them in
    batches, and its results are cross-faded and divided by the sum of the weights: if ``process`` returns
    its input, the output is the input. The last chunk is padded with zeros. A new chunk is only begun for
    samples that no earlier chunk covers. Memory does not grow with the signal: at most
    ``chunk_length + (batch_size - 1) * step`` samples plus one block are held.

    Args:
        blocks: The signal as consecutive pieces ``[C, n]`` of any length.
        process: Maps ``[B, C, chunk_length]`` to ``[B, ..., chunk_length]``, ``B`` up to ``batch_size``.
        chunk_length: Samples in a chunk.
        step: Samples from one chunk's start to the next, from 1 to ``chunk_length``.
        batch_size: Chunks that ``process`` gets at once.

    Yields:
        Finished pieces ``[..., n]``; together they are as long as the signal. A sample is finished at the
        latest when ``chunk_length + batch_size * step`` samples after it have been read.

    Raises:
        ValueError: If ``step`` is not from 1 to ``chunk_length``.

    Example:
        >>> signal = torch.randn(2, 1000)
        >>> parts = overlap_add(signal.split(300, dim=-1), lambda chunk: chunk, chunk_length=64, step=48)
        >>> torch.allclose(torch.cat(list(parts), dim=-1), signal, atol=1e-6)
        True
    """
    if not 1 <= step <= chunk_length:
        raise ValueError(f"step is {step}: it must be from 1 to chunk_length ({chunk_length})")
    window = cross_fade_window(chunk_length, step)
    tail: Tensor | None = None  # weighted sum of what is not finished yet, [..., chunk_length - step]
    weight = torch.zeros(chunk_length - step)  # sum of the weights there

    for batch, num_samples, is_last in _batches(blocks, chunk_length, step, batch_size):
        estimates = process(batch)
        window, weight = window.to(estimates), weight.to(estimates)
        finished = []
        for estimate in estimates * window:
            total = estimate
            sums = window
            if tail is not None:
                total = total.clone()
                total[..., : chunk_length - step] += tail
                sums = window.clone()
                sums[: chunk_length - step] += weight
            finished.append(total[..., :step] / sums[:step])
            tail, weight = total[..., step:], sums[step:]
        if is_last and tail is not None:
            finished.append(tail / weight)
        yield torch.cat(finished, dim=-1)[..., :num_samples]


def _batches(
    blocks: Iterable[Tensor], chunk_length: int, step: int, batch_size: int
) -> Iterator[tuple[Tensor, int, bool]]:
    """Cut a stream into batches of chunks: the batch, how many samples it finishes, whether it is the last.

    A batch of ``k`` chunks finishes ``k * step`` samples, the last one all that is left.
    """
    pending: deque[Tensor] = deque()
    held = 0
    span = chunk_length + (batch_size - 1) * step  # samples under a full batch
    # One sample more than a batch spans must have been read to know that the batch is not the last.
    for block in blocks:
        pending.append(block)
        held += block.shape[-1]
        if held <= span:
            continue
        signal = torch.cat(list(pending), dim=-1)
        while signal.shape[-1] > span:
            yield signal[..., :span].unfold(-1, chunk_length, step).movedim(-2, 0), batch_size * step, False
            signal = signal[..., batch_size * step :]
        pending = deque([signal])
        held = signal.shape[-1]
    if held == 0:
        return
    signal = torch.cat(list(pending), dim=-1)
    count = 1 + math.ceil(max(0, held - chunk_length) / step)
    padded = F.pad(signal, (0, chunk_length + (count - 1) * step - held))
    yield padded.unfold(-1, chunk_length, step).movedim(-2, 0), held, True
