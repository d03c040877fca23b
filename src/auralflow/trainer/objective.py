"""What a criterion makes of a model's estimate."""

import torch
from torch import Tensor

from auralflow.errors import SettingsError
from auralflow.losses import (
    AudioCriterion,
    Criterion,
    MagnitudeCriterion,
    MixtureCriterion,
    SpectrogramCriterion,
)
from auralflow.nets.door import Estimate, SeparationModel

__all__ = ["check_criterion", "compute_loss"]


def check_criterion(criterion: Criterion, model: SeparationModel) -> None:
    """Refuse a criterion that a model cannot serve.

    Raises:
        SettingsError: If the criterion needs masks or a latent, and the model has none.
    """
    traits, net = model.traits, model.config.net
    if criterion.requires_latent and not traits.has_penalty:
        raise SettingsError(
            "--criterion kl_div needs a variational net",
            found=net,
            expected="SpectrogramNetVAE",
            advice="Choose another criterion, or configure a SpectrogramNetVAE.",
        )
    if criterion.requires_mask and not traits.has_masks:
        raise SettingsError(
            f"this criterion ({type(criterion).__name__}) needs a net that estimates masks",
            found=net,
            advice="Choose another one, such as --criterion l1 or si_sdr.",
        )


def compute_loss(
    criterion: Criterion, estimate: Estimate, targets: Tensor, *, kl_weight: float = 0.0
) -> Tensor:
    """Loss of an estimate.

    The criterion's type says which tensors it needs; only those are made.

    Args:
        criterion: The criterion.
        estimate: What the model returned.
        targets: True audio ``[B, S, C, N]``.
        kl_weight: Weight of the penalty of an estimate that has one, added to any criterion.

    Returns:
        A scalar.
    """
    transform = estimate.transform
    match criterion:
        case AudioCriterion():
            loss = criterion(estimate.audio, targets)
        case SpectrogramCriterion():
            loss = criterion(estimate.spectrogram, transform(targets))
        case MixtureCriterion():
            loss = criterion(estimate.spectrogram, transform(targets), estimate.mixture)
        case MagnitudeCriterion():
            loss = criterion(*_masked(estimate), transform(targets).abs())
        case _:
            raise TypeError(f"{type(criterion).__name__} does not say which tensors it needs")
    if estimate.penalty is not None and kl_weight > 0:
        penalty = estimate.penalty.mean() if criterion.reduction == "mean" else estimate.penalty.sum()
        loss = loss + kl_weight * penalty
    return loss


def _masked(estimate: Estimate) -> tuple[Tensor, Tensor]:
    """Masks, and the magnitudes that they multiply."""
    if estimate.mask is not None:
        return estimate.mask, estimate.mixture.abs()
    # Their product is all that a criterion without `requires_mask` looks at.
    magnitudes = estimate.magnitudes
    return magnitudes, torch.ones_like(magnitudes[:, 0])
