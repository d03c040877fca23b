"""Imports the names of a package when they are first used, so that the package itself is imported quickly."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

__all__ = ["load_later"]


def load_later(
    package: str, places: Mapping[str, str], names: Sequence[str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make the functions ``__getattr__`` and ``__dir__`` of a package.

    Hide them from type checkers with ``if not TYPE_CHECKING``: a module with a ``__getattr__`` has every
    attribute for them, misspelt ones included.

    Args:
        package: Name of the package.
        places: Names to import on demand, and the module that each is in.
        names: All public names of the package.

    Example:
        >>> find, _ = load_later("toy", {"sqrt": "math"}, ["sqrt"])
        >>> find("sqrt")(4.0)
        2.0
    """

    def find(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(places[name]), name)

    return find, lambda: list(names)
