"""A model is a folder: ``model.json`` and ``model.safetensors``, never a pickle."""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from auralflow.config import FORMAT_VERSION, ModelConfig, read_settings
from auralflow.errors import ModelError, NotFoundError, SettingsError, UsageError
from auralflow.models.card import MODEL_FILE, WEIGHTS_FILE
from auralflow.nets.door import SeparationModel
from auralflow.nets.families import create_model, parse_model_config
from auralflow.nets.shapes import shapes_only
from auralflow.storage import atomic_path, write_json

__all__ = [
    "MODEL_FILE",
    "WEIGHTS_FILE",
    "check_weights",
    "count_parameters",
    "count_weights",
    "create_model_folder",
    "load_weights",
    "read_model_config",
    "read_weights",
    "save_weights",
    "set_aside",
]

TRAINED_FILES = (WEIGHTS_FILE, "trainer.json", "summary.json", "card.json", "checkpoint", "runs")


def create_model_folder(folder: str | Path, config: ModelConfig, *, force: bool = False) -> Path | None:
    """Write ``model.json`` to a new model folder.

    Args:
        folder: The folder, made when missing. Files in it that are not the model's own stay as they are.
        config: Settings of the model.
        force: Replace the model of a folder that holds one. Its files move to ``previous-<time>/``.

    Returns:
        The folder that the earlier model was moved to, None when there was none.

    Raises:
        UsageError: If the folder already holds a model and ``force`` is off.
    """
    folder = Path(folder)
    existing = [folder / name for name in (MODEL_FILE, *TRAINED_FILES) if (folder / name).exists()]
    previous = None
    if existing:
        if not force:
            raise UsageError(
                f"'{folder}' already holds a model ({', '.join(path.name for path in existing)})",
                advice="Choose another folder with --save, or move the model aside with --force.",
            )
        previous = set_aside(folder, (MODEL_FILE, *TRAINED_FILES))
    write_json(folder / MODEL_FILE, config.model_dump(mode="json"))
    return previous


def set_aside(folder: Path, names: Iterable[str]) -> Path:
    """Move files of a model folder to a new folder ``previous-<time>`` in it.

    Args:
        folder: The model folder.
        names: Files and folders in it; those that do not exist are passed over.

    Returns:
        The new folder.
    """
    stamp = time.strftime("%Y%m%d-%H%M%S")
    previous, number = folder / f"previous-{stamp}", 1
    while previous.exists():
        number += 1
        previous = folder / f"previous-{stamp}-{number}"
    previous.mkdir()
    for name in names:
        if (folder / name).exists():
            (folder / name).rename(previous / name)
    return previous


def read_model_config(folder: str | Path, *, trust_code: bool | str = False) -> ModelConfig:
    """Read the settings of a model folder.

    Args:
        folder: A folder with a ``model.json``.
        trust_code: The name of the family of nets whose code may run although it is not auralflow's own, or
            whether that of any may.

    Raises:
        UsageError: If it needs the code of another package, which may not run.
        NotFoundError: If there is no such folder or no ``model.json`` in it.
        ModelError: If ``model.json`` is broken or of a newer format.
    """
    folder = Path(folder)
    path = folder / MODEL_FILE
    if not folder.is_dir():
        raise NotFoundError(
            f"no model '{folder}'",
            expected="a model folder",
            advice="Make one with: auralflow config",
        )
    if not path.is_file():
        raise NotFoundError(
            f"'{folder}' is no model folder: it has no {MODEL_FILE}", advice="Make one with: auralflow config"
        )
    try:
        return _parse_model_config(path, trust_code)
    except SettingsError as error:
        # What the user typed was right; what the folder holds is not.
        raise ModelError(str(error)) from None


def _parse_model_config(path: Path, trust_code: bool | str) -> ModelConfig:
    values = read_settings(path)
    version = values.get("format_version")
    if version != FORMAT_VERSION:
        raise SettingsError(
            f"cannot use '{path}'",
            found=f"format version {version!r}",
            expected=str(FORMAT_VERSION),
            advice="It is broken or was written by another version of auralflow.",
        )
    return parse_model_config(values, source=str(path), trust_code=trust_code)


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
        # safetensors makes files that only their owner can read.
        part.chmod(mode)


def load_weights(model: SeparationModel, path: str | Path, *, part: str = "") -> None:
    """Fill a model with the weights of a safetensors file.

    Args:
        model: The model to be filled, whatever its device.
        path: The file.
        part: The part of the file's model that this model is. Default: all of it.

    Raises:
        NotFoundError: If there is no such file.
        ModelError: If it is damaged, is no safetensors file or holds the weights of another net.
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
    """Read a safetensors file: weights by name, in the precision that they are stored in.

    Args:
        path: The file.
        part: The part of the model whose weights are wanted, by their names within it. Default: all.

    Raises:
        NotFoundError: If there is no such file.
        ModelError: If it is damaged or is no safetensors file.
    """
    with _opened(path) as file:
        start = f"{part}." if part else ""
        return {
            name.removeprefix(start): file.get_tensor(name)
            for name in file.keys()  # noqa: SIM118
            if name.startswith(start)
        }


def count_weights(path: Path) -> int:
    """Count the numbers in a safetensors file without reading them; raises as `read_weights` does."""
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
            f"cannot read the weights '{path}'", found=str(error), expected="a whole safetensors file"
        ) from None


def check_weights(own: Mapping[str, Tensor], weights: Mapping[str, Tensor], path: Path) -> None:
    """Check that weights are those of a model, and finite.

    Args:
        own: The model's own weights, which may be on the meta device.
        weights: What was read.
        path: From which file.

    Raises:
        ModelError: If they are not.
    """
    differing = [
        name
        for name in sorted(own.keys() | weights.keys())
        if name not in own or name not in weights or own[name].shape != weights[name].shape
    ]
    if differing:
        raise ModelError(
            f"'{path}' holds the weights of another net than {MODEL_FILE} describes",
            found=f"{len(differing)} tensors that differ, the first {differing[0]}",
            expected="the same names and shapes",
            advice="Put back the files that belong together.",
        )
    broken = [name for name, tensor in weights.items() if not tensor.isfinite().all()]
    if broken:
        raise ModelError(
            f"the weights '{path}' cannot be used",
            found=f"numbers that are NaN or infinite, the first in {broken[0]}",
            expected="finite weights",
            advice="Train the model again, or put back an earlier file.",
        )


def count_parameters(config: ModelConfig) -> int:
    """Number of trainable parameters of a model, without making its weights.

    Example:
        >>> from auralflow.nets.unet import SpectrogramNetConfig
        >>> count_parameters(SpectrogramNetConfig(num_fft=2048, window_size=2048, hop_length=1024))
        7778323
    """
    with shapes_only():
        return sum(
            parameter.numel() for parameter in create_model(config).parameters() if parameter.requires_grad
        )
