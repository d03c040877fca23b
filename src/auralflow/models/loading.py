"""Models for use, of a folder or of a pretrained name."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from auralflow.config import ModelConfig
from auralflow.config.base import suggestion
from auralflow.errors import NotFoundError, UsageError
from auralflow.models.budget import limited_to_weights
from auralflow.models.card import CARD_FILE, ModelCard
from auralflow.models.folder import (
    MODEL_FILE,
    TRAINED_FILES,
    WEIGHTS_FILE,
    load_weights,
    read_model_config,
    read_weights,
    save_weights,
    set_aside,
)
from auralflow.models.registry import Registry, installed_registry
from auralflow.models.weights import Access, fetch_weights
from auralflow.nets.door import SeparationModel
from auralflow.nets.families import all_nets, create_model
from auralflow.storage import atomic_path, write_json

__all__ = ["ModelFiles", "find_model", "is_pretrained", "load", "save_pretrained"]

OnProgress = Callable[[int, int], None]


class ModelFiles(NamedTuple):
    """What a model is loaded from.

    Attributes:
        config: Its settings.
        weights: File of its weights; that of a model folder may not be there yet.
    """

    config: ModelConfig
    weights: Path


def is_pretrained(model: str | Path, registry: Registry | None = None) -> bool:
    """Whether a model is meant by its pretrained name: a path that exists counts more than a name.

    Args:
        model: A model folder or a name.
        registry: The pretrained models. Default: those that are installed.
    """
    names = (registry or installed_registry()).names
    return str(model) in (*names, *(net.name for _, net in all_nets())) and not Path(model).exists()


def find_model(
    model: str | Path,
    *,
    registry: Registry | None = None,
    access: Access | None = None,
    on_progress: OnProgress = lambda *_: None,
) -> ModelFiles:
    """Find the settings and weights of a model, downloading them if they are nowhere else.

    Args:
        model: A model folder or a pretrained name; a path that exists counts more than a name.
        registry: The pretrained models. Default: those that are installed.
        access: Where weights may come from. Default: what the environment says.
        on_progress: Is told the bytes that were downloaded, and how many there are.

    Raises:
        NotFoundError: If there is no such model.
        ModelError: If its files are broken, or its weights cannot be had.
    """
    registry = registry or installed_registry()
    if not is_pretrained(model, registry):
        folder = Path(model)
        if not folder.exists():
            raise NotFoundError(
                f"no model '{model}'{suggestion(str(model), registry.names)}",
                expected="a model folder, or a name that auralflow models lists",
                advice="Make one with: auralflow config",
            )
        return ModelFiles(read_model_config(folder), folder / WEIGHTS_FILE)
    card = registry.card(str(model))
    access = access or Access.from_environment()
    return ModelFiles(card.settings, fetch_weights(card, registry, access, on_progress=on_progress))


def load(
    model: str | Path,
    target: str | None = None,
    *,
    registry: Registry | None = None,
    access: Access | None = None,
    on_progress: OnProgress = lambda *_: None,
) -> SeparationModel:
    """Load a trained model, ready to separate.

    Args:
        model: A model folder or a pretrained name; a path that exists counts more than a name.
        target: Keep only this target. Default: all that the model has.
        registry: The pretrained models. Default: those that are installed.
        access: Where pretrained weights may come from. Default: what the environment says.
        on_progress: Is told the bytes that were downloaded, and how many there are.

    Returns:
        The model in evaluation mode on the CPU, in float32 whatever its file holds.

    Raises:
        NotFoundError: If there is no such model, target or trained weights.
        ModelError: If its files are broken or do not fit together, or its weights cannot be had.
        UsageError: If its targets depend on one another, and not all of them are wanted.

    Example:
        >>> import tempfile
        >>> from auralflow.models import create_model_folder
        >>> from auralflow.nets.unet import SpectrogramNetConfig
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = create_model_folder(folder, SpectrogramNetConfig(num_hidden_channels=2))
        >>> save_weights(create_model(read_model_config(folder)), folder / WEIGHTS_FILE)
        >>> load(folder).targets
        ('vocals',)
    """
    files = find_model(model, registry=registry, access=access, on_progress=on_progress)
    # Settings may describe a net that is larger than the machine; its weights say how large it is.
    with limited_to_weights(files.weights):
        loaded = create_model(files.config)
    load_weights(loaded, files.weights)
    if target is not None:
        loaded = loaded.restricted((target,))
    return loaded.eval()


def save_pretrained(
    name: str,
    folder: Path,
    *,
    targets: tuple[str, ...] = (),
    force: bool = False,
    registry: Registry | None = None,
    access: Access | None = None,
    on_progress: OnProgress = lambda *_: None,
) -> Path | None:
    """Make a model folder of a pretrained model.

    Args:
        name: Its name.
        folder: The folder, made when missing. Files in it that are not the model's own stay as they are.
        targets: Targets to keep; their estimates stay what they are. Default: all.
        force: Replace the model of a folder that holds one. Its files move to ``previous-<time>/``.
        registry: The pretrained models. Default: those that are installed.
        access: Where weights may come from. Default: what the environment says.
        on_progress: Is told the bytes that were downloaded, and how many there are.

    Returns:
        The folder that the earlier model was moved to, None when there was none.

    Raises:
        UsageError: If the folder already holds a model and ``force`` is off, or if the model's targets depend
            on one another and not all of them are wanted.
        NotFoundError: If there is no such name or target.
        ModelError: If the weights cannot be had.
    """
    registry = registry or installed_registry()
    card = registry.card(name)
    own = (MODEL_FILE, *TRAINED_FILES)
    existing = [file for file in own if (folder / file).exists()]
    if existing and not force:
        raise UsageError(
            f"'{folder}' already holds a model ({', '.join(existing)})",
            advice="Choose another folder with --save, or move the model aside with --force.",
        )
    weights = fetch_weights(card, registry, access or Access.from_environment(), on_progress=on_progress)
    kept = None
    if targets and targets != card.targets:
        kept = _restricted(card, weights, targets)
    # From here on nothing can fail but the disk.
    previous = set_aside(folder, own) if existing else None
    path = folder / WEIGHTS_FILE
    if kept is None:
        with atomic_path(path) as part:
            part.write_bytes(weights.read_bytes())
    else:
        save_weights(kept, path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        card = card.restricted(targets, size=path.stat().st_size, sha256=digest)
    write_json(folder / CARD_FILE, card.model_dump(mode="json"))
    write_json(folder / MODEL_FILE, card.settings.model_dump(mode="json"))
    return previous


def _restricted(card: ModelCard, path: Path, targets: tuple[str, ...]) -> dict[str, Tensor]:
    """Weights of a model that was cut down to some targets, in the precision that they are stored in."""
    whole = create_model(card.settings)
    load_weights(whole, path)
    stored = read_weights(path)
    kept = whole.restricted(targets).state_dict()
    return {
        name: tensor.to(stored[name].dtype) if name in stored else tensor for name, tensor in kept.items()
    }
