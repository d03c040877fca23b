"""Results of checks."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

__all__ = ["Check", "Diagnosis", "State"]

State = Literal["ok", "note", "problem"]
"""A note is for information; a problem means that a feature of auralflow does not work."""


@dataclass(frozen=True)
class Check:
    """The result of one check.

    Attributes:
        group: The group of the check.
        name: The name of the check.
        state: The result.
        found: What was found.
        advice: What to do about it, as a sentence; empty if nothing needs to be done.

    Example:
        >>> Check("disk", "temporary folder", "ok", "/tmp, 12.0 GB free").advice
        ''
    """

    group: str
    name: str
    state: State
    found: str
    advice: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """All checks.

    Attributes:
        checks: The checks, in order of display.

    Example:
        >>> Diagnosis([Check("codecs", "mp3", "problem", "cannot be written")]).is_healthy
        False
    """

    checks: Sequence[Check]

    @property
    def is_healthy(self) -> bool:
        """Whether there is no problem."""
        return all(check.state != "problem" for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """The diagnosis as JSON values."""
        return {"healthy": self.is_healthy, "checks": [asdict(check) for check in self.checks]}
