"""Creates nets on the meta device: their weights have shapes but no values, and take no memory."""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

__all__ = ["shapes_only"]

T = TypeVar("T")

RANDOM = (Tensor.uniform_, Tensor.normal_, nn.init.normal_)
MADE = (torch.arange, torch.hann_window)


class _WithoutCompiler(TorchFunctionMode):
    """Avoids operations for which PyTorch would load its compiler, which takes over a second."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in RANDOM and (tensor := args[0] if args else kwargs["tensor"]).is_meta:
            return tensor
        if func in MADE and "device" not in kwargs:
            return func(*args, **kwargs, device="cpu")
        return func(*args, **kwargs)


def shapes_only(make: Callable[[], T]) -> T:
    """Create a net on the meta device, where its weights have shapes but no values.

    Buffers that the net computes from its settings, such as a window, may be on the CPU.

    Args:
        make: Creates the net. Called a second time if the first attempt fails.

    Example:
        >>> net = shapes_only(lambda: torch.nn.Linear(10**6, 10**6))
        >>> net.weight.is_meta
        True
    """
    try:
        with torch.device("meta"), _WithoutCompiler():
            return make()
    except RuntimeError:
        # A buffer is computed from others, of which only some are on the CPU.
        with torch.device("meta"):
            return make()
