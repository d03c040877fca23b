"""Renames the tensors of published checkpoints to match our nets."""

import re
from collections.abc import Iterable, Mapping

from torch import Tensor

__all__ = ["Rules", "count_indices", "renamed"]

Rules = tuple[tuple[str, str], ...]
"""Pairs of a regular expression and its replacement, applied in order."""


def renamed(tensors: Mapping[str, Tensor], rules: Rules, *, prefix: str = "net.") -> dict[str, Tensor]:
    r"""Rename tensors.

    Args:
        tensors: The tensors by their published names.
        rules: The replacements.
        prefix: Prefix of the new names. Default: ``"net."``.

    Example:
        >>> import torch
        >>> list(renamed({"layers.0.weight": torch.zeros(1)}, ((r"^layers\.", "blocks."),)))
        ['net.blocks.0.weight']
    """
    found = {}
    for name, tensor in tensors.items():
        ours = name
        for pattern, replacement in rules:
            ours = re.sub(pattern, replacement, ours)
        found[prefix + ours] = tensor
    return found


def count_indices(names: Iterable[str], pattern: str) -> int:
    r"""One more than the largest number matched by the group of a pattern, 0 without a match.

    Args:
        names: Names of tensors.
        pattern: A regular expression with one group, matched at the start of a name.

    Example:
        >>> count_indices(["encoder.0.weight", "encoder.3.weight"], r"encoder\.(\d+)")
        4
    """
    found = [int(match[1]) for match in (re.match(pattern, name) for name in names) if match]
    return max(found, default=-1) + 1
