"""The reference packages that nets are compared with. If one is not installed, its tests are skipped."""

import importlib
import importlib.util
import sys
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from auralflow.nets.checkpoint import Checkpoint, CheckpointPart


def package_folder(name: str) -> Path:
    """The folder of an installed package, found without importing it."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"the reference package {name} is not installed: pip install --no-deps, see Makefile")
    return Path(spec.submodule_search_locations[0])


def load_file(path: Path) -> types.ModuleType:
    """A module from a package that cannot be imported as a whole, for lack of dependencies."""
    spec = importlib.util.spec_from_file_location(f"parity_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def stand_ins(*names: str) -> Iterator[None]:
    """Empty modules for imports that the compared parts never use."""
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    for name in missing:
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__dict__["filters"] = None
    try:
        yield
    finally:
        for name in missing:
            del sys.modules[name]


def import_openunmix() -> types.ModuleType:
    """Open-Unmix's models."""
    package_folder("openunmix")
    with stand_ins("torchaudio"):
        return importlib.import_module("openunmix.model")


def reference(module: str, name: str) -> Any:
    """A class from a reference package; skips the test if the package is missing."""
    package_folder(module.partition(".")[0])
    with stand_ins("torchaudio", "librosa"):
        return getattr(importlib.import_module(module), name)


def checkpoint_of(
    net: nn.Module, settings: Mapping[str, Any] | None = None, *, name: str = "model", **facts: Any
) -> Checkpoint:
    """The checkpoint that a file reader would return for a published file with the weights of a net."""
    tensors = {key: tensor.detach().clone() for key, tensor in net.state_dict().items()}
    part = CheckpointPart(name=name, format="pytorch", tensors=tensors, **facts)
    return Checkpoint(parts=(part,), settings=settings or {}, settings_file="model.yaml" if settings else "")


def excite(net: nn.Module, seed: int) -> None:
    """Move all parameters away from values such as 0 and 1, which would hide faults."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in net.parameters():
        if parameter.ndim == 1 and parameter.requires_grad:
            parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)


def distance(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference, relative to the largest sample."""
    assert ours.shape == theirs.shape
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()
