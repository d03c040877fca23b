"""How settings become options."""

from cyclopts import Group, Parameter

__all__ = ["Flatten", "switch"]

Flatten = Parameter(name="*")
"""The fields of a settings class as options of the command itself."""


def switch(text: str, *, group: Group | None = None) -> Parameter:
    """A flag that is off unless it is typed, without a ``--no-`` form."""
    if group is None:
        # A group of None would hide the option from the help.
        return Parameter(help=text, negative=(), show_default=False)
    return Parameter(help=text, negative=(), show_default=False, group=group)
