"""Who comes first is served first, and only so many may wait."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from auralflow.errors import UsageError

__all__ = ["Line", "Place"]


class Place:
    """A place in the line.

    Args:
        line: The line.
    """

    def __init__(self, line: "Line") -> None:
        self._line = line

    @property
    def ahead(self) -> int:
        """How many must leave before this one's turn; 0 when it is this one's turn."""
        return self._line.ahead(self)


class Line:
    """A line in front of a number of seats.

    Args:
        seats: How many are served at once.
        max_waiting: How many may wait besides.

    Example:
        >>> line = Line(seats=1, max_waiting=1)
        >>> with line.join() as first, line.join() as second:
        ...     first.ahead, second.ahead
        (0, 1)
    """

    def __init__(self, seats: int, max_waiting: int) -> None:
        self.seats = seats
        self.max_waiting = max_waiting
        self._places: list[Place] = []
        self._guard = threading.Lock()

    def ahead(self, place: Place) -> int:
        """How many must leave before it is the turn of a place."""
        with self._guard:
            return max(0, self._places.index(place) - self.seats + 1)

    @contextmanager
    def join(self) -> Iterator[Place]:
        """Take a place at the end of the line and leave it with the block.

        Raises:
            UsageError: If too many are waiting.
        """
        place = Place(self)
        with self._guard:
            if len(self._places) >= self.seats + self.max_waiting:
                raise UsageError(
                    "too many songs are waiting",
                    found=str(len(self._places) - self.seats),
                    advice="Try again in a few minutes.",
                )
            self._places.append(place)
        try:
            yield place
        finally:
            with self._guard:
                self._places.remove(place)
