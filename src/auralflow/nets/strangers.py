"""Families of nets of other packages, whose code runs only if the user says so.

A model folder can name any family, and it may come from anywhere. So its word alone loads nothing.
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

__all__ = ["ENTRY_POINTS", "entry_points", "load_stranger"]

ENTRY_POINTS = "auralflow.nets"
"""Group of entry points by which a package makes its families known: ``name = "module:object"``."""


def entry_points() -> dict[str, str]:
    """Families that installed packages make known: by name, where they are. Loads nothing of them."""
    return {point.name: point.value for point in metadata.entry_points(group=ENTRY_POINTS)}


def load_stranger(name: str, *, trust_code: bool | str) -> Any:
    """Load a family that is not auralflow's own.

    Args:
        name: ``module:object``, or the name of an entry point of the group ``auralflow.nets``.
        trust_code: The name of the family whose code may run, or whether that of any may.

    Raises:
        UsageError: If its code may not run.
        NotFoundError: If no installed package has it.
    """
    if trust_code is not True and trust_code != name:
        raise UsageError(
            f"the family of nets {name!r} is not auralflow's own",
            found="a model that needs code of another package",
            advice=f"If you trust that package, add --family {name}, or --trust-code for any.",
        )
    place = entry_points().get(name, name)
    module, _, attribute = place.partition(":")
    with _installed_packages_only():
        if importlib.util.find_spec(module.partition(".")[0]) is None:
            raise NotFoundError(
                f"no installed package has the family of nets {name!r}",
                found=f"no package {module.partition('.')[0]!r}",
                expected="one that pip has installed; the current folder does not count",
                advice="Install it into the environment of auralflow.",
            )
        try:
            return getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            raise NotFoundError(f"cannot load the family of nets {name!r}", found=str(error)) from None


@contextmanager
def _installed_packages_only() -> Iterator[None]:
    """Leave the current folder out of the search: what lies beside a downloaded model is not installed."""
    path, here = sys.path[:], Path.cwd()
    sys.path[:] = [folder for folder in path if folder and Path(folder).resolve() != here]
    try:
        yield
    finally:
        sys.path[:] = path
