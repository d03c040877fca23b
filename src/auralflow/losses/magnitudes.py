"""Tensors of losses on masks and magnitudes, expanded to one shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auralflow.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["aligned", "misfit"]


def aligned(mask: Tensor, mixture: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Expand mask, mixture and target to one ``[B, S, C, F, T]``."""
    sources = mixture.unsqueeze(1) if mixture.ndim == 4 else mixture
    shapes = [tuple(tensor.shape) for tensor in (mask, mixture, target)]
    if any(tensor.ndim != 5 for tensor in (mask, sources, target)):
        raise misfit(shapes)
    shape = [max(sizes) for sizes in zip(mask.shape, sources.shape, target.shape, strict=True)]
    try:
        return mask.expand(shape), sources.expand(shape), target.expand(shape)
    except RuntimeError as error:
        raise misfit(shapes) from error


def misfit(shapes: list[tuple[int, ...]]) -> UsageError:
    """The error for tensors of these shapes."""
    return UsageError(
        "mask, mixture and target do not fit together",
        found=f"shapes {shapes[0]}, {shapes[1]} and {shapes[2]}",
        expected="[B, S, C, F, T], [B, C, F, T] and [B, S, C, F, T]",
    )
