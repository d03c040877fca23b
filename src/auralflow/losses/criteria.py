"""Criteria: a loss with its settings chosen, whose type says which tensors it needs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, get_args

from torch import Tensor

from auralflow.errors import SettingsError
from auralflow.losses.functions import (
    ConstructionLoss,
    Reduction,
    check_choice,
    complex_l1_loss,
    component_loss,
    l1_loss,
    l2_loss,
    mask_loss,
    rmse_loss,
    si_sdr_loss,
    snr_loss,
)
from auralflow.losses.partial import join_unknown

__all__ = [
    "AudioCriterion",
    "ComplexL1Loss",
    "ComponentLoss",
    "Criterion",
    "KLDivergenceLoss",
    "L1Loss",
    "L2Loss",
    "MagnitudeCriterion",
    "MaskLoss",
    "MixtureCriterion",
    "RMSELoss",
    "SNRLoss",
    "SiSDRLoss",
    "SpectrogramCriterion",
    "create_criterion",
]


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """Base of all criteria: a loss function, and its settings as immutable fields of the same names."""

    function: ClassVar[Callable[..., Tensor]]
    requires_latent: ClassVar[bool] = False
    """Whether the criterion only makes sense with a variational net, whose KL term the trainer adds."""
    requires_mask: ClassVar[bool] = False
    """Whether a criterion on magnitudes looks at the mask itself, not only at mask times mixture."""
    reduction: Reduction = "mean"

    def __post_init__(self) -> None:
        check_choice("reduction", self.reduction, get_args(Reduction))


class MagnitudeCriterion(Criterion):
    """A criterion on a mask and magnitudes."""

    def __call__(
        self, mask: Tensor, mixture: Tensor, target: Tensor, *, known: Tensor | None = None
    ) -> Tensor:
        """Return the loss of mask ``[B, S, C, F, T]`` on mixture ``[B, C, F, T]`` for target (as mask)."""
        return self.function(join_unknown(mask, known), mixture, target, **vars(self))


class SpectrogramCriterion(Criterion):
    """A criterion on complex spectrograms."""

    def __call__(self, estimate: Tensor, target: Tensor, *, known: Tensor | None = None) -> Tensor:
        """Return the loss of complex estimate against target, both ``[B, S, C, F, T]``."""
        return self.function(join_unknown(estimate, known), target, **vars(self))


class MixtureCriterion(Criterion):
    """A criterion on complex spectrograms that also looks at the mixture's."""

    def __call__(
        self, estimate: Tensor, target: Tensor, mixture: Tensor, *, known: Tensor | None = None
    ) -> Tensor:
        """Return the loss of estimate against target ``[B, S, C, F, T]`` in mixture ``[B, C, F, T]``."""
        return self.function(join_unknown(estimate, known), target, mixture, known=known, **vars(self))


class AudioCriterion(Criterion):
    """A criterion on samples."""

    def __call__(self, estimate: Tensor, target: Tensor, *, known: Tensor | None = None) -> Tensor:
        """Return the loss of estimated samples against target, both ``[B, S, C, N]``."""
        return self.function(join_unknown(estimate, known), target, **vars(self))


class L1Loss(MagnitudeCriterion):
    """Criterion of ``l1_loss``."""

    function = staticmethod(l1_loss)


class L2Loss(MagnitudeCriterion):
    """Criterion of ``l2_loss``."""

    function = staticmethod(l2_loss)


class RMSELoss(MagnitudeCriterion):
    """Criterion of ``rmse_loss``."""

    function = staticmethod(rmse_loss)


class MaskLoss(MagnitudeCriterion):
    """Criterion of ``mask_loss``."""

    requires_mask: ClassVar[bool] = True
    function = staticmethod(mask_loss)


@dataclass(frozen=True, kw_only=True)
class ComponentLoss(MagnitudeCriterion):
    """Criterion of ``component_loss``."""

    requires_mask: ClassVar[bool] = True
    function = staticmethod(component_loss)
    alpha: float = 0.2
    beta: float = 0.8
    gamma: float = 0.0


def _construct(
    mask: Tensor, mixture: Tensor, target: Tensor, construction_loss: ConstructionLoss, reduction: Reduction
) -> Tensor:
    loss = l1_loss if construction_loss == "l1" else l2_loss
    return loss(mask, mixture, target, reduction)


@dataclass(frozen=True, kw_only=True)
class KLDivergenceLoss(MagnitudeCriterion):
    """Construction loss of a variational net; the KL term is added by the trainer."""

    function = staticmethod(_construct)
    requires_latent: ClassVar[bool] = True
    construction_loss: ConstructionLoss = "l2"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("construction loss", self.construction_loss, get_args(ConstructionLoss))


class ComplexL1Loss(SpectrogramCriterion):
    """Criterion of ``complex_l1_loss``."""

    function = staticmethod(complex_l1_loss)


class SNRLoss(MixtureCriterion):
    """Criterion of ``snr_loss``."""

    function = staticmethod(snr_loss)


@dataclass(frozen=True, kw_only=True)
class SiSDRLoss(AudioCriterion):
    """Criterion of ``si_sdr_loss``."""

    function = staticmethod(si_sdr_loss)
    best_permutation: bool = False

    def __call__(self, estimate: Tensor, target: Tensor, *, known: Tensor | None = None) -> Tensor:
        """Return the loss of estimated samples against target, both ``[B, S, C, N]``."""
        if self.best_permutation and known is not None and not known.all():
            raise SettingsError(
                "--best-perm needs tracks whose targets are all known",
                found="targets of which only the sum is known",
                advice="Leave out --best-perm, or the tracks that lack stems.",
            )
        return super().__call__(estimate, target, known=known)


def create_criterion(
    name: str,
    *,
    construction_loss: ConstructionLoss = "l2",
    alpha: float = 0.2,
    beta: float = 0.8,
    gamma: float = 0.0,
    best_permutation: bool = False,
    reduction: Reduction = "mean",
) -> Criterion:
    """Make a criterion from its name; settings that it does not have are left aside.

    Args:
        name: component, kl_div, l1, l2, mask, si_sdr, rmse, complex_l1 or snr; ``-`` counts as ``_``.
        construction_loss: ``"l1"`` or ``"l2"``, for kl_div.
        alpha: Weight of the filtered target, for component.
        beta: Weight of the filtered residual's power, for component.
        gamma: Weight of the filtered residual's shape, for component.
        best_permutation: Whether the order of the estimates is free, for si_sdr.
        reduction: ``"mean"`` or ``"sum"``.

    Returns:
        The criterion, whose type says which tensors it needs.

    Raises:
        SettingsError: If the name or a choice is unknown.

    Example:
        >>> create_criterion("si-sdr", best_permutation=True)
        SiSDRLoss(reduction='mean', best_permutation=True)
    """
    makers: dict[str, Callable[[], Criterion]] = {
        "component": lambda: ComponentLoss(alpha=alpha, beta=beta, gamma=gamma, reduction=reduction),
        "kl_div": lambda: KLDivergenceLoss(construction_loss=construction_loss, reduction=reduction),
        "l1": lambda: L1Loss(reduction=reduction),
        "l2": lambda: L2Loss(reduction=reduction),
        "mask": lambda: MaskLoss(reduction=reduction),
        "si_sdr": lambda: SiSDRLoss(best_permutation=best_permutation, reduction=reduction),
        "rmse": lambda: RMSELoss(reduction=reduction),
        "complex_l1": lambda: ComplexL1Loss(reduction=reduction),
        "snr": lambda: SNRLoss(reduction=reduction),
    }
    key = name.replace("-", "_")
    check_choice("criterion", key, tuple(makers))
    return makers[key]()
