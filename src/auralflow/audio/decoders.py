"""Processes that decode with FFmpeg, kept for the next file, replaced when one dies."""

import os
import threading
from contextlib import suppress

from auralflow.audio import decoder
from auralflow.audio.decoder import Decoder, DecoderLostError

__all__ = ["borrow", "close_all", "give_back", "pids"]

_IDLE = 4


class _Pool:
    def __init__(self) -> None:
        self._has_finalizer = False
        self._begin()

    def _begin(self) -> None:
        # It may be taken again by the same thread, when the garbage collector closes a stream in between.
        self.changed = threading.Condition(threading.RLock())
        self.idle: list[Decoder] = []
        self.busy: set[Decoder] = set()
        self.is_watched = False

    def borrow(self, *, fresh: bool) -> Decoder:
        with self.changed:
            self._prepare()
            child = None
            while self.idle and not fresh and child is None:
                child = self.idle.pop()
                if not child.is_ready:
                    child.close()
                    child = None
            child = child or Decoder()
            child.loans += 1
            self.busy.add(child)
        return child

    def give_back(self, child: Decoder) -> None:
        with self.changed:
            if child not in self.busy:
                # Borrowed before a fork, by the parent.
                return
            self.busy.remove(child)
            if child.is_ready and len(self.idle) < _IDLE:
                with suppress(DecoderLostError):
                    child.release()
                    self.idle.append(child)
                    return
        child.close()

    def close(self) -> None:
        with self.changed:
            children = [*self.idle, *self.busy]
            self.idle.clear()
            self.busy.clear()
        for child in children:
            child.close()

    def hold(self) -> None:
        """Before a fork: no child is started meanwhile, of whose pipes the fork would keep copies."""
        self.changed.acquire()

    def let_go(self) -> None:
        """After a fork, in the parent."""
        self.changed.release()

    def forget(self) -> None:
        """After a fork, in the fork: the children are the parent's."""
        self._has_finalizer = False
        for child in (*self.idle, *self.busy):
            child.forget()
        self._begin()

    def _prepare(self) -> None:
        if not self.is_watched:
            self.is_watched = True
            threading.Thread(target=self._watch, name="auralflow-decoders", daemon=True).start()
        if not self._has_finalizer:
            self._has_finalizer = True
            # Unlike atexit, this is also done at the end of a worker process.
            import multiprocessing.util  # noqa: PLC0415 - most programs never get here

            multiprocessing.util.Finalize(None, self.close, exitpriority=0)

    def _watch(self) -> None:
        with self.changed:
            while True:
                self.changed.wait(min(decoder.PATIENCE / 4, 1.0))
                if not self.busy:
                    # A thread that stays for good would be in the way of whoever forks.
                    self.is_watched = False
                    return
                for child in list(self.busy):
                    child.give_up_if_overdue()


_pool = _Pool()


def borrow(*, fresh: bool = False) -> Decoder:
    """Take a child from the pool, or start one. A few wait there at most, but any number may be out.

    Args:
        fresh: Start one, which no earlier file can have harmed.

    Returns:
        A child, to be given back.
    """
    return _pool.borrow(fresh=fresh)


def give_back(child: Decoder) -> None:
    """Put a child back into the pool, or end it if it is in the midst of something, or dead.

    Args:
        child: One that was borrowed.
    """
    _pool.give_back(child)


def pids() -> list[int]:
    """Process numbers of all children."""
    return [child.pid for child in (*_pool.idle, *_pool.busy)]


def close_all() -> None:
    """End all children; the next file gets a new one. This is done by itself when the process ends."""
    _pool.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_pool.hold, after_in_parent=_pool.let_go, after_in_child=_pool.forget)
