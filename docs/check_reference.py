"""Checks that the built reference documents every public name of the package.

``python docs/check_reference.py docs/_build`` prints the missing names and exits with 1.
"""

import inspect
import sys
from pathlib import Path

from sphinx.util.inventory import InventoryFile

import auralflow


def documented_names(folder: Path) -> set[str]:
    """Full names of the Python objects documented on the site in a folder."""
    inventory = InventoryFile.loads((folder / "objects.inv").read_bytes(), uri="").data
    return {name for kind in inventory if kind.startswith("py:") for name in inventory[kind]}


def public_names() -> set[str]:
    """Full names of everything that the public modules export."""
    modules = [part for name in auralflow.__all__ if inspect.ismodule(part := getattr(auralflow, name))]
    return {f"{module.__name__}.{name}" for module in modules for name in module.__all__}


def main() -> int:
    """Print the public names that the given site does not document."""
    missing = public_names() - documented_names(Path(sys.argv[1]))
    sys.stdout.write("".join(f"{name} is not documented\n" for name in sorted(missing)))
    return int(bool(missing))


if __name__ == "__main__":
    sys.exit(main())
