"""Loads models from folders or by pretrained name."""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from auralflow.config import LinkedWeights, ModelConfig, parse_settings, read_settings
from auralflow.errors import ModelError, NotFoundError
from auralflow.models.budget import limited_to_weights
from auralflow.models.card import CARD_FILE, ModelCard
from auralflow.models.folder import WEIGHTS_FILE, load_weights, read_weights, save_weights
from auralflow.models.lookup import check_model, is_pretrained, read_model_config
from auralflow.models.origin import OriginCard
from auralflow.models.public_models import fetch_public
from auralflow.models.registry import Registry, installed_registry
from auralflow.models.weights import Access, fetch_weights
from auralflow.models.writing import ModelParts, check_free, write_model
from auralflow.nets.door import SeparationModel
from auralflow.nets.families import create_model
from auralflow.storage import file_hash

__all__ = ["ModelFiles", "find_model", "load", "save_pretrained"]

OnProgress = Callable[[int, int], None]


class ModelFiles(NamedTuple):
    """The files of a model.

    Attributes:
        config: Its settings.
        weights: Its weights file, which may not exist yet in a model folder.
        linked: Weights files of parts that are stored with other models, by the name of the part.
    """

    config: ModelConfig
    weights: Path
    linked: Mapping[str, Path] = MappingProxyType({})


def find_model(
    model: str | Path,
    *,
    registry: Registry | None = None,
    access: Access | None = None,
    on_progress: OnProgress | None = None,
    trust_code: bool | str = False,
) -> ModelFiles:
    """Find the settings and weights of a model, downloading them if necessary.

    Args:
        model: A model folder or a pretrained name; an existing path takes precedence over a name.
        registry: The pretrained models. Default: the installed ones.
        access: Where to look for weights. Default: from the environment.
        on_progress: Called with the number of bytes downloaded and the total.
        trust_code: See `read_model_config`.

    Returns:
        The files of the model.

    Raises:
        UsageError: If the model needs code from another package that is not trusted.
        NotFoundError: If the model does not exist.
        ModelError: If its files are damaged, or its weights are not available.
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
    on_progress: OnProgress | None,
    trust_code: bool | str = False,
) -> ModelFiles:
    """Settings and weights of a model, without following links."""
    registry = registry or installed_registry()
    if not is_pretrained(model, registry):
        check_model(model, registry)
        folder = Path(model)
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
    on_progress: OnProgress | None,
) -> Path:
    """The weights file that a model links to, if it is unchanged."""
    advice = "Restore the original weights, or create the ensemble again: auralflow ensemble"
    try:
        found = _find(link.model, registry, access, on_progress)
        changed = file_hash(found.weights) != link.sha256
    except (NotFoundError, FileNotFoundError):
        raise ModelError(
            f"a member of the ensemble '{model}' is missing",
            found=f"no weights of '{link.model}'",
            expected="the weights it was created with",
            advice=advice,
        ) from None
    if changed:
        raise ModelError(
            f"a member of the ensemble '{model}' has changed",
            found=f"different weights in '{found.weights}'",
            expected=f"weights with the SHA-256 {link.sha256[:16]}...",
            advice=advice,
        )
    return found.weights


def load(
    model: str | Path,
    target: str | None = None,
    *,
    registry: Registry | None = None,
    access: Access | None = None,
    on_progress: OnProgress | None = None,
    trust_code: bool | str = False,
) -> SeparationModel:
    """Load a trained model, ready to separate.

    Args:
        model: A model folder or a pretrained name; an existing path takes precedence over a name.
        target: Keep only this target. Default: all targets.
        registry: The pretrained models. Default: the installed ones.
        access: Where to look for pretrained weights. Default: from the environment.
        on_progress: Called with the number of bytes downloaded and the total.
        trust_code: Name of a family of nets from another package whose code may run, or True for any family.
            Default: False.

    Returns:
        The model in evaluation mode on the CPU, in float32 whatever the precision of its file.

    Raises:
        NotFoundError: If the model, the target or the trained weights do not exist.
        ModelError: If its files are damaged or do not match, or its weights are not available.
        UsageError: If ``target`` is given and the net estimates all targets together; or if the model needs
            code from another package that is not trusted.

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
    # Settings may describe a net too large for the machine; the weights show its actual size.
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
    on_progress: OnProgress | None = None,
) -> Path | None:
    """Save a pretrained model as a model folder.

    Args:
        name: Its name.
        folder: The folder, created if missing. Other files in it are left alone.
        targets: Targets to keep; their estimates do not change. Default: all.
        force: Replace a model in the folder, moving its files to ``previous-<time>/``. Default: False.
        registry: The pretrained models. Default: the installed ones.
        access: Where to look for weights. Default: from the environment.
        on_progress: Called with the number of bytes downloaded and the total.

    Returns:
        The folder that the earlier model was moved to, None if there was none.

    Raises:
        UsageError: If the folder already contains a model and ``force`` is off, or if ``targets`` is given
            and the net estimates all targets together.
        NotFoundError: If the name or a target does not exist.
        ModelError: If the weights are not available.

    Example:
        >>> folder = Path(tempfile.mkdtemp())
        >>> save_pretrained("SpectrogramNetSimple", folder, targets=("vocals", "bass"))
        >>> load(folder).targets
        ('vocals', 'bass')
    """
    folder = Path(folder)
    registry, access = registry or installed_registry(), access or Access.from_environment()
    public = registry.public_card(name)
    card: ModelCard | OriginCard
    if public:
        if not (folder / CARD_FILE).exists():
            # Check before downloading; if there is a card, that takes the entire new model.
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
    """Write the weights of a model restricted to some targets, in their stored precision."""
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
