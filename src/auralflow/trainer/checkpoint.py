"""The state of a training on disk: enough to go on as if nothing had happened."""

import pickle
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from auralflow.errors import ModelError, TrainingError
from auralflow.storage import atomic_path
from auralflow.trainer.callbacks import EpochRecord, TrainingState

__all__ = ["CHECKPOINT_FILE", "pack_state", "read_checkpoint", "unpack_state", "write_checkpoint"]

CHECKPOINT_FILE = Path("checkpoint") / "last"
FORMAT_VERSION = 1

# What torch's restricted unpickler raises on rubbish depends on the rubbish.
UNREADABLE = (
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
)


def write_checkpoint(path: Path, content: dict[str, Any], *, purpose: dict[str, Any]) -> None:
    """Write a training state atomically.

    Args:
        path: The file.
        content: Tensors, numbers, strings, and lists and dictionaries of them.
        purpose: What the state belongs to (model settings, dataset); compared when it is read.
    """
    with atomic_path(path) as part:
        torch.save({"format_version": FORMAT_VERSION, "purpose": purpose, "content": content}, part)


def read_checkpoint(path: Path, *, purpose: dict[str, Any]) -> dict[str, Any]:
    """Read a training state without running any code in it.

    Args:
        path: The file.
        purpose: What the state shall belong to.

    Returns:
        What was given to `write_checkpoint`.

    Raises:
        ModelError: If the file is damaged or of another format.
        TrainingError: If it belongs to another model or dataset.
    """
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        version = saved["format_version"]
    except UNREADABLE as error:
        raise ModelError(
            f"cannot read the checkpoint '{path}'",
            found=str(error)[:200],
            expected="a training state",
            advice="Remove it and train without --resume, or put back a whole copy.",
        ) from None
    if version != FORMAT_VERSION:
        raise ModelError(
            f"cannot use the checkpoint '{path}'",
            found=f"format version {version}",
            expected=str(FORMAT_VERSION),
        )
    for name, value in purpose.items():
        if saved["purpose"].get(name) != value:
            raise TrainingError(
                f"the checkpoint '{path}' belongs to another {name}",
                found=str(saved["purpose"].get(name)),
                expected=str(value),
                advice="Resume with what it was trained with, or start anew with --force.",
            )
    return dict(saved["content"])


def pack_state(state: TrainingState) -> dict[str, Any]:
    """The training state as plain numbers, lists and dictionaries."""
    return asdict(state)


def unpack_state(values: dict[str, Any]) -> TrainingState:
    """The opposite of `pack_state`.

    Example:
        >>> unpack_state(pack_state(TrainingState(epoch=3))).epoch
        3
    """
    history = [EpochRecord(**record) for record in values["history"]]
    return TrainingState(**{**values, "history": history})
