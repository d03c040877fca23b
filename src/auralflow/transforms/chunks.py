"""From chunks back to a whole signal: overlap-add as a stream.

Shape letters: ``B`` batch, ``C`` channel.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from auralflow.transforms.chunking import Chunking

__all__ = ["overlap_add"]


def overlap_add(
    blocks: Iterable[Tensor],
    process: Callable[[Tensor], Tensor],
    chunking: Chunking,
    *,
    batch_size: int = 1,
) -> Iterator[Tensor]:
    """Run a function of chunks over a signal of any length, as a stream.

    The signal is cut into chunks, ``process`` sees them in batches, and its results are weighted, added up
    and divided by the sum of the weights: if ``process`` returns its input, the output is the input. Memory
    does not grow with the signal: at any time it holds one batch, what `Chunking` keeps back and one block.

    Args:
        blocks: The signal as consecutive pieces ``[C, n]`` of any length.
        process: Maps ``[B, C, n]`` to ``[B, ..., n]``, ``B`` up to ``batch_size`` and ``n`` the length of a
            chunk and its context.
        chunking: Where chunks begin, how they are filled and weighted.
        batch_size: Chunks that ``process`` gets at once.

    Yields:
        Finished pieces ``[..., n]``; together they are as long as the signal, and the same however the signal
        was cut into blocks.

    Example:
        >>> signal = torch.randn(2, 1000)
        >>> parts = overlap_add(signal.split(300, dim=-1), lambda chunk: chunk, Chunking(length=64, step=48))
        >>> torch.allclose(torch.cat(list(parts), dim=-1), signal, atol=1e-6)
        True
    """
    padding = _Padding(chunking)
    added = _added_up(_batches(padding.padded(blocks), chunking, batch_size), process, chunking)
    if padding.passes_through:
        yield from added
        return
    position = 0
    for part in added:
        # Padding after the song cannot be finished before all of it has been read and its length is known.
        start = max(0, padding.before - position)
        stop = part.shape[-1] if padding.end is None else padding.end - position
        position += part.shape[-1]
        if start < min(stop, part.shape[-1]):
            yield part[..., start:stop]


class _Padding:
    """The padding before and after a signal.

    Attributes:
        before: Samples before it; known once the first block has been yielded.
        end: Where the signal ends in the padded one; None until it is known.
    """

    def __init__(self, chunking: Chunking) -> None:
        self.chunking = chunking
        self.before = 0
        self.end: int | None = None

    @property
    def passes_through(self) -> bool:
        """Whether there is no padding."""
        return not (self.chunking.before or self.chunking.after or self.chunking.multiple)

    def padded(self, blocks: Iterable[Tensor]) -> Iterator[Tensor]:
        """The padded signal ``[C, n]``, block by block."""
        if self.passes_through:
            yield from blocks
            return
        chunking = self.chunking
        reflect = chunking.edges == "reflect"
        # Long enough to be mirrored at both ends, if the signal is; and never empty.
        least = chunking.before + chunking.after + 1 if reflect else 1
        start, rest = _start(blocks, least)
        if start.shape[-1] == 0:
            return
        mirrors = reflect and start.shape[-1] >= least
        total = 0
        if mirrors or not reflect:
            self.before = chunking.before
            yield start[..., 1 : chunking.before + 1].flip(-1) if mirrors else _zeros(start, chunking.before)
        tail = start[..., :0]
        for block in _chained(start, rest):
            total += block.shape[-1]
            if mirrors:
                tail = torch.cat((tail, block), dim=-1)[..., -(chunking.after + 1) :]
            yield block
        self.end = self.before + total
        if chunking.multiple:
            yield _zeros(start, chunking.multiple - total % chunking.multiple)
        if mirrors:
            yield tail[..., :-1].flip(-1)
        elif not reflect:
            yield _zeros(start, chunking.after)


def _start(blocks: Iterable[Tensor], least: int) -> tuple[Tensor, Iterator[Tensor]]:
    """The first ``least`` samples, or all if there are fewer, and the blocks that follow."""
    iterator = iter(blocks)
    held: list[Tensor] = []
    while sum(block.shape[-1] for block in held) < least:
        block = next(iterator, None)
        if block is None:
            break
        held.append(block)
    return torch.cat(held, dim=-1) if held else torch.zeros(0), iterator


def _chained(first: Tensor, others: Iterator[Tensor]) -> Iterator[Tensor]:
    yield first
    yield from others


def _zeros(like: Tensor, count: int) -> Tensor:
    return like.new_zeros(*like.shape[:-1], count)


class _Batch(NamedTuple):
    """Chunks that are processed together.

    Attributes:
        inputs: ``[B, C, n]``.
        lengths: How many samples of each are song.
        starts: Where each one's own samples begin in its input.
        num_samples: How many samples of the output it completes.
        is_first: Whether its first chunk is the first of all.
        is_last: Whether its last chunk is the last of all.
    """

    inputs: Tensor
    lengths: list[int]
    starts: list[int]
    num_samples: int
    is_first: bool
    is_last: bool


def _batches(blocks: Iterable[Tensor], chunking: Chunking, batch_size: int) -> Iterator[_Batch]:
    """Cut a stream into batches; ``k`` chunks complete ``k * step`` samples, the last batch the rest."""
    length, step, context, history = chunking.length, chunking.step, chunking.context, chunking.history
    pending: deque[Tensor] = deque()
    held = 0  # samples from the next chunk's start on
    is_first = True
    span = length + (batch_size - 1) * step + context  # samples that a full batch reads from there on
    lead, read_length = chunking.reading(length)
    # One sample more than that must have been read to know that the batch is not the last.
    for block in blocks:
        if not pending and history:
            pending.append(_zeros(block, history))
        pending.append(block)
        held += block.shape[-1]
        if held <= span:
            continue
        signal = torch.cat(list(pending), dim=-1)
        while held > span:
            stop = history - lead + (batch_size - 1) * step + read_length
            inputs = signal[..., history - lead : stop].unfold(-1, read_length, step).movedim(-2, 0)
            starts = [lead] * batch_size
            yield _Batch(inputs, [length] * batch_size, starts, batch_size * step, is_first, False)
            is_first = False
            signal = signal[..., batch_size * step :]
            held -= batch_size * step
        pending = deque([signal])
    if held > 0:
        yield from _last_batches(torch.cat(list(pending), dim=-1), held, chunking, batch_size, is_first)


def _last_batches(
    signal: Tensor, held: int, chunking: Chunking, batch_size: int, is_first: bool
) -> Iterator[_Batch]:
    """The chunks that begin in the last samples, some of which run past the end."""
    length, step = chunking.length, chunking.step
    count = chunking.count(held)
    lengths = [min(length, held - index * step) for index in range(count)]
    if chunking.last == "short":
        # All chunks of a batch have one length.
        sizes = [batch_size] * (sum(size == length for size in lengths) // batch_size)
        whole = sum(size == length for size in lengths) % batch_size
        sizes += ([whole] if whole else []) + [1] * sum(size < length for size in lengths)
    else:
        sizes = [min(batch_size, count - index) for index in range(0, count, batch_size)]
    first = 0
    for size in sizes:
        chunks = [
            _one(signal, index * step, lengths[index], chunking) for index in range(first, first + size)
        ]
        inputs = torch.stack([chunk for chunk, _ in chunks])
        starts = [start for _, start in chunks]
        own = lengths[first : first + size]
        is_last = first + size == count
        finished = held - first * step if is_last else size * step
        yield _Batch(inputs, own, starts, finished, is_first and first == 0, is_last)
        first += size


def _one(signal: Tensor, position: int, size: int, chunking: Chunking) -> tuple[Tensor, int]:
    """The input of a chunk of ``size`` samples at ``position``, and where the chunk begins in it."""
    start = position + chunking.history
    missing = chunking.length - size
    if missing and chunking.last == "short":
        lead, total = chunking.reading(size)
        return _read(signal, start - lead, total), lead
    lead, total = chunking.reading(chunking.length)
    if missing and chunking.last == "centre":
        start -= missing // 2
        return _read(signal, start - lead, total), lead + missing // 2
    if missing and chunking.last == "reflect" and size > chunking.length // 2:
        read = _read(signal, start - lead, lead + size)
        return F.pad(F.pad(read, (0, missing), mode="reflect"), (0, total - chunking.length - lead)), lead
    return _read(signal, start - lead, total), lead


def _read(signal: Tensor, start: int, size: int) -> Tensor:
    """Samples of a signal, and zeros behind its end."""
    part = signal[..., start : start + size]
    return F.pad(part, (0, size - part.shape[-1]))


def _added_up(
    batches: Iterable[_Batch], process: Callable[[Tensor], Tensor], chunking: Chunking
) -> Iterator[Tensor]:
    """Weight estimates of chunks and add them up to one signal."""
    length, step = chunking.length, chunking.step
    usual = chunking.weights(length)
    tail: Tensor | None = None  # weighted sum of what is not finished yet, [..., length - step]
    weight = torch.zeros(length - step)  # sum of the weights there
    for batch in batches:
        estimates = process(batch.inputs)
        usual, weight = usual.to(estimates), weight.to(estimates)
        finished = []
        for index, (size, start) in enumerate(zip(batch.lengths, batch.starts, strict=True)):
            is_first = batch.is_first and index == 0
            is_last = batch.is_last and index == len(batch.lengths) - 1
            window = usual
            if size < length or is_first or is_last:
                window = chunking.weights(size, is_first=is_first, is_last=is_last).to(estimates)
            estimate = estimates[index][..., start : start + length]
            total = F.pad(estimate, (0, length - estimate.shape[-1])) * window
            sums = window
            if tail is not None:
                total[..., : length - step] += tail
                sums = window.clone()
                sums[: length - step] += weight
            finished.append(total[..., :step] / sums[:step] if chunking.normalized else total[..., :step])
            tail, weight = total[..., step:], sums[step:]
        if batch.is_last and tail is not None:
            finished.append(tail / weight if chunking.normalized else tail)
        yield torch.cat(finished, dim=-1)[..., : batch.num_samples]
