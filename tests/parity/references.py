"""The packages that users of other separators run today, for comparison; no dependency of the product."""

import importlib
import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from auralflow.nets.checkpoint import Checkpoint, CheckpointPart

PACKAGES = Path(sys.prefix) / "parity"
"""Where `make` puts them: apart from the environment, whose versions they would not accept."""


def reference(module: str, name: str) -> Any:
    """A class of a reference package; skips the test where the package is missing."""
    if PACKAGES.is_dir() and str(PACKAGES) not in sys.path:
        sys.path.append(str(PACKAGES))
    # Only training and reading of files would need it, and it has no build beside our torch.
    sys.modules.setdefault("torchaudio", types.ModuleType("torchaudio"))
    try:
        return getattr(importlib.import_module(module), name)
    except ImportError as error:
        pytest.skip(f"{module.partition('.')[0]} is not installed ({error}): run make parity")


def checkpoint_of(
    net: nn.Module, settings: Mapping[str, Any] | None = None, *, name: str = "model", **facts: Any
) -> Checkpoint:
    """What a reader of files would make of a published file with the weights of a net."""
    tensors = {key: tensor.detach().clone() for key, tensor in net.state_dict().items()}
    part = CheckpointPart(name=name, format="pytorch", tensors=tensors, **facts)
    return Checkpoint(parts=(part,), settings=settings or {}, settings_file="model.yaml" if settings else "")


def excite(net: nn.Module, seed: int) -> None:
    """Move every parameter away from values such as 0 and 1 at which a fault would not show."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in net.parameters():
        if parameter.ndim == 1 and parameter.requires_grad:
            parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)


def distance(ours: Tensor, theirs: Tensor) -> float:
    """Largest difference, relative to the largest sample."""
    assert ours.shape == theirs.shape
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()
