"""Two stems: one target, and all the rest of the song."""

from dataclasses import dataclass

from auralflow.errors import NotFoundError

__all__ = ["Pair", "pair_of"]

_RESTS = {
    "vocals": "instrumental",
    "lead_vocals": "instrumental",
    "instrumental": "vocals",
    "accompaniment": "vocals",
}
"""What the rest is called where people have a name for it."""


@dataclass(frozen=True)
class Pair:
    """A target that the model estimates, and what is left of the song without it.

    Attributes:
        names: The two stems, in the order in which they are written: the one that was asked for comes first.
        estimated: The target that the model computes; the other stem is the original minus this one.
    """

    names: tuple[str, str]
    estimated: str

    @property
    def estimated_first(self) -> bool:
        """Whether the stem that was asked for is the one that the model computes."""
        return self.names[0] == self.estimated


def pair_of(wanted: str, known: tuple[str, ...]) -> Pair:
    """Choose what to compute for two stems.

    Args:
        wanted: The stem that was asked for, such as ``vocals``.
        known: Targets of the model.

    Returns:
        ``vocals`` with ``instrumental``; any other ``X`` with ``no_X``. A model that estimates only the
        instrumental (or accompaniment) gives the vocals as what is left, and one for karaoke gives
        ``lead_vocals`` in place of ``vocals``.

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
