"""Reference packages, which nets are compared with. Where one is not installed, its tests are skipped."""

import importlib
import importlib.util
import sys
import types
from pathlib import Path

import pytest


def package_folder(name: str) -> Path:
    """Folder of an installed package, found without importing it."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"the reference package {name} is not installed: pip install --no-deps, see Makefile")
    return Path(spec.submodule_search_locations[0])


def load_file(path: Path) -> types.ModuleType:
    """A module of a package whose own import needs what is not installed."""
    spec = importlib.util.spec_from_file_location(f"parity_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def import_openunmix() -> types.ModuleType:
    """Open-Unmix's models. They import torchaudio, which separation never calls, and which may be missing."""
    package_folder("openunmix")
    missing = importlib.util.find_spec("torchaudio") is None
    if missing:
        sys.modules["torchaudio"] = types.ModuleType("torchaudio")
    try:
        return importlib.import_module("openunmix.model")
    finally:
        if missing:
            del sys.modules["torchaudio"]
