"""Enforces a minimum speed for downloads, by breaking connections that are too slow."""

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from requests import Session
from requests.adapters import HTTPAdapter

__all__ = ["Pace"]


class Pace:
    """Breaks the connections of a session when too few bytes arrive in a window of time.

    The timeouts of ``requests`` apply to single system calls: a server that sends one byte of the header or
    body per second never exceeds them.

    Args:
        seconds: Length of a window in seconds. The first one starts at once, so the header and the beginning
            of the body must arrive within it.
        least: Minimum number of bytes per window.

    Attributes:
        lost: Whether the connections were broken.

    Example:
        >>> with Pace(60.0, 1000) as pace, pace.session() as session:
        ...     pace.lost
        False
    """

    def __init__(self, seconds: float, least: int) -> None:
        self.seconds = seconds
        self.least = least
        self.lost = False
        self._bytes = 0
        self._over = threading.Event()
        self._sockets: list[socket.socket] = []
        self._thread = threading.Thread(target=self._watch, name="pace of a download", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def count(self, number: int) -> None:
        """Count received bytes."""
        self._bytes += number

    def session(self) -> Session:
        """Create a session whose connections are watched."""
        session = Session()
        for scheme in ("http://", "https://"):
            session.mount(scheme, _Adapter(self))
        return session

    def watched(self, kind: type[Any]) -> type[Any]:
        """Derive a connection class that records its sockets."""
        sockets = self._sockets

        class Watched(kind):  # type: ignore[misc]
            def connect(self) -> None:
                super().connect()
                sockets.append(self.sock)

        return Watched

    def _watch(self) -> None:
        before = 0
        while not self._over.wait(self.seconds):
            now = self._bytes
            if now - before < self.least:
                self.lost = True
                # Shutting down wakes a thread that waits for a byte; closing the socket would not.
                while not self._over.wait(0.1):
                    for connection in self._sockets:
                        with suppress(OSError):
                            socket.socket.shutdown(connection, socket.SHUT_RDWR)
                return
            before = now


class _Adapter(HTTPAdapter):
    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        super().__init__()

    def get_connection_with_tls_context(self, *arguments: Any, **options: Any) -> Any:
        pool = super().get_connection_with_tls_context(*arguments, **options)
        pool.ConnectionCls = self._pace.watched(pool.ConnectionCls)
        return pool
