"""The queue: first come, first served, with a limited number of places."""

import heapq
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from auralflow.errors import UsageError

__all__ = ["Line", "Place"]

_REMEMBERED = 8


class Place:
    """A place in the queue.

    Args:
        line: The queue.

    Attributes:
        seconds_left: Estimated seconds until this place becomes free; None while unknown.
    """

    def __init__(self, line: "Line") -> None:
        self._line = line
        self.seconds_left: float | None = None

    @property
    def ahead(self) -> int:
        """Number of places that must become free before this one's turn; 0 when it is its turn."""
        return self._line.ahead(self)

    @property
    def seconds_ahead(self) -> float | None:
        """Estimated seconds until this one's turn; None while that cannot be estimated."""
        return self._line.seconds_ahead(self)


class Line:
    """A queue with a number of seats.

    Args:
        seats: Number of places that are served at once.
        max_waiting: Maximum number of other places that are waiting.

    Example:
        >>> line = Line(seats=1, max_waiting=2)
        >>> line.record(60)
        >>> with line.join() as first, line.join() as second, line.join() as third:
        ...     first.seconds_left = 20.0
        ...     [(place.ahead, place.seconds_ahead) for place in (first, second, third)]
        [(0, 0.0), (1, 20.0), (2, 80.0)]
    """

    def __init__(self, seats: int, max_waiting: int) -> None:
        self.seats = seats
        self.max_waiting = max_waiting
        self._places: list[Place] = []
        self._durations: deque[float] = deque(maxlen=_REMEMBERED)
        self._guard = threading.Lock()

    def record(self, seconds: float) -> None:
        """Record how long a place was served, to estimate waiting times."""
        with self._guard:
            self._durations.append(seconds)

    def ahead(self, place: Place) -> int:
        """Number of places that must become free before it is the turn of a place."""
        with self._guard:
            return max(0, self._places.index(place) - self.seats + 1)

    def seconds_ahead(self, place: Place) -> float | None:
        """Estimated seconds until it is the turn of a place; None while that cannot be estimated.

        Places that are being served know how long they will still take; those that are waiting are assumed to
        take as long as the average of the last few.
        """
        with self._guard:
            index = self._places.index(place)
            served, waiting = self._places[: self.seats], self._places[self.seats : index]
            usual = sum(self._durations) / len(self._durations) if self._durations else None
        if index < self.seats:
            return 0.0
        seats = [usual if other.seconds_left is None else other.seconds_left for other in served]
        known = [seconds for seconds in seats if seconds is not None]
        if len(known) < len(seats) or (waiting and usual is None):
            return None
        heapq.heapify(known)
        for _ in waiting:
            heapq.heapreplace(known, known[0] + (usual or 0.0))
        return known[0]

    @contextmanager
    def join(self) -> Iterator[Place]:
        """Take a place at the end of the queue for the duration of a ``with`` block.

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
