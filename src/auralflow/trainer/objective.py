"""What a criterion makes of a model's estimate, and how good the estimate is in decibel."""

import torch
from torch import Tensor

from auralflow.errors import SettingsError
from auralflow.losses import AudioCriterion, Criterion, MagnitudeCriterion, SpectrogramCriterion, latent_loss
from auralflow.metrics import pool_channels, si_sdr, snr
from auralflow.models import Estimate, SpectrogramMaskModel

__all__ = ["ScoreSum", "compute_loss", "create_check"]


def create_check(criterion: Criterion, *, has_latent: bool, net: str) -> None:
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
        case MagnitudeCriterion():
            loss = criterion(estimate.mask, estimate.mixture.abs(), model.preprocess(targets).abs())
        case _:
            raise TypeError(f"{type(criterion).__name__} does not say which tensors it needs")
    if estimate.mu is not None and estimate.log_var is not None and kl_weight > 0:
        loss = loss + latent_loss(estimate.mu, estimate.log_var, kl_weight, criterion.reduction)
    return loss


class ScoreSum:
    """Sums of the loss and the scores over validation chunks, in one tensor that processes can add up.

    A chunk whose target is silent has no SI-SDR; it counts for the loss alone.

    Args:
        num_targets: Number of targets ``S``.
        device: Where the sums are kept.
    """

    def __init__(self, num_targets: int, device: torch.device) -> None:
        # Rows: SI-SDR improvement, its count, SNR, its count; then one more column for loss and chunks.
        self.sums = torch.zeros(4, num_targets + 1, dtype=torch.float64, device=device)

    def add(self, loss: Tensor, mixture: Tensor, estimates: Tensor, targets: Tensor) -> None:
        """Add a batch: its loss, mixture ``[B, C, N]``, estimates and targets ``[B, S, C, N]``."""
        mixtures = pool_channels(mixture.unsqueeze(1).expand_as(targets))
        estimates, targets = pool_channels(estimates), pool_channels(targets)
        gained = si_sdr(estimates, targets) - si_sdr(mixtures, targets)
        for row, scores in ((0, gained), (2, snr(estimates, targets))):
            finite = scores.isfinite()
            self.sums[row, :-1] += torch.where(finite, scores, 0.0).sum(0)
            self.sums[row + 1, :-1] += finite.sum(0)
        self.sums[0, -1] += loss.double() * len(mixture)
        self.sums[1, -1] += len(mixture)

    @property
    def loss(self) -> float:
        """Mean loss over the chunks."""
        return (self.sums[0, -1] / self.sums[1, -1]).item()

    def means(self, row: int, targets: tuple[str, ...]) -> dict[str, float | None]:
        """Mean score by target: row 0 is the SI-SDR improvement, row 2 the SNR; None without a score."""
        sums, counts = self.sums[row, :-1].tolist(), self.sums[row + 1, :-1].tolist()
        return {
            target: total / count if count else None
            for target, total, count in zip(targets, sums, counts, strict=True)
        }
