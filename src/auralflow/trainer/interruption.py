"""Stopping a training without losing anything."""

import signal
from types import FrameType, TracebackType
from typing import Any, Self

__all__ = ["StopRequest"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Turns Ctrl-C (and SIGTERM) into a request to stop after the batch under way, while it is entered.

    A second Ctrl-C interrupts at once. Outside the main thread, which alone gets signals, it does nothing.

    Attributes:
        made: Whether someone asked to stop.

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
