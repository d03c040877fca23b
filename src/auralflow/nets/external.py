"""Families of nets from other packages, whose code only runs with the user's consent.

A model folder can name any family and may come from anywhere, so the name alone loads nothing.
"""

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

from auralflow.errors import NotFoundError, UsageError

__all__ = ["ENTRY_POINTS", "entry_points", "load_external"]

ENTRY_POINTS = "auralflow.nets"
"""Entry point group in which a package registers its families: ``name = "module:object"``."""


def entry_points() -> dict[str, str]:
    """Locations of the families registered by installed packages, by name. Does not import them."""
    return {point.name: point.value for point in metadata.entry_points(group=ENTRY_POINTS)}


def load_external(name: str, *, trust_code: bool | str) -> Any:
    """Load a family that is not built in.

    Args:
        name: ``module:object``, or the name of an entry point of the group ``auralflow.nets``.
        trust_code: Name of the family whose code may run, or whether any may.

    Raises:
        UsageError: If its code is not trusted.
        NotFoundError: If no installed package provides it.
    """
    if trust_code is not True and trust_code != name:
        raise UsageError(
            f"the family of nets {name!r} is not built in",
            found="a model that needs code from another package",
            advice=f"If you trust that package, add --family {name}, or --trust-code for any.",
        )
    place = entry_points().get(name, name)
    module, _, attribute = place.partition(":")
    with _installed_packages_only():
        if importlib.util.find_spec(module.partition(".")[0]) is None:
            raise NotFoundError(
                f"no installed package has the family of nets {name!r}",
                found=f"no package {module.partition('.')[0]!r}",
                expected="a package installed with pip; the current folder does not count",
                advice="Install it into auralflow's environment.",
            )
        try:
            return getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise NotFoundError(f"cannot load the family of nets {name!r}", found=str(error)) from None


@contextmanager
def _installed_packages_only() -> Iterator[None]:
    """Exclude the current folder from the search: modules next to a downloaded model are not installed."""
    path, here = sys.path[:], Path.cwd()
    sys.path[:] = [folder for folder in path if folder and Path(folder).resolve() != here]
    try:
        yield
    finally:
        sys.path[:] = path
