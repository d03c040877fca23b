"""Mean absolute error of the mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from auralflow.losses.base import MagnitudeCriterion, Reduction, reduce
from auralflow.losses.magnitudes import aligned

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["MaskLoss", "mask_loss"]


def mask_loss(mask: Tensor, mixture: Tensor, target: Tensor, reduction: Reduction = "mean") -> Tensor:
    """Mean of ``|M - min(1, Y / X)|``; the ratio is 0 where both are 0 and 1 where only X is.

    Example:
        >>> import torch
        >>> mask_loss(torch.ones(1, 1, 1, 2, 3), 2 * torch.ones(1, 1, 2, 3), torch.ones(1, 1, 1, 2, 3))
        tensor(0.5000)
    """
    mask, mixture, target = aligned(mask, mixture, target)
    full = target >= mixture
    # The divisor is one wherever the quotient is not used: a zero there would still make the gradient NaN.
    ratio = (target > 0).to(target.dtype).where(full, target / mixture.masked_fill(full, 1.0))
    return reduce((mask - ratio).abs(), reduction)


@dataclass(frozen=True, kw_only=True)
class MaskLoss(MagnitudeCriterion):
    """Criterion of ``mask_loss``."""

    name = "mask"
    summary = "mean of abs(M - min(1, Y / X))"
    function = staticmethod(mask_loss)
    requires_mask = True
