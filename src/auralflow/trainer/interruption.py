"""Stops training without losing anything."""

import signal
from types import FrameType, TracebackType
from typing import Any, Self

__all__ = ["StopRequest"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """A context in which Ctrl-C (or SIGTERM) requests to stop after the current batch.

    A second Ctrl-C interrupts immediately. Has no effect outside the main thread, which alone receives
    signals.

    Attributes:
        made: Whether stopping was requested.

    Example:
        >>> import os
        >>> with StopRequest() as request:
        ...     os.kill(os.getpid(), signal.SIGINT)
        ...     request.made
        True
    """

    def __init__(self) -> None:
        self.made = False
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> Self:
        try:
            self._handlers = {number: signal.signal(number, self._receive) for number in SIGNALS}
        except ValueError:
            self._handlers = {}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _receive(self, number: int, _: FrameType | None) -> None:
        if self.made and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.made = True
