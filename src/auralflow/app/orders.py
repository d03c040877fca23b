"""What a user wants, and how far it has come."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["Order", "Stage"]


@dataclass(frozen=True)
class Order:
    """What a user wants.

    Attributes:
        song: The upload.
        model: Name of the model.
        targets: What to separate, at least one of the model's targets.
    """

    song: Path
    model: str
    targets: tuple[str, ...]


@dataclass(frozen=True)
class Stage:
    """How far a song has come.

    Attributes:
        name: What is being done.
        share: How much of it is done, 0 to 1.
        ahead: Songs that come first, while waiting.
        seconds_left: Seconds that waiting or separating will probably still take; None while that cannot be
            estimated.
    """

    name: Literal["waiting", "separating", "drawing", "packing"]
    share: float = 0.0
    ahead: int = 0
    seconds_left: float | None = None
