"""Mean absolute error of magnitudes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from auralflow.losses.base import MagnitudeCriterion, Reduction, reduce
from auralflow.losses.magnitudes import aligned

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["L1Loss", "l1_loss"]


def l1_loss(mask: Tensor, mixture: Tensor, target: Tensor, reduction: Reduction = "mean") -> Tensor:
    """Mean of ``|M X - Y|``.

    Example:
        >>> import torch
        >>> l1_loss(torch.ones(1, 1, 1, 2, 3), torch.ones(1, 1, 2, 3), torch.zeros(1, 1, 1, 2, 3))
        tensor(1.)
    """
    mask, mixture, target = aligned(mask, mixture, target)
    return reduce((mask * mixture - target).abs(), reduction)


@dataclass(frozen=True, kw_only=True)
class L1Loss(MagnitudeCriterion):
    """Criterion of ``l1_loss``."""

    name = "l1"
    summary = "mean of abs(M X - Y)"
    function = staticmethod(l1_loss)
