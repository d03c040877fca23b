"""Mean squared error of magnitudes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from auralflow.losses.base import MagnitudeCriterion, Reduction, reduce
from auralflow.losses.magnitudes import aligned

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["L2Loss", "l2_loss"]


def l2_loss(mask: Tensor, mixture: Tensor, target: Tensor, reduction: Reduction = "mean") -> Tensor:
    """Mean of ``(M X - Y)^2``.

    Example:
        >>> import torch
        >>> l2_loss(torch.ones(1, 1, 1, 2, 3), 2 * torch.ones(1, 1, 2, 3), torch.zeros(1, 1, 1, 2, 3))
        tensor(4.)
    """
    mask, mixture, target = aligned(mask, mixture, target)
    return reduce((mask * mixture - target).square(), reduction)


@dataclass(frozen=True, kw_only=True)
class L2Loss(MagnitudeCriterion):
    """Criterion of ``l2_loss``."""

    name = "l2"
    summary = "mean of (M X - Y)²"
    function = staticmethod(l2_loss)
