"""Orders of users, and their progress."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["Order", "Stage"]


@dataclass(frozen=True)
class Order:
    """A request to separate a song.

    Attributes:
        song: The upload.
        model: Name of the model.
        targets: Targets to estimate, at least one of the model's.
    """

    song: Path
    model: str
    targets: tuple[str, ...]


@dataclass(frozen=True)
class Stage:
    """The progress of a song.

    Attributes:
        name: The current step.
        share: Fraction of the step that is done, from 0 to 1. Default: 0.
        ahead: Number of songs ahead in the queue, while waiting. Default: 0.
        seconds_left: Estimated remaining seconds of waiting or separating; None while that cannot be
            estimated.
    """

    name: Literal["waiting", "separating", "drawing", "packing"]
    share: float = 0.0
    ahead: int = 0
    seconds_left: float | None = None
