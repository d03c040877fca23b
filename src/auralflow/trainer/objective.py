"""Computes the loss of a model's estimate."""

import torch
from torch import Tensor

from auralflow.errors import SettingsError
from auralflow.losses import (
    AudioCriterion,
    Criterion,
    MagnitudeCriterion,
    MixtureCriterion,
    SpectrogramCriterion,
    join_unknown,
)
from auralflow.nets.door import Estimate, SeparationModel

__all__ = ["check_criterion", "compute_loss"]


def check_criterion(criterion: Criterion, model: SeparationModel) -> None:
    """Check that a model provides what a criterion needs.

    Args:
        criterion: The criterion.
        model: The model.

    Raises:
        SettingsError: If the criterion needs masks or a latent space, and the model has none.
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
            advice="Choose another criterion, such as --criterion l1 or si_sdr.",
        )


def compute_loss(
    criterion: Criterion,
    estimate: Estimate,
    targets: Tensor,
    *,
    known: Tensor | None = None,
    kl_weight: float = 0.0,
) -> Tensor:
    """Compute the loss of an estimate.

    The criterion's base class determines the tensors it needs; only those are computed.

    Args:
        criterion: The criterion.
        estimate: The estimate of the model.
        targets: References ``[B, S, C, N]``; the rows of unknown targets contain their sum.
        known: Which targets are known, ``[B, S]``. Default: all.
        kl_weight: Weight of the estimate's penalty, if it has one, which is added to the loss. Default: 0.

    Returns:
        The loss, a scalar.

    Raises:
        TypeError: If the criterion has none of the known base classes.
    """
    transform = estimate.transform
    # A user-defined criterion need not support partial chunks if there are none.
    partial = {} if known is None else {"known": known}
    match criterion:
        case AudioCriterion():
            loss = criterion(estimate.audio, targets, **partial)
        case SpectrogramCriterion():
            loss = criterion(estimate.spectrogram, transform(targets), **partial)
        case MixtureCriterion():
            loss = criterion(estimate.spectrogram, transform(targets), estimate.mixture, **partial)
        case MagnitudeCriterion():
            magnitudes = transform(targets).abs()
            if estimate.mask is not None:
                loss = criterion(estimate.mask, estimate.mixture.abs(), magnitudes, **partial)
            else:
                # Criteria without `requires_mask` only use the product of mask and mixture.
                estimated = _joined_magnitudes(estimate, known)
                loss = criterion(estimated, torch.ones_like(estimated[:, 0]), magnitudes)
        case _:
            raise TypeError(f"{type(criterion).__name__} is not derived from a known kind of criterion")
    if estimate.penalty is not None and kl_weight > 0:
        penalty = estimate.penalty.mean() if criterion.reduction == "mean" else estimate.penalty.sum()
        loss = loss + kl_weight * penalty
    return loss


def _joined_magnitudes(estimate: Estimate, known: Tensor | None) -> Tensor:
    """Magnitudes of the estimates; for unknown targets that of their complex sum."""
    if known is None:
        return estimate.magnitudes
    return join_unknown(estimate.spectrogram, known).abs()
