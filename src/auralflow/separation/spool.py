"""Buffers a song's blocks on disk until the entire song has been separated."""

import math
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import Self

import numpy as np

from auralflow.audio import Audio
from auralflow.separation.stream import SeparatedBlock

__all__ = ["Spool"]


class Spool:
    """Writes blocks to an anonymous temporary file, and reads them back in order, bit for bit.

    Args:
        folder: Folder of the file, on the disk that needs room for the stems anyway. The operating system
            deletes the file when the process ends, for whatever reason.

    Example:
        >>> import tempfile
        >>> block = SeparatedBlock(np.zeros((2, 5)), np.ones((4, 2, 5), dtype=np.float32))
        >>> with Spool(Path(tempfile.mkdtemp())) as spool:
        ...     spool.put(block)
        ...     [part.targets.sum() for part in spool]
        [np.float32(40.0)]
    """

    def __init__(self, folder: Path) -> None:
        self._file = TemporaryFile(dir=folder)  # noqa: SIM115 - closed with the spool
        self._shapes: list[tuple[tuple[int, ...], tuple[int, ...], str]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def put(self, block: SeparatedBlock) -> None:
        """Append a block.

        Raises:
            OSError: If the disk is full.
        """
        self._shapes.append((block.original.shape, block.targets.shape, block.original.dtype.str))
        for part in block:
            self._file.write(part.tobytes())

    def __iter__(self) -> Iterator[SeparatedBlock]:
        self._file.seek(0)
        for original, targets, dtype in self._shapes:
            yield SeparatedBlock(self._take(original, dtype), self._take(targets, "<f4"))

    def _take(self, shape: tuple[int, ...], dtype: str) -> Audio:
        data = self._file.read(math.prod(shape) * np.dtype(dtype).itemsize)
        return np.frombuffer(data, dtype=dtype).reshape(shape)
