"""Models without numbers: their weights have shapes, and take no memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

__all__ = ["shapes_only"]

RANDOM = (Tensor.uniform_, Tensor.normal_, nn.init.normal_)
MADE = (torch.arange, torch.hann_window)


class _WithoutCompiler(TorchFunctionMode):
    """Leaves out, or does elsewhere, what PyTorch would load its compiler for, which takes over a second."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in RANDOM and (tensor := args[0] if args else kwargs["tensor"]).is_meta:
            return tensor
        if func in MADE and "device" not in kwargs:
            return func(*args, **kwargs, device="cpu").to("meta")
        return func(*args, **kwargs)


@contextmanager
def shapes_only() -> Iterator[None]:
    """Make tensors on the meta device, where they have shapes and no numbers.

    Example:
        >>> with shapes_only():
        ...     net = torch.nn.Linear(10**6, 10**6)
        >>> net.weight.is_meta
        True
    """
    with torch.device("meta"), _WithoutCompiler():
        yield
