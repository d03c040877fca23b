"""The package as others see it: names, doctests, nothing loaded that is not needed."""

import importlib
import pkgutil
import subprocess
import sys

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
        _ = auralflow.nonsense


def test_importing_the_package_loads_nothing_heavy():
    code = "import sys, auralflow; assert not {'torch', 'numpy', 'pydantic'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


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
