"""Components loss: keep the target, and a quiet residual that sounds like the residual."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from auralflow.losses.base import ENERGY_FLOOR, MagnitudeCriterion, Reduction, reduce
from auralflow.losses.magnitudes import aligned

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ComponentLoss", "component_loss"]

MASK_ENERGY_FLOOR = 1e-8
"""Fraction of the residual's energy below which a filtered residual fades out instead of being normalised."""


def component_loss(
    mask: Tensor,
    mixture: Tensor,
    target: Tensor,
    alpha: float = 0.2,
    beta: float = 0.8,
    gamma: float = 0.0,
    reduction: Reduction = "mean",
) -> Tensor:
    """Keep the target, quieten the residual R = X - Y, and keep the residual's shape.

    ``alpha mean((M Y - Y)^2) + beta mean((M R)^2) + gamma mean((M R / |M R| - R / |R|)^2)``, norms per item.
    The third mean is at most 4 / (C F T), so ``gamma`` must be of the order of C F T to matter.

    Args:
        mask: Estimated mask ``[B, S, C, F, T]``.
        mixture: Mixture magnitude ``[B, C, F, T]``.
        target: Target magnitude ``[B, S, C, F, T]``.
        alpha: Weight of the filtered target. Default: 0.2.
        beta: Weight of the filtered residual's power. Default: 0.8.
        gamma: Weight of the filtered residual's shape. Default: 0.
        reduction: ``"mean"`` or ``"sum"``.

    Returns:
        A scalar.

    Source:
        Xu, Elshamy, Zhao and Fingscheidt, "Components Loss for Neural Networks in Mask-Based Speech
        Enhancement", EURASIP JASM 2021:24 (arXiv 1908.05087). There the weights are 1 - a - b for
        the target, a for the residual's power and b for its shape, and the authors' code takes the norms over
        a whole batch; here items are independent of one another.

    Example:
        >>> import torch
        >>> component_loss(torch.ones(1, 1, 1, 2, 3), 2 * torch.ones(1, 1, 2, 3), torch.ones(1, 1, 1, 2, 3))
        tensor(0.8000)
    """
    mask, mixture, target = aligned(mask, mixture, target)
    residual = mixture - target
    filtered = mask * residual
    loss = alpha * reduce((mask * target - target).square(), reduction)
    loss = loss + beta * reduce(filtered.square(), reduction)
    if gamma == 0:
        return loss
    energy = residual.square().sum(dim=(-3, -2, -1), keepdim=True)
    # The floor scales with the residual, so that the gradient at a mask near zero does not grow with the
    # level.
    filtered_energy = filtered.square().sum(dim=(-3, -2, -1), keepdim=True) + MASK_ENERGY_FLOOR * energy
    shape = filtered / (filtered_energy + ENERGY_FLOOR).sqrt()
    return loss + gamma * reduce((shape - residual / (energy + ENERGY_FLOOR).sqrt()).square(), reduction)


@dataclass(frozen=True, kw_only=True)
class ComponentLoss(MagnitudeCriterion):
    """Criterion of ``component_loss``."""

    name = "component"
    summary = (
        "alpha · mean((M Y - Y)²) + beta · mean((M (X - Y))²), and gamma times the change of the residual's "
        "shape"
    )
    function = staticmethod(component_loss)
    requires_mask = True

    alpha: Annotated[float, Field(ge=0, description="Weight of the first term of component: the target.")] = (
        0.2
    )
    beta: Annotated[
        float, Field(ge=0, description="Weight of the second term of component: the residual.")
    ] = 0.8
    gamma: Annotated[
        float, Field(ge=0, description="Weight of the third term of component: the residual's shape.")
    ] = 0
