"""A limit in all for a download: a connection that is too slow is broken, whatever it is at."""

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from requests import Session
from requests.adapters import HTTPAdapter

__all__ = ["Pace"]


class Pace:
    """Breaks the connections of a session when too few bytes come in too long a time.

    The time limits of ``requests`` are for one call of the operating system each: a server that sends a byte
    a second, of the body or of the header, never reaches them.

    Args:
        seconds: Length of the windows in which bytes are counted. The first one begins at once, so that the
            header must have come, and the body have begun, by its end.
        least: Bytes of a window that are enough to go on.

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
        """Count bytes that have come."""
        self._bytes += number

    def session(self) -> Session:
        """Make a session whose connections are watched."""
        session = Session()
        for scheme in ("http://", "https://"):
            session.mount(scheme, _Adapter(self))
        return session

    def watched(self, kind: type[Any]) -> type[Any]:
        """Derive a class of connections that report their sockets."""
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
                # Whoever waits for a byte wakes up. To close a socket that is in use would not wake anybody.
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
