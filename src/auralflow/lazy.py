"""Names of a package that are loaded when they are first used, so that the package itself loads at once."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

__all__ = ["load_later"]


def load_later(
    package: str, places: Mapping[str, str], names: Sequence[str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Make the functions ``__getattr__`` and ``__dir__`` of a package.

    Args:
        package: Its name.
        places: By name, the module that the name is in.
        names: All names that the package has.

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
