"""Settings may describe a net that is larger than the machine; its file of weights says how large it is."""

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
"""Numbers that a net may hold besides its weights, such as windows and filter banks."""


class limited_to_weights(TorchFunctionMode):  # noqa: N801 - a context manager, read as a verb
    """A context in which a net that is larger than its weights is refused before its memory is taken.

    Args:
        paths: The safetensors files of its weights, mostly one.

    Raises:
        NotFoundError: If there is no such file.
        ModelError: If one is damaged; in the context, if a net is larger than its weights.
    """

    def __init__(self, *paths: Path) -> None:
        super().__init__()
        self._path = paths[0]
        self._numbers = sum(map(count_weights, dict.fromkeys(paths)))
        # Some layers make a tensor and then another one of the same size in its place.
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
                    f"'{self._path}' holds the weights of another net than the model's settings describe",
                    found=f"{self._numbers} numbers",
                    expected="several times as many",
                    advice="Put back the files that belong together.",
                )
        return func(*args, **kwargs)


def _count(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int:
    size = kwargs.get("size", args)
    if len(size) > 0 and isinstance(size[0], list | tuple | torch.Size):
        size = size[0]
    return prod(int(length) for length in size)
