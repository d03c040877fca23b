"""Scale-invariant signal-to-distortion ratio, defined on silence."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from auralflow.errors import SettingsError
from auralflow.losses.base import AudioCriterion, Reduction, reduce

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["SiSDRLoss", "si_sdr_loss"]

SILENCE_POWER = 1e-8
"""Mean square of audio that counts as silence: 80 dB below full scale, well under any music."""


def si_sdr_loss(
    estimate: Tensor, target: Tensor, best_permutation: bool = False, reduction: Reduction = "mean"
) -> Tensor:
    """Negative scale-invariant signal-to-distortion ratio in dB, channels pooled, reduced over items.

    A silent target demands a silent estimate, and a silent estimate is the worst answer to a loud target.

    Args:
        estimate: Estimated samples ``[B, S, C, N]``, full scale at 1.
        target: True samples, same shape.
        best_permutation: Score each batch entry with the best-fitting order of its estimates. Tries all S!
            orders.
        reduction: ``"mean"`` or ``"sum"``.

    Returns:
        A scalar.

    Raises:
        UsageError: If the shapes differ.

    Source:
        Le Roux et al., "SDR - Half-baked or Well Done?", ICASSP 2019.

    Example:
        >>> import torch
        >>> target = torch.tensor([[[[0.5, -0.5, 0.5, -0.5]]]])
        >>> si_sdr_loss(3 * target + 0.15, target).round(decimals=2)
        tensor(-20.)
    """
    from auralflow.metrics import check_shapes, pool_channels

    check_shapes(estimate, target, letters="B, S, C, N")
    estimate, target = pool_channels(estimate), pool_channels(target)
    if best_permutation:
        order = _best_order(estimate, target)
        estimate = estimate.take_along_dim(order.unsqueeze(-1), dim=1)
    return reduce(-_si_sdr(estimate, target), reduction)


def _si_sdr(estimate: Tensor, target: Tensor) -> Tensor:
    """SI-SDR in dB over the last dimension, defined on silence.

    The distortion's floor is ``SILENCE_POWER``. The signal's floor shrinks as the target gets louder: silence
    then scores 0 dB on silence, and a missed target or an invented estimate costs its level above the floor.
    With one fixed floor, turning the volume to zero would score 0 dB, better than any poor estimate.
    """
    power = target.square().mean(dim=-1, keepdim=True)
    scale = (estimate * target).mean(dim=-1, keepdim=True) / (power + SILENCE_POWER)
    distortion = (estimate - scale * target).square().mean(dim=-1) + SILENCE_POWER
    floor = SILENCE_POWER * (SILENCE_POWER / (power + SILENCE_POWER))
    signal = (scale.square() * power + floor).squeeze(-1)
    return 10 * (signal.log10() - distortion.log10())


def _best_order(estimate: Tensor, target: Tensor) -> Tensor:
    """The order of estimates ``[B, S]`` that scores best against the targets, for each batch entry."""
    import torch

    orders = torch.tensor(list(permutations(range(target.shape[1]))), device=target.device)
    # Column by column and without a graph: S * S copies of the audio would not fit beside a net.
    with torch.no_grad():
        scores = torch.stack([_si_sdr(estimate, truth.unsqueeze(1)) for truth in target.unbind(1)], dim=2)
        sources = torch.arange(target.shape[1], device=target.device)
        return orders[scores[:, orders, sources].sum(dim=-1).argmax(dim=1)]


@dataclass(frozen=True, kw_only=True)
class SiSDRLoss(AudioCriterion):
    """Criterion of ``si_sdr_loss``."""

    name = "si_sdr"
    summary = "negative scale-invariant SDR of the estimated audio; leaves the level of the estimate free"
    function = staticmethod(si_sdr_loss)

    best_permutation: Annotated[
        bool,
        Field(
            alias="best_perm",
            description="With si_sdr, score the permutation of the targets with the smallest loss.",
        ),
    ] = False

    def __call__(self, estimate: Tensor, target: Tensor, *, known: Tensor | None = None) -> Tensor:
        """Return the loss of estimated samples against target, both ``[B, S, C, N]``."""
        if known is not None and not known.all():
            self.check_partial()
        return super().__call__(estimate, target, known=known)

    def check_partial(self) -> None:
        """Raise if the order is free: it cannot say which estimates belong to a sum of targets."""
        if self.best_permutation:
            raise SettingsError(
                "--best-perm needs tracks whose targets are all known",
                found="targets of which only the sum is known",
                advice="Leave out --best-perm, or the tracks that lack stems.",
            )
