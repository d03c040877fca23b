"""What a criterion makes of a model's estimate."""

from torch import Tensor

from auralflow.errors import SettingsError
from auralflow.losses import (
    AudioCriterion,
    Criterion,
    MagnitudeCriterion,
    MixtureCriterion,
    SpectrogramCriterion,
    latent_loss,
)
from auralflow.models import Estimate, SpectrogramMaskModel

__all__ = ["check_criterion", "compute_loss"]


def check_criterion(criterion: Criterion, *, has_latent: bool, net: str) -> None:
    """Refuse a criterion that the net cannot serve.

    Raises:
        SettingsError: If the criterion needs a latent and the net has none.
    """
    if criterion.requires_latent and not has_latent:
        raise SettingsError(
            "--criterion kl_div needs a variational net",
            found=net,
            expected="SpectrogramNetVAE",
            advice="Choose another criterion, or configure a SpectrogramNetVAE.",
        )


def compute_loss(
    criterion: Criterion,
    model: SpectrogramMaskModel,
    estimate: Estimate,
    targets: Tensor,
    *,
    kl_weight: float = 0.0,
) -> Tensor:
    """Loss of an estimate.

    The criterion's type says which tensors it needs; only those are made.

    Args:
        criterion: The criterion.
        model: The model that made the estimate, for its transform.
        estimate: What the model returned.
        targets: True audio ``[B, S, C, N]``.
        kl_weight: Weight of the KL term of a variational net, added to any criterion.

    Returns:
        A scalar.
    """
    match criterion:
        case AudioCriterion():
            loss = criterion(model.postprocess(estimate), targets)
        case SpectrogramCriterion():
            loss = criterion(estimate.spectrogram, model.preprocess(targets))
        case MixtureCriterion():
            loss = criterion(estimate.spectrogram, model.preprocess(targets), estimate.mixture)
        case MagnitudeCriterion():
            loss = criterion(estimate.mask, estimate.mixture.abs(), model.preprocess(targets).abs())
        case _:
            raise TypeError(f"{type(criterion).__name__} does not say which tensors it needs")
    if estimate.mu is not None and estimate.log_var is not None and kl_weight > 0:
        loss = loss + latent_loss(estimate.mu, estimate.log_var, kl_weight, criterion.reduction)
    return loss
