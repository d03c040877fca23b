"""Building blocks for command-line options."""

from typing import Annotated

from cyclopts import Group, Parameter

__all__ = ["FamilyName", "Flatten", "TrustCode", "switch"]

Flatten = Parameter(name="*")
"""Makes the fields of a settings class options of the command."""


def switch(text: str, *, group: Group | None = None) -> Parameter:
    """A flag that is off by default and has no ``--no-`` form."""
    if group is None:
        # A group of None would hide the option from the help.
        return Parameter(help=text, negative=(), show_default=False)
    return Parameter(help=text, negative=(), show_default=False, group=group)


FAMILIES = Group("Families from other packages", sort_key=90)

FamilyName = Annotated[
    str | None,
    Parameter(
        help="Trust the code of this family of nets from an installed package: an entry point or "
        "module:object.",
        group=FAMILIES,
    ),
]
"""A family of nets that is not part of auralflow."""

TrustCode = Annotated[
    bool, switch("Trust the code of any installed package that the model names.", group=FAMILIES)
]
"""Whether code of other packages may run."""
