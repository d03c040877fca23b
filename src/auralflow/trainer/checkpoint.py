"""The state of a training on disk: whole, checked, and read without running any code in it."""

import pickle
from pathlib import Path
from typing import Any

import torch

from auralflow.errors import ModelError, TrainingError
from auralflow.storage import atomic_path

__all__ = ["CHECKPOINT_FILE", "read_checkpoint", "write_checkpoint"]

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
