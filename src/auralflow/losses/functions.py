"""Losses as pure functions; shapes and letters as in the package's docstring."""

from itertools import permutations
from typing import Literal, get_args

import torch
from torch import Tensor

from auralflow.errors import SettingsError, UsageError
from auralflow.metrics import check_shapes, pool_channels

__all__ = [
    "ConstructionLoss",
    "Reduction",
    "check_choice",
    "complex_l1_loss",
    "component_loss",
    "l1_loss",
    "l2_loss",
    "mask_loss",
    "rmse_loss",
    "si_sdr_loss",
    "snr_loss",
]

Reduction = Literal["mean", "sum"]
ConstructionLoss = Literal["l1", "l2"]

ENERGY_FLOOR = 1e-12
"""Kept under square roots of energies: their gradient has no bound at zero."""
MASK_ENERGY_FLOOR = 1e-8
"""Share of the residual's energy below which a filtered residual fades out instead of being normalised."""
SILENCE_POWER = 1e-8
"""Mean square of audio that counts as silence: -80 dB below full scale, well under any music."""
SNR_THRESHOLD = 1e-3
"""Share of the mixture's energy that snr_loss adds to both energies: beyond 30 dB nothing is gained."""


def check_choice(setting: str, value: str, choices: tuple[str, ...]) -> None:
    """Refuse a value that is none of the choices.

    Raises:
        SettingsError: Naming the setting, the value and the choices.
    """
    if value not in choices:
        raise SettingsError(f"unknown {setting}", found=repr(value), expected=f"one of {', '.join(choices)}")


def _reduce(values: Tensor, reduction: Reduction) -> Tensor:
    check_choice("reduction", reduction, get_args(Reduction))
    return values.mean() if reduction == "mean" else values.sum()


def _aligned(mask: Tensor, mixture: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Expand mask, mixture and target to one ``[B, S, C, F, T]``."""
    sources = mixture.unsqueeze(1) if mixture.ndim == 4 else mixture
    shapes = [tuple(tensor.shape) for tensor in (mask, mixture, target)]
    if any(tensor.ndim != 5 for tensor in (mask, sources, target)):
        raise _misfit(shapes)
    shape = [max(sizes) for sizes in zip(mask.shape, sources.shape, target.shape, strict=True)]
    try:
        return mask.expand(shape), sources.expand(shape), target.expand(shape)
    except RuntimeError as error:
        raise _misfit(shapes) from error


def _misfit(shapes: list[tuple[int, ...]]) -> UsageError:
    return UsageError(
        "mask, mixture and target do not fit together",
        found=f"shapes {shapes[0]}, {shapes[1]} and {shapes[2]}",
        expected="[B, S, C, F, T], [B, C, F, T] and [B, S, C, F, T]",
    )


def l1_loss(mask: Tensor, mixture: Tensor, target: Tensor, reduction: Reduction = "mean") -> Tensor:
    """Mean of ``|M X - Y|``.

    Example:
        >>> l1_loss(torch.ones(1, 1, 1, 2, 3), torch.ones(1, 1, 2, 3), torch.zeros(1, 1, 1, 2, 3))
        tensor(1.)
    """
    mask, mixture, target = _aligned(mask, mixture, target)
    return _reduce((mask * mixture - target).abs(), reduction)


def l2_loss(mask: Tensor, mixture: Tensor, target: Tensor, reduction: Reduction = "mean") -> Tensor:
    """Mean of ``(M X - Y)^2``.

    Example:
        >>> l2_loss(torch.ones(1, 1, 1, 2, 3), 2 * torch.ones(1, 1, 2, 3), torch.zeros(1, 1, 1, 2, 3))
        tensor(4.)
    """
    mask, mixture, target = _aligned(mask, mixture, target)
    return _reduce((mask * mixture - target).square(), reduction)


def rmse_loss(mask: Tensor, mixture: Tensor, target: Tensor, reduction: Reduction = "mean") -> Tensor:
    """Root of the mean of ``(M X - Y)^2`` over each item, reduced over items.

    Example:
        >>> rmse_loss(torch.ones(1, 1, 1, 2, 3), 2 * torch.ones(1, 1, 2, 3), torch.zeros(1, 1, 1, 2, 3))
        tensor(2.)
    """
    mask, mixture, target = _aligned(mask, mixture, target)
    power = (mask * mixture - target).square().mean(dim=(-3, -2, -1))
    return _reduce((power + ENERGY_FLOOR).sqrt(), reduction)


def mask_loss(mask: Tensor, mixture: Tensor, target: Tensor, reduction: Reduction = "mean") -> Tensor:
    """Mean of ``|M - min(1, Y / X)|``; the ratio is 0 where both are 0 and 1 where only X is.

    Example:
        >>> mask_loss(torch.ones(1, 1, 1, 2, 3), 2 * torch.ones(1, 1, 2, 3), torch.ones(1, 1, 1, 2, 3))
        tensor(0.5000)
    """
    mask, mixture, target = _aligned(mask, mixture, target)
    full = target >= mixture
    # The divisor is one wherever its quotient is not used: a zero there would still spoil the gradient.
    ratio = torch.where(full, (target > 0).to(target.dtype), target / mixture.masked_fill(full, 1.0))
    return _reduce((mask - ratio).abs(), reduction)


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
    The third mean is at most 4 / (C F T), so a ``gamma`` that matters is of the order of C F T.

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
        a whole batch; here no item depends on its neighbours.

    Example:
        >>> component_loss(torch.ones(1, 1, 1, 2, 3), 2 * torch.ones(1, 1, 2, 3), torch.ones(1, 1, 1, 2, 3))
        tensor(0.8000)
    """
    mask, mixture, target = _aligned(mask, mixture, target)
    residual = mixture - target
    filtered = mask * residual
    loss = alpha * _reduce((mask * target - target).square(), reduction)
    loss = loss + beta * _reduce(filtered.square(), reduction)
    if gamma == 0:
        return loss
    energy = residual.square().sum(dim=(-3, -2, -1), keepdim=True)
    # The floor follows the residual, so that a mask near zero gets no gradient that grows with the level.
    filtered_energy = filtered.square().sum(dim=(-3, -2, -1), keepdim=True) + MASK_ENERGY_FLOOR * energy
    shape = filtered / (filtered_energy + ENERGY_FLOOR).sqrt()
    return loss + gamma * _reduce((shape - residual / (energy + ENERGY_FLOOR).sqrt()).square(), reduction)


def complex_l1_loss(estimate: Tensor, target: Tensor, reduction: Reduction = "mean") -> Tensor:
    """Mean of ``(|Re(E - Y)| + |Im(E - Y)|) / 2`` over complex spectrograms of one shape.

    The sum runs over real and imaginary parts, the 2 n numbers that the mean averages.

    Example:
        >>> complex_l1_loss(torch.tensor([3 + 4j]), torch.tensor([0j]))
        tensor(3.5000)
    """
    check_shapes(estimate, target, letters="T")
    return _reduce(torch.view_as_real(estimate - target).abs(), reduction)


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
    the error counts relative to the source, so that a quiet source is learnt like a loud one. Entry by entry
    it would not do: where a source is silent any estimate would be endlessly worse than none, and the mask
    would close for good. Source: S. Wisdom et al., "What's All the FUSS About Free Universal Sound Separation
    Data?", ICASSP 2021, with the threshold relative to the mixture, on spectrograms.

    Args:
        estimate: Complex spectrograms ``[B, S, C, F, T]``.
        target: True ones, alike.
        mixture: The mixture's ``[B, C, F, T]``.
        reduction: ``"mean"`` or ``"sum"`` over the sources.
        known: Which rows ``[B, S]`` are a target of their own; the others are sums of unknown targets. The
            energies of those are added up apart from the known ones, and every ratio counts as often as there
            are rows in it. Default: all are known.

    Example:
        >>> target = torch.ones(1, 1, 1, 3, 4, dtype=torch.complex64)
        >>> round(snr_loss(target, target, target[:, 0]).item())
        -30
    """
    if estimate.shape != target.shape or target[:, 0].shape != mixture.shape:
        raise _misfit([tuple(tensor.shape) for tensor in (estimate, mixture, target)])
    if known is not None and not bool(known.all()):
        return _partial_snr_loss(estimate, target, mixture, known.to(estimate.device), reduction)
    # Squares of the parts: the magnitude of a complex number has no gradient at zero.
    error, source, whole = (
        torch.view_as_real(values).square().sum((0, -4, -3, -2, -1))
        for values in (estimate - target, target, mixture)
    )
    floor = SNR_THRESHOLD * whole + ENERGY_FLOOR
    return _reduce(10 * torch.log10((error + floor) / (source + floor)), reduction)


def _partial_snr_loss(
    estimate: Tensor, target: Tensor, mixture: Tensor, known: Tensor, reduction: Reduction
) -> Tensor:
    error, source, whole = (
        torch.view_as_real(values).square().sum((-4, -3, -2, -1))
        for values in (estimate - target, target, mixture)
    )
    # One column for each target where it is known, and one for all sums: they are louder than a target, and
    # in its column they would hide its error.
    columns = torch.cat([known, ~known], dim=1)

    def add(energies: Tensor) -> Tensor:
        summed = torch.where(columns, energies.repeat(1, 2), 0).sum(0)
        num_targets = known.shape[1]
        return torch.cat([summed[:num_targets], summed[num_targets:].sum(0, keepdim=True)])

    floor = SNR_THRESHOLD * add(whole.unsqueeze(1).expand_as(error)) + ENERGY_FLOOR
    ratios = 10 * torch.log10((add(error) + floor) / (add(source) + floor))
    rows = torch.cat([known.sum(0), (~known).sum().unsqueeze(0)])
    total = (ratios * rows).sum() / len(known)
    return total / known.shape[1] if reduction == "mean" else total


def _si_sdr(estimate: Tensor, target: Tensor) -> Tensor:
    """SI-SDR in dB over the last dimension, defined on silence.

    The distortion's floor is ``SILENCE_POWER``. The signal's floor shrinks as the target gets louder: silence
    then scores 0 dB on silence, and each missed target or invented estimate costs its level above the floor.
    With one fixed floor, turning the volume to zero would score 0 dB, better than any poor estimate.
    """
    power = target.square().mean(dim=-1, keepdim=True)
    scale = (estimate * target).mean(dim=-1, keepdim=True) / (power + SILENCE_POWER)
    distortion = (estimate - scale * target).square().mean(dim=-1) + SILENCE_POWER
    floor = SILENCE_POWER * (SILENCE_POWER / (power + SILENCE_POWER))
    signal = (scale.square() * power + floor).squeeze(-1)
    return 10 * (torch.log10(signal) - torch.log10(distortion))


def _best_order(estimate: Tensor, target: Tensor) -> Tensor:
    """For each batch entry the order of estimates ``[B, S]`` that scores best against the targets."""
    orders = torch.tensor(list(permutations(range(target.shape[1]))), device=target.device)
    # Column by column and without a graph: S * S copies of the audio would not fit beside a net.
    with torch.no_grad():
        scores = torch.stack([_si_sdr(estimate, truth.unsqueeze(1)) for truth in target.unbind(1)], dim=2)
        sources = torch.arange(target.shape[1], device=target.device)
        return orders[scores[:, orders, sources].sum(dim=-1).argmax(dim=1)]


def si_sdr_loss(
    estimate: Tensor, target: Tensor, best_permutation: bool = False, reduction: Reduction = "mean"
) -> Tensor:
    """Negative scale-invariant signal-to-distortion ratio in dB, channels pooled, reduced over items.

    A silent target asks for a silent estimate, and a silent estimate is the worst answer to a loud target.

    Args:
        estimate: Estimated samples ``[B, S, C, N]``, full scale at 1.
        target: True samples, same shape.
        best_permutation: Score each batch entry with the order of its estimates that fits best. Tries all S!.
        reduction: ``"mean"`` or ``"sum"``.

    Returns:
        A scalar.

    Raises:
        UsageError: If the shapes differ.

    Source:
        Le Roux et al., "SDR - Half-baked or Well Done?", ICASSP 2019.

    Example:
        >>> target = torch.tensor([[[[0.5, -0.5, 0.5, -0.5]]]])
        >>> si_sdr_loss(3 * target + 0.15, target).round(decimals=2)
        tensor(-20.)
    """
    check_shapes(estimate, target, letters="B, S, C, N")
    estimate, target = pool_channels(estimate), pool_channels(target)
    if best_permutation:
        order = _best_order(estimate, target)
        estimate = estimate.take_along_dim(order.unsqueeze(-1), dim=1)
    return _reduce(-_si_sdr(estimate, target), reduction)
