"""Prefetching iterators, and streams that are read in lockstep."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

from auralflow.audio import Audio

__all__ = ["abreast", "average", "prefetch", "take"]

Item = TypeVar("Item")
_END: Any = object()


def prefetch(items: Iterable[Item], depth: int = 2) -> Iterator[Item]:
    """Yield the items of an iterable, computed ahead in a thread.

    Args:
        items: The iterable. An exception raised in it is raised here, in its place.
        depth: Number of items to compute ahead.

    Yields:
        The items, in order.

    Example:
        >>> list(prefetch(range(3)))
        [0, 1, 2]
    """
    iterator = iter(items)
    waiting: deque[Future[Item]] = deque()
    with ThreadPoolExecutor(1) as executor:
        try:
            waiting.extend(executor.submit(next, iterator, _END) for _ in range(depth))
            while (item := waiting.popleft().result()) is not _END:
                waiting.append(executor.submit(next, iterator, _END))
                yield item
        finally:
            # The caller may have stopped early: do not compute the remaining items.
            for future in waiting:
                future.cancel()
    if isinstance(iterator, _Closable):
        iterator.close()


class _Closable(Iterator[Any]):
    """Any iterator that can be closed, such as a generator."""

    @classmethod
    def __subclasshook__(cls, other: type) -> bool:
        return hasattr(other, "close")

    def close(self) -> None: ...


def take(waiting: deque[Audio], count: int) -> Audio:
    """Take up to ``count`` samples from the front of a queue of blocks ``[..., n]``.

    Args:
        waiting: The queue.
        count: Number of samples.

    Returns:
        ``[..., m]`` with ``m`` up to ``count``; ``[0, 0]`` from an empty queue.

    Example:
        >>> blocks = deque([np.zeros((1, 3)), np.ones((1, 3))])
        >>> take(blocks, 4), len(blocks)
        (array([[0., 0., 0., 1.]]), 1)
    """
    taken = []
    while waiting and count > 0:
        block = waiting.popleft()
        if block.shape[-1] > count:
            waiting.appendleft(block[..., count:])
        taken.append(block[..., :count])
        count -= taken[-1].shape[-1]
    if len(taken) == 1:
        return taken[0]
    return np.concatenate(taken, axis=-1) if taken else np.zeros((0, 0), dtype=np.float32)


def abreast(streams: Sequence[Iterator[Audio]]) -> Iterator[list[Audio]]:
    """Read streams in lockstep that have the same total length but different block sizes.

    Args:
        streams: Streams of blocks ``[..., n]``.

    Yields:
        The next block of each stream, all of the same length. Buffers as little as possible.

    Example:
        >>> first, second = [np.zeros((1, 2)), np.ones((1, 3))], [np.ones((1, 5))]
        >>> [parts[1].shape[-1] for parts in abreast([iter(first), iter(second)])]
        [2, 3]
    """
    held: list[deque[Audio]] = [deque() for _ in streams]
    lengths = [0] * len(streams)
    live = [True] * len(streams)
    while True:
        # Read from the stream that is furthest behind, so that none runs ahead.
        index = min((i for i, on in enumerate(live) if on), key=lambda i: lengths[i], default=None)
        if index is not None:
            block = next(streams[index], None)
            if block is None:
                live[index] = False
            else:
                held[index].append(block)
                lengths[index] += block.shape[-1]
        ready = min(lengths)
        if ready:
            lengths = [length - ready for length in lengths]
            yield [take(queue, ready) for queue in held]
        elif index is None:
            return


def average(streams: Sequence[Iterator[Audio]]) -> Iterator[Audio]:
    """Average streams of blocks ``[..., n]`` that have the same total length but different block sizes."""
    for parts in abreast(streams):
        yield np.mean(parts, axis=0, dtype=np.float32)
