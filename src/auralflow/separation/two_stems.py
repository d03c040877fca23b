"""Separation into two stems: one target, and everything else."""

from dataclasses import dataclass

from auralflow.errors import NotFoundError

__all__ = ["Pair", "pair_of"]

_RESTS = {
    "vocals": "instrumental",
    "lead_vocals": "instrumental",
    "instrumental": "vocals",
    "accompaniment": "vocals",
}
"""Usual names for everything but a target."""


@dataclass(frozen=True)
class Pair:
    """A target that the model estimates, and the original minus it.

    Attributes:
        names: Names of the two stems, starting with the requested one.
        estimated: The target that the model estimates; the other stem is the original minus this one.
    """

    names: tuple[str, str]
    estimated: str

    @property
    def estimated_first(self) -> bool:
        """Whether the model estimates the requested stem itself."""
        return self.names[0] == self.estimated


def pair_of(wanted: str, known: tuple[str, ...]) -> Pair:
    """Choose what to estimate for two stems.

    Args:
        wanted: The requested stem, such as ``vocals``.
        known: Targets of the model.

    Returns:
        ``vocals`` with ``instrumental``, or any other ``X`` with ``no_X``. With a model that only estimates
        the instrumental (or accompaniment), the vocals are the original minus that; a karaoke model gives
        ``lead_vocals`` instead of ``vocals``.

    Raises:
        NotFoundError: If the model estimates neither of the two.

    Example:
        >>> pair_of("vocals", ("drums", "bass", "other", "vocals"))
        Pair(names=('vocals', 'instrumental'), estimated='vocals')
        >>> pair_of("drums", ("drums", "bass", "other", "vocals")).names
        ('drums', 'no_drums')
        >>> pair_of("vocals", ("instrumental",))
        Pair(names=('vocals', 'instrumental'), estimated='instrumental')
    """
    rest = _RESTS.get(wanted, f"no_{wanted}")
    if wanted in known:
        return Pair((wanted, rest), wanted)
    if wanted == "vocals":
        if "lead_vocals" in known:
            return Pair(("lead_vocals", "instrumental"), "lead_vocals")
        for name in ("instrumental", "accompaniment"):
            if name in known:
                return Pair((wanted, name), name)
    if rest == "vocals" and rest in known:
        return Pair((wanted, rest), rest)
    raise NotFoundError(f"the model has no target {wanted!r}", expected=", ".join(known))
