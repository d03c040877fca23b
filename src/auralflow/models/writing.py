"""Writes model folders, so that repeating an interrupted command completes its work. Does not need torch."""

import shutil
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from auralflow.config import ModelConfig, read_settings
from auralflow.errors import AuralflowError, UsageError
from auralflow.models.card import CARD_FILE, MODEL_FILE, WEIGHTS_FILE
from auralflow.storage import atomic_path, write_json

__all__ = ["ModelParts", "check_free", "create_model_folder", "set_aside", "write_model"]

OWN = (MODEL_FILE, WEIGHTS_FILE, "trainer.json", "summary.json", CARD_FILE, "checkpoint", "runs")
"""Files of a model and of its training run."""


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
        >>> from auralflow.models import read_model_config
        >>> from auralflow.nets.unet import SpectrogramNetConfig
        >>> folder = Path(tempfile.mkdtemp())
        >>> create_model_folder(folder, SpectrogramNetConfig(targets=("bass",)))
        >>> read_model_config(folder).targets
        ('bass',)
    """
    folder = Path(folder)
    previous = set_aside(folder, OWN) if check_free(folder, None, force=force) else None
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
