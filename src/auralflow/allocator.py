"""The C library's allocator: keeps the memory of large tensors, where that is glibc's.

Loads nothing of weight, because a command has to begin with it.
"""

import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["memory_kept", "share_one_heap"]

ARENA_MAX, MMAP_MAX, MMAP_THRESHOLD, TRIM_THRESHOLD = -8, -4, -3, -1
"""What glibc calls the settings of its allocator (``malloc.h``)."""
KEEPING = {MMAP_MAX: 0, TRIM_THRESHOLD: -1}
"""Take every block from the heap, and never return any of the heap."""
USUAL = {MMAP_MAX: 2**16, TRIM_THRESHOLD: 2**26, MMAP_THRESHOLD: 2**25}
"""The settings that glibc arrives at on its own once a process has freed a block of 32 MB."""

_keeping_lock, _keepers = threading.Lock(), 0


def share_one_heap() -> None:
    """Let all threads of this process use one heap, as `memory_kept` needs it.

    This must happen before there are any threads, whose own heaps in glibc cannot keep large blocks. Other C
    libraries lack the setting, and an allocator that the user has configured is left alone.
    """
    if library := _glibc():
        library.mallopt(ARENA_MAX, 1)


@contextmanager
def memory_kept() -> Iterator[bool]:
    """Let the process keep the memory of its tensors for the next ones.

    glibc requests each large block from the system and returns it when it is freed, and the system fills it
    with zeros, page by page. Nets with large features spend a large part of their time on that. Kept memory
    is returned at the end of the ``with`` block, the outermost if there are several. Until then, the process
    holds more than the peak of its tensors, because the heap is fragmented.

    This changes the allocator of the whole process, which suits programs that mainly separate, such as the
    command line. It covers threads that share the heap of the first one, as those of the command line do. If
    the user has configured the allocator in the environment, nothing is changed.

    Yields:
        Whether memory is kept. Other C libraries, such as those of macOS and Windows, are left alone.

    Example:
        >>> with memory_kept() as kept:
        ...     kept in (True, False)
        True
    """
    library = _glibc()
    if library is None:
        yield False
        return
    _count_keeper(library, 1)
    try:
        yield True
    finally:
        _count_keeper(library, -1)


def _count_keeper(library: ctypes.CDLL, change: int) -> None:
    """Keep memory while anyone asks for it."""
    global _keepers  # noqa: PLW0603 - the allocator is one for the process too
    with _keeping_lock:
        _keepers += change
        for name, value in (KEEPING if _keepers else USUAL).items():
            library.mallopt(name, value)
        if not _keepers:
            library.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    """The C library, if it is glibc and the user has not configured it."""
    if os.name != "posix" or any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ):
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") else None
