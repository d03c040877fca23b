"""Models for use, of a folder or of a pretrained name."""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from auralflow.config import LinkedWeights, ModelConfig, parse_settings, read_settings
from auralflow.config.base import suggestion
from auralflow.errors import ModelError, NotFoundError
from auralflow.models.budget import limited_to_weights
from auralflow.models.card import CARD_FILE, MODEL_FILE, ModelCard
from auralflow.models.folder import (
    WEIGHTS_FILE,
    load_weights,
    read_model_config,
    read_weights,
    save_weights,
)
from auralflow.models.origin import OriginCard
from auralflow.models.public_models import fetch_public
from auralflow.models.registry import Registry, installed_registry
from auralflow.models.weights import Access, fetch_weights
from auralflow.models.writing import ModelParts, check_free, write_model
from auralflow.nets.door import SeparationModel
from auralflow.nets.families import all_nets, create_model
from auralflow.storage import file_hash

__all__ = [
    "DEFAULT_MODEL",
    "ModelFiles",
    "find_model",
    "is_model",
    "is_pretrained",
    "load",
    "save_pretrained",
]

DEFAULT_MODEL = "SpectrogramNetSimple"
"""What separates where no model is named: its weights are part of the package."""

OnProgress = Callable[[int, int], None]


class ModelFiles(NamedTuple):
    """What a model is loaded from.

    Attributes:
        config: Its settings.
        weights: File of its weights; that of a model folder may not be there yet.
        linked: Files of the weights of its parts that lie with other models, by the part's name.
    """

    config: ModelConfig
    weights: Path
    linked: Mapping[str, Path] = MappingProxyType({})


def is_pretrained(model: str | Path, registry: Registry | None = None) -> bool:
    """Whether a model is meant by its pretrained name: a path that exists counts more than a name.

    Args:
        model: A model folder or a name.
        registry: The pretrained models. Default: those that are installed.
    """
    names = (registry or installed_registry()).all_names
    return str(model) in (*names, *(net.name for _, net in all_nets())) and not Path(model).exists()


def is_model(word: str | Path, registry: Registry | None = None) -> bool:
    """Whether a word means a model, and not a song: a folder with a ``model.json``, or a name.

    Args:
        word: What was typed. A path that exists counts more than a name.
        registry: The pretrained models. Default: those that are installed.

    Example:
        >>> is_model("SpectrogramNetSimple"), is_model("song.mp3")
        (True, False)
    """
    return (Path(word) / MODEL_FILE).is_file() or is_pretrained(word, registry)


def find_model(
    model: str | Path,
    *,
    registry: Registry | None = None,
    access: Access | None = None,
    on_progress: OnProgress = lambda *_: None,
    trust_code: bool | str = False,
) -> ModelFiles:
    """Find the settings and weights of a model, downloading them if they are nowhere else.

    Args:
        model: A model folder or a pretrained name; a path that exists counts more than a name.
        registry: The pretrained models. Default: those that are installed.
        access: Where weights may come from. Default: what the environment says.
        on_progress: Called with the bytes that have come, and how many there are.
        trust_code: See `read_model_config`.

    Raises:
        UsageError: If it needs the code of another package, which may not run.
        NotFoundError: If there is no such model.
        ModelError: If its files are broken, or its weights cannot be had.
    """
    found = _find(model, registry, access, on_progress, trust_code)
    linked = {
        part: _follow(model, link, registry, access, on_progress)
        for part, link in found.config.linked_weights().items()
    }
    return found._replace(linked=linked)


def _find(
    model: str | Path,
    registry: Registry | None,
    access: Access | None,
    on_progress: OnProgress,
    trust_code: bool | str = False,
) -> ModelFiles:
    """Settings and weights of a model, without those that it refers to."""
    registry = registry or installed_registry()
    if not is_pretrained(model, registry):
        folder = Path(model)
        if not folder.exists():
            raise NotFoundError(
                f"no model '{model}'{suggestion(str(model), registry.all_names)}",
                expected="a model folder, or a name that auralflow models lists",
                advice="Make one with: auralflow config",
            )
        return ModelFiles(read_model_config(folder, trust_code=trust_code), folder / WEIGHTS_FILE)
    access = access or Access.from_environment()
    public = registry.public_card(str(model))
    if public:
        folder = fetch_public(public, access, on_progress=on_progress)
        return ModelFiles(read_model_config(folder), folder / WEIGHTS_FILE)
    card = registry.card(str(model))
    return ModelFiles(card.settings, fetch_weights(card, registry, access, on_progress=on_progress))


def _follow(
    model: str | Path,
    link: LinkedWeights,
    registry: Registry | None,
    access: Access | None,
    on_progress: OnProgress,
) -> Path:
    """The file of weights that a model refers to, if it still is what it was."""
    advice = "Put back what was there, or make the ensemble again: auralflow ensemble"
    try:
        found = _find(link.model, registry, access, on_progress)
        changed = file_hash(found.weights) != link.sha256
    except (NotFoundError, FileNotFoundError):
        raise ModelError(
            f"a member of the ensemble '{model}' is gone",
            found=f"no weights of '{link.model}'",
            expected="those it was made of",
            advice=advice,
        ) from None
    if changed:
        raise ModelError(
            f"a member of the ensemble '{model}' has changed",
            found=f"other weights in '{found.weights}'",
            expected=f"those with the SHA-256 {link.sha256[:16]}...",
            advice=advice,
        )
    return found.weights


def load(
    model: str | Path,
    target: str | None = None,
    *,
    registry: Registry | None = None,
    access: Access | None = None,
    on_progress: OnProgress = lambda *_: None,
    trust_code: bool | str = False,
) -> SeparationModel:
    """Load a trained model, ready to separate.

    Args:
        model: A model folder or a pretrained name; a path that exists counts more than a name.
        target: Keep only this target. Default: all that the model has.
        registry: The pretrained models. Default: those that are installed.
        access: Where pretrained weights may come from. Default: what the environment says.
        on_progress: Called with the bytes that have come, and how many there are.
        trust_code: The name of the family of nets whose code may run although it is not auralflow's own, or
            whether that of any may.

    Returns:
        The model in evaluation mode on the CPU, in float32 whatever its file holds.

    Raises:
        NotFoundError: If there is no such model, target or trained weights.
        ModelError: If its files are broken or do not fit together, or its weights cannot be had.
        UsageError: If its targets depend on one another, and not all of them are wanted; or if it needs the
            code of another package, which may not run.

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
    files = find_model(
        model, registry=registry, access=access, on_progress=on_progress, trust_code=trust_code
    )
    # Settings may describe a net that is larger than the machine; its weights say how large it is.
    links = files.config.linked_weights()
    with limited_to_weights(*(files.linked.values() or [files.weights])):
        loaded = create_model(files.config)
    for name, path in files.linked.items():
        part = loaded.get_submodule(name)
        assert isinstance(part, SeparationModel)
        load_weights(part, path, part=links[name].part)
    if not links:
        load_weights(loaded, files.weights)
    if target is not None:
        loaded = loaded.restricted((target,))
    return loaded.eval()


def save_pretrained(
    name: str,
    folder: str | Path,
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
        on_progress: Called with the bytes that have come, and how many there are.

    Returns:
        The folder that the earlier model was moved to, None when there was none.

    Raises:
        UsageError: If the folder already holds a model and ``force`` is off, or if the model's targets depend
            on one another and not all of them are wanted.
        NotFoundError: If there is no such name or target.
        ModelError: If the weights cannot be had.
    """
    folder = Path(folder)
    registry, access = registry or installed_registry(), access or Access.from_environment()
    public = registry.public_card(name)
    card: ModelCard | OriginCard
    if public:
        if not (folder / CARD_FILE).exists():
            # Before anything is downloaded; with a card, only the whole of the new model says whether it may.
            check_free(folder, None, force=force)
        source = fetch_public(public, access, on_progress=on_progress)
        config, weights = read_model_config(source), source / WEIGHTS_FILE
        card = parse_settings(OriginCard, read_settings(source / CARD_FILE))
    else:
        card = registry.card(name)
        if not (folder / CARD_FILE).exists():
            check_free(folder, None, force=force)
        weights = fetch_weights(card, registry, access, on_progress=on_progress)
        config = card.settings
    if not targets or targets == config.targets:
        return write_model(folder, ModelParts(config, weights, card.model_dump(mode="json")), force=force)
    with tempfile.TemporaryDirectory(prefix="auralflow-") as scratch:
        kept = Path(scratch) / WEIGHTS_FILE
        config = _restrict(config, weights, targets, kept)
        card = card.restricted(targets, size=kept.stat().st_size, sha256=file_hash(kept))
        return write_model(folder, ModelParts(config, kept, card.model_dump(mode="json")), force=force)


def _restrict(config: ModelConfig, weights: Path, targets: tuple[str, ...], path: Path) -> ModelConfig:
    """Write the weights of a model that is cut down to some targets, in the precision of the whole ones."""
    whole = create_model(config)
    load_weights(whole, weights)
    stored = read_weights(weights)
    kept = whole.restricted(targets)
    save_weights(
        {
            name: tensor.to(stored[name].dtype) if name in stored else tensor
            for name, tensor in kept.state_dict().items()
        },
        path,
    )
    return kept.config
