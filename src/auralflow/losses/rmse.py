"""Root mean square error of magnitudes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from auralflow.losses.base import ENERGY_FLOOR, MagnitudeCriterion, Reduction, reduce
from auralflow.losses.magnitudes import aligned

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["RMSELoss", "rmse_loss"]


def rmse_loss(mask: Tensor, mixture: Tensor, target: Tensor, reduction: Reduction = "mean") -> Tensor:
    """Root of the mean of ``(M X - Y)^2`` over each item, reduced over items.

    Example:
        >>> import torch
        >>> rmse_loss(torch.ones(1, 1, 1, 2, 3), 2 * torch.ones(1, 1, 2, 3), torch.zeros(1, 1, 1, 2, 3))
        tensor(2.)
    """
    mask, mixture, target = aligned(mask, mixture, target)
    power = (mask * mixture - target).square().mean(dim=(-3, -2, -1))
    return reduce((power + ENERGY_FLOOR).sqrt(), reduction)


@dataclass(frozen=True, kw_only=True)
class RMSELoss(MagnitudeCriterion):
    """Criterion of ``rmse_loss``."""

    name = "rmse"
    summary = "root of the mean of (M X - Y)² over each target, averaged"
    function = staticmethod(rmse_loss)
