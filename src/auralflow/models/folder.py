"""Model folders: ``model.json`` and ``model.safetensors``, never a pickle."""

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
        folder: The folder, created if missing. Other files in it are left alone.
        config: Settings of the model.
        force: Replace a model in the folder, moving its files to ``previous-<time>/``. Default: False.

    Returns:
        The folder that the earlier model was moved to, None if there was none.

    Raises:
        UsageError: If the folder already contains a model and ``force`` is off.

    Example:
        >>> import tempfile
        >>> from auralflow.nets.unet import SpectrogramNetConfig
        >>> folder = Path(tempfile.mkdtemp())
        >>> create_model_folder(folder, SpectrogramNetConfig(targets=("bass",)))
        >>> read_model_config(folder).targets
        ('bass',)
    """
    folder = Path(folder)
    existing = [folder / name for name in (MODEL_FILE, *TRAINED_FILES) if (folder / name).exists()]
    previous = None
    if existing:
        if not force:
            raise UsageError(
                f"'{folder}' already contains a model ({', '.join(path.name for path in existing)})",
                advice="Choose another folder with --save, or move the model aside with --force.",
            )
        previous = set_aside(folder, (MODEL_FILE, *TRAINED_FILES))
    write_json(folder / MODEL_FILE, config.model_dump(mode="json"))
    return previous


def set_aside(folder: Path, names: Iterable[str]) -> Path:
    """Move files of a model folder to a new folder ``previous-<time>`` in it.

    Args:
        folder: The model folder.
        names: Files and folders in it; missing ones are skipped.

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
        trust_code: Name of a family of nets from another package whose code may run, or True for any family.
            Default: False.

    Returns:
        The settings.

    Raises:
        UsageError: If the model needs code from another package that is not trusted.
        NotFoundError: If the folder or its ``model.json`` does not exist.
        ModelError: If ``model.json`` is invalid or has a newer format.
    """
    folder = Path(folder)
    path = folder / MODEL_FILE
    if not folder.is_dir():
        raise NotFoundError(
            f"no model '{folder}'",
            expected="a model folder",
            advice="Create one with: auralflow config",
        )
    if not path.is_file():
        raise NotFoundError(
            f"'{folder}' is not a model folder: it has no {MODEL_FILE}",
            advice="Create one with: auralflow config",
        )
    try:
        return _parse_model_config(path, trust_code)
    except SettingsError as error:
        # Not a usage error: the request was fine, but the folder is not.
        raise ModelError(str(error)) from None


def _parse_model_config(path: Path, trust_code: bool | str) -> ModelConfig:
    values = read_settings(path)
    version = values.get("format_version")
    if version != FORMAT_VERSION:
        raise SettingsError(
            f"cannot use '{path}'",
            found=f"format version {version!r}",
            expected=str(FORMAT_VERSION),
            advice="It is invalid or was written by another version of auralflow.",
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
