"""Writing a whole model folder, so that what was interrupted is completed by the same command."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from auralflow.config import ModelConfig, read_settings
from auralflow.errors import AuralflowError, UsageError
from auralflow.models.card import CARD_FILE
from auralflow.models.folder import MODEL_FILE, TRAINED_FILES, WEIGHTS_FILE, set_aside
from auralflow.storage import atomic_path, write_json

__all__ = ["ModelParts", "check_free", "write_model"]

OWN = (MODEL_FILE, *TRAINED_FILES)


class ModelParts(NamedTuple):
    """What a model folder is made of.

    Attributes:
        config: Content of ``model.json``.
        weights: A safetensors file, which is copied; None where the weights lie with other models.
        card: Content of ``card.json``.
    """

    config: ModelConfig
    weights: Path | None
    card: Mapping[str, Any]


def check_free(folder: Path, card: Mapping[str, Any] | None, *, force: bool) -> list[str]:
    """Check that a folder may become that of a new model.

    Args:
        folder: The folder; it need not exist.
        card: Content of the new ``card.json``, as far as it is known. A folder that has this very card and no
            ``model.json`` is one where the same work was interrupted.
        force: Whether an earlier model may be moved aside.

    Returns:
        Files of an earlier model.

    Raises:
        UsageError: If there are any and ``force`` is off.
    """
    existing = [name for name in OWN if (folder / name).exists()]
    if _is_unfinished(folder, card):
        return []
    if existing and not force:
        raise UsageError(
            f"'{folder}' already holds a model ({', '.join(existing)})",
            advice="Choose another folder with --save, or move the model aside with --force.",
        )
    return existing


def write_model(folder: Path, parts: ModelParts, *, force: bool = False) -> Path | None:
    """Write a model folder: the card, the weights, and ``model.json`` last, which makes it a model.

    Args:
        folder: The folder, made when missing. Files in it that are not the model's own stay as they are.
        parts: What goes into it.
        force: Replace the model of a folder that holds one. Its files move to ``previous-<time>/``.

    Returns:
        The folder that the earlier model was moved to, None when there was none.

    Raises:
        UsageError: If the folder already holds a model and ``force`` is off.
    """
    previous = set_aside(folder, OWN) if check_free(folder, parts.card, force=force) else None
    write_json(folder / CARD_FILE, parts.card)
    if parts.weights:
        with atomic_path(folder / WEIGHTS_FILE) as part:
            shutil.copyfile(parts.weights, part)
    write_json(folder / MODEL_FILE, parts.config.model_dump(mode="json"))
    return previous


def _is_unfinished(folder: Path, card: Mapping[str, Any] | None) -> bool:
    if card is None or (folder / MODEL_FILE).exists() or not (folder / CARD_FILE).exists():
        return False
    try:
        return read_settings(folder / CARD_FILE) == dict(card)
    except AuralflowError:
        return False
