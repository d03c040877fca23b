"""Reads safetensors files: weights, and the class and arguments that Demucs writes into the metadata."""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from auralflow.errors import ModelError
from auralflow.models.reading.plain import decode_fractions, plain
from auralflow.nets.checkpoint import CheckpointPart

__all__ = ["read_safetensors"]

MAX_METADATA = 1 << 20


def read_safetensors(path: Path) -> CheckpointPart:
    """Read a safetensors file.

    Args:
        path: The file. Its metadata may contain ``klass``, and ``args`` and ``kwargs`` as JSON.

    Returns:
        The part.

    Raises:
        ModelError: If the file is damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            args, kwargs = _arguments(metadata)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, TypeError, RecursionError) as error:
        raise ModelError(
            f"cannot read '{path}'",
            found=str(error) or type(error).__name__,
            expected="a complete safetensors file",
        ) from None
    return CheckpointPart(
        name=path.stem,
        format="safetensors",
        tensors=tensors,
        class_name=metadata.get("klass", ""),
        args=args,
        kwargs=kwargs,
    )


def _arguments(metadata: dict[str, str]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if "structure" in metadata:
        raise ValueError("packed weights, as in quantised models")
    args, kwargs = _json(metadata, "args", []), _json(metadata, "kwargs", {})
    if not isinstance(args, list) or not isinstance(kwargs, dict):
        raise TypeError("metadata in an unknown format")
    return tuple(args), kwargs


def _json(metadata: dict[str, str], key: str, default: Any) -> Any:
    text = metadata.get(key, "")
    if len(text) > MAX_METADATA:
        raise ValueError(f"{key} with {len(text)} characters")
    return plain(decode_fractions(json.loads(text))) if text else default
