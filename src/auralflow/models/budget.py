"""Rejects settings of a net too large for the machine, judging by the size of the weights file."""

from collections.abc import Callable, Iterable, Mapping
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from auralflow.errors import ModelError
from auralflow.models.folder import count_weights

__all__ = ["limited_to_weights"]

FACTORIES: frozenset[Callable[..., Any]] = frozenset(
    (torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn)
)
EXTRA = 1 << 24
"""Allowance for numbers that are not weights, such as windows and filter banks."""


class limited_to_weights(TorchFunctionMode):  # noqa: N801 - a context manager, read as a verb
    """A context in which creating a net larger than its weights fails before the memory is allocated.

    Args:
        paths: The safetensors files of its weights, usually one.

    Raises:
        NotFoundError: If a file does not exist.
        ModelError: If a file is damaged; inside the context, if a net is larger than its weights.
    """

    def __init__(self, *paths: Path) -> None:
        super().__init__()
        self._path = paths[0]
        self._numbers = sum(map(count_weights, dict.fromkeys(paths)))
        # Some layers create a tensor and then replace it by another of the same size.
        self._left = 2 * self._numbers + EXTRA

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func in FACTORIES:
            self._left -= _count(args, kwargs)
            if self._left < 0:
                raise ModelError(
                    f"'{self._path}' does not contain the weights of the net that the settings describe",
                    found=f"{self._numbers} numbers",
                    expected="several times as many",
                    advice="Restore the matching files.",
                )
        return func(*args, **kwargs)


def _count(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int:
    size = kwargs.get("size", args)
    if len(size) > 0 and isinstance(size[0], list | tuple | torch.Size):
        size = size[0]
    return prod(int(length) for length in size)
