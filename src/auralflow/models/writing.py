"""Writes complete model folders, so that repeating an interrupted command completes its work."""

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
    """The contents of a model folder.

    Attributes:
        config: Content of ``model.json``.
        weights: A safetensors file to copy; None if the weights are stored with other models.
        card: Content of ``card.json``.
    """

    config: ModelConfig
    weights: Path | None
    card: Mapping[str, Any]


def check_free(folder: Path, card: Mapping[str, Any] | None, *, force: bool) -> list[str]:
    """Check that a new model may be written to a folder.

    Args:
        folder: The folder; it need not exist.
        card: Content of the new ``card.json``, if known. If the folder contains the same card but no
            ``model.json``, the same work was interrupted there.
        force: Whether an earlier model may be moved aside.

    Returns:
        Names of the files of an earlier model.

    Raises:
        UsageError: If there are any and ``force`` is off.
    """
    existing = [name for name in OWN if (folder / name).exists()]
    if _is_unfinished(folder, card):
        return []
    if existing and not force:
        raise UsageError(
            f"'{folder}' already contains a model ({', '.join(existing)})",
            advice="Choose another folder with --save, or move the model aside with --force.",
        )
    return existing


def write_model(folder: Path, parts: ModelParts, *, force: bool = False) -> Path | None:
    """Write a model folder: the card, the weights and, last, ``model.json``, which marks it as complete.

    Args:
        folder: The folder, created if missing. Other files in it are left alone.
        parts: Its contents.
        force: Replace a model in the folder, moving its files to ``previous-<time>/``. Default: False.

    Returns:
        The folder that the earlier model was moved to, None if there was none.

    Raises:
        UsageError: If the folder already contains a model and ``force`` is off.
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
