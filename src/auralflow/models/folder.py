"""The weights in a model folder: ``model.safetensors``, never a pickle."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from auralflow.config import ModelConfig
from auralflow.errors import ModelError, NotFoundError
from auralflow.models.card import MODEL_FILE, WEIGHTS_FILE
from auralflow.nets.door import SeparationModel
from auralflow.nets.families import create_model
from auralflow.nets.shapes import shapes_only
from auralflow.storage import atomic_path

__all__ = [
    "MODEL_FILE",
    "WEIGHTS_FILE",
    "check_weights",
    "count_parameters",
    "count_weights",
    "load_weights",
    "read_weights",
    "save_weights",
]


def save_weights(model: SeparationModel | dict[str, Tensor], path: str | Path) -> None:
    """Write weights to a safetensors file, atomically.

    Args:
        model: The model, or the weights by name.
        path: The file.
    """
    path = Path(path)
    weights = model.state_dict() if isinstance(model, SeparationModel) else model
    with atomic_path(path) as part:
        part.touch()
        mode = part.stat().st_mode
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}, part)
        # safetensors creates files that only their owner can read.
        part.chmod(mode)


def load_weights(model: SeparationModel, path: str | Path, *, part: str = "") -> None:
    """Load the weights of a safetensors file into a model.

    Args:
        model: The model, on any device.
        path: The file.
        part: Prefix of the weights to load, if the model is part of the file's model. Default: all weights.

    Raises:
        NotFoundError: If the file does not exist.
        ModelError: If it is damaged, is not a safetensors file, or contains the weights of another net.
    """
    path = Path(path)
    weights = read_weights(path, part=part)
    check_weights(model.state_dict(), weights, path)
    model.load_state_dict(
        {
            name: tensor.to(torch.get_default_dtype()) if tensor.is_floating_point() else tensor
            for name, tensor in weights.items()
        }
    )


def read_weights(path: Path, *, part: str = "") -> dict[str, Tensor]:
    """Read a safetensors file.

    Args:
        path: The file.
        part: Prefix of the weights to read, which is removed from their names. Default: all weights.

    Returns:
        Weights by name, in their stored precision.

    Raises:
        NotFoundError: If the file does not exist.
        ModelError: If it is damaged or is not a safetensors file.
    """
    with _opened(path) as file:
        start = f"{part}." if part else ""
        return {
            name.removeprefix(start): file.get_tensor(name)
            for name in file.keys()  # noqa: SIM118
            if name.startswith(start)
        }


def count_weights(path: Path) -> int:
    """Count the numbers in a safetensors file without reading them; raises the errors of `read_weights`."""
    with _opened(path) as file:
        return sum(prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    if not path.is_file():
        raise NotFoundError(
            f"the model in '{path.parent}' has no weights yet: no {path.name}",
            advice=f"Train it with: auralflow train {path.parent} DATASET",
        )
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except (SafetensorError, OSError, RuntimeError, ValueError) as error:
        raise ModelError(
            f"cannot read the weights '{path}'", found=str(error), expected="a complete safetensors file"
        ) from None


def check_weights(own: Mapping[str, Tensor], weights: Mapping[str, Tensor], path: Path) -> None:
    """Check that weights match a model, and are finite.

    Args:
        own: The model's weights, which may be on the meta device.
        weights: The weights that were read.
        path: The file they were read from.

    Raises:
        ModelError: If they do not match or are not finite.
    """
    differing = [
        name
        for name in sorted(own.keys() | weights.keys())
        if name not in own or name not in weights or own[name].shape != weights[name].shape
    ]
    if differing:
        raise ModelError(
            f"'{path}' does not contain the weights of the net that {MODEL_FILE} describes",
            found=f"{len(differing)} tensors that differ, the first {differing[0]}",
            expected="the same names and shapes",
            advice="Restore the matching files.",
        )
    broken = [name for name, tensor in weights.items() if not tensor.isfinite().all()]
    if broken:
        raise ModelError(
            f"the weights '{path}' are unusable",
            found=f"NaN or infinity, first in {broken[0]}",
            expected="finite weights",
            advice="Train the model again, or restore an earlier file.",
        )


def count_parameters(config: ModelConfig) -> int:
    """Count the trainable parameters of a model without allocating its weights.

    Example:
        >>> from auralflow.nets.unet import SpectrogramNetConfig
        >>> count_parameters(SpectrogramNetConfig(num_fft=2048, window_size=2048, hop_length=1024))
        7778323
    """
    model = shapes_only(lambda: create_model(config))
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
