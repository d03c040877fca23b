"""The package as others see it: names, doctests, nothing loaded that is not needed."""

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import auralflow

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(auralflow.__path__, "auralflow.")
    if not module.name.endswith("__main__")
)


@pytest.mark.parametrize("name", MODULES)
def test_every_module_says_what_it_is_and_what_it_exports(name):
    module = importlib.import_module(name)
    assert module.__doc__
    assert len(set(module.__all__)) == len(module.__all__)
    missing = [word for word in module.__all__ if not hasattr(module, word)]
    assert missing == []


def test_the_face_is_exactly_what_it_says():
    assert set(dir(auralflow)) == set(auralflow.__all__)
    for name in auralflow.__all__:
        assert getattr(auralflow, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = auralflow.nonsense  # type: ignore[attr-defined]


def test_importing_the_package_loads_nothing_heavy():
    code = "import sys, auralflow; assert not {'torch', 'numpy', 'pydantic'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


ROOT = Path(auralflow.__path__[0])
LAZY = [
    ".".join(("auralflow", *path.parent.relative_to(ROOT).parts))
    for path in sorted(ROOT.rglob("__init__.py"))
    if "__getattr__" in path.read_text()
]
"""Packages that import names on demand."""


def test_the_lazy_packages_are_found():
    assert {"auralflow", "auralflow.models"} <= set(LAZY)


@pytest.mark.parametrize("name", LAZY)
def test_a_type_checker_sees_the_public_names_of_a_lazy_package_and_no_others(name):
    module = importlib.import_module(name)
    tree = ast.parse(Path(module.__file__).read_text())
    hidden = [
        node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) != "TYPE_CHECKING"
    ]
    (block,) = hidden
    assert ast.unparse(block.test) == "not TYPE_CHECKING"
    assert "__getattr__" in ast.unparse(block)
    tree.body.remove(block)
    # To a type checker, a module with this function has every attribute.
    assert "__getattr__" not in ast.unparse(ast.Module(tree.body[1:], []))
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "auralflow"
        for alias in node.names
    }
    assert imported - {"load_later"} == set(module.__all__) - {"__version__"}


def test_every_public_callable_is_documented():
    undocumented = []
    for name in MODULES:
        module = importlib.import_module(name)
        for word in module.__all__:
            item = getattr(module, word)
            if (
                callable(item)
                and getattr(item, "__module__", "").startswith("auralflow")
                and not item.__doc__
            ):
                undocumented.append(f"{name}.{word}")
    assert undocumented == []
