"""The construction term of a variational net's loss; the KL divergence, its other term, is its penalty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from auralflow.losses.base import MagnitudeCriterion, Reduction
from auralflow.losses.l1 import l1_loss
from auralflow.losses.l2 import l2_loss

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Construction", "ConstructionLoss"]

Construction = Literal["l1", "l2"]


def _construct(
    mask: Tensor,
    mixture: Tensor,
    target: Tensor,
    construction_loss: Construction,
    reduction: Reduction,
) -> Tensor:
    loss = l1_loss if construction_loss == "l1" else l2_loss
    return loss(mask, mixture, target, reduction)


@dataclass(frozen=True, kw_only=True)
class ConstructionLoss(MagnitudeCriterion):
    """Criterion of ``l1_loss`` or ``l2_loss``, for nets that add a penalty to it."""

    name = "kl_div"
    summary = "`--construction-loss` plus the KL divergence of the latent; for SpectrogramNetVAE"
    function = staticmethod(_construct)
    requires_latent = True

    construction_loss: Annotated[Construction, Field(description="Construction loss of kl_div.")] = "l2"
