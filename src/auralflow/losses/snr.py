"""Thresholded signal-to-noise ratio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from auralflow.losses.base import ENERGY_FLOOR, MixtureCriterion, Reduction, reduce
from auralflow.losses.magnitudes import misfit

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["SNRLoss", "snr_loss"]

SNR_THRESHOLD = 1e-3
"""Fraction of the mixture's energy that snr_loss adds to both energies: nothing is gained beyond 30 dB."""


def snr_loss(
    estimate: Tensor,
    target: Tensor,
    mixture: Tensor,
    reduction: Reduction = "mean",
    *,
    known: Tensor | None = None,
) -> Tensor:
    """Thresholded negative signal-to-noise ratio of each source over the whole batch, in dB.

    ``10 log10((|E - Y|^2 + t |X|^2) / (|Y|^2 + t |X|^2))``, ``t`` 0.001, with energies summed over the batch:
    the error is relative to the source, so that a quiet source is learnt like a loud one. Computed entry by
    entry it would fail: where a source is silent, any estimate would be infinitely worse than none, and the
    mask would close for good. Source: S. Wisdom et al., "What's All the FUSS About Free Universal Sound
    Separation Data?", ICASSP 2021, with the threshold relative to the mixture, on spectrograms.

    Args:
        estimate: Complex spectrograms ``[B, S, C, F, T]``.
        target: The true ones, of the same shape.
        mixture: The mixture's ``[B, C, F, T]``.
        reduction: ``"mean"`` or ``"sum"`` over the sources.
        known: Which rows ``[B, S]`` are a single target; the others are sums of unknown targets. Their
            energies are summed apart from the known ones, and every ratio is weighted by its number of rows.
            Default: all are known.

    Example:
        >>> import torch
        >>> target = torch.ones(1, 1, 1, 3, 4, dtype=torch.complex64)
        >>> round(snr_loss(target, target, target[:, 0]).item())
        -30
    """
    import torch

    if estimate.shape != target.shape or target[:, 0].shape != mixture.shape:
        raise misfit([tuple(tensor.shape) for tensor in (estimate, mixture, target)])
    if known is not None and not bool(known.all()):
        return _partial_snr_loss(estimate, target, mixture, known.to(estimate.device), reduction)
    # Squares of real and imaginary parts: the magnitude of a complex number has no gradient at zero.
    error, source, whole = (
        torch.view_as_real(values).square().sum((0, -4, -3, -2, -1))
        for values in (estimate - target, target, mixture)
    )
    floor = SNR_THRESHOLD * whole + ENERGY_FLOOR
    return reduce(10 * ((error + floor) / (source + floor)).log10(), reduction)


def _partial_snr_loss(
    estimate: Tensor, target: Tensor, mixture: Tensor, known: Tensor, reduction: Reduction
) -> Tensor:
    import torch

    error, source, whole = (
        torch.view_as_real(values).square().sum((-4, -3, -2, -1))
        for values in (estimate - target, target, mixture)
    )
    # A column for each target where it is known, and one for all sums: they are louder than a single target,
    # and would hide its error in its column.
    columns = torch.cat([known, ~known], dim=1)

    def add(energies: Tensor) -> Tensor:
        summed = energies.repeat(1, 2).masked_fill(~columns, 0).sum(0)
        num_targets = known.shape[1]
        return torch.cat([summed[:num_targets], summed[num_targets:].sum(0, keepdim=True)])

    floor = SNR_THRESHOLD * add(whole.unsqueeze(1).expand_as(error)) + ENERGY_FLOOR
    ratios = 10 * ((add(error) + floor) / (add(source) + floor)).log10()
    rows = torch.cat([known.sum(0), (~known).sum().unsqueeze(0)])
    total = (ratios * rows).sum() / len(known)
    return total / known.shape[1] if reduction == "mean" else total


@dataclass(frozen=True, kw_only=True)
class SNRLoss(MixtureCriterion):
    """Criterion of ``snr_loss``."""

    name = "snr"
    summary = (
        "negative signal-to-noise ratio of the estimate, with a threshold 30 dB under the mixture: a quiet "
        "target counts like a loud one"
    )
    function = staticmethod(snr_loss)
