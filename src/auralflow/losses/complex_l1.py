"""Mean absolute error of complex spectrograms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from auralflow.losses.base import Reduction, SpectrogramCriterion, reduce

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ComplexL1Loss", "complex_l1_loss"]


def complex_l1_loss(estimate: Tensor, target: Tensor, reduction: Reduction = "mean") -> Tensor:
    """Mean of ``(|Re(E - Y)| + |Im(E - Y)|) / 2`` over complex spectrograms of one shape.

    The sum runs over real and imaginary parts, the 2 n numbers that the mean averages.

    Example:
        >>> import torch
        >>> complex_l1_loss(torch.tensor([3 + 4j]), torch.tensor([0j]))
        tensor(3.5000)
    """
    import torch

    from auralflow.metrics import check_shapes

    check_shapes(estimate, target, letters="T")
    return reduce(torch.view_as_real(estimate - target).abs(), reduction)


@dataclass(frozen=True, kw_only=True)
class ComplexL1Loss(SpectrogramCriterion):
    """Criterion of ``complex_l1_loss``."""

    name = "complex_l1"
    summary = "mean of the absolute differences of real and imaginary parts, between estimate and target"
    function = staticmethod(complex_l1_loss)
