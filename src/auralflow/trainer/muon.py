"""Muon: an optimizer that turns the momentum of each weight matrix into its nearest orthogonal matrix."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

__all__ = ["Muon", "nearest_orthogonal", "split_groups"]

MOMENTUM = 0.95
ADAMW_STEP = 0.2
"""Root mean square of a typical AdamW step, as a multiple of the learning rate (Liu et al., section 2.2)."""

ITERATIONS = 5
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the odd polynomial that takes singular values from 0.01 to 1 to about 1 (0.68 to 1.2)."""

MATRIX_LAYERS = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)


class Muon(Optimizer):
    """Muon for the groups with ``"muon": True``, AdamW for the others.

    All singular values of a step are about equal, so that rare directions are learned as fast as frequent
    ones. The root mean square of a step is 0.2 times the learning rate, as with AdamW late in a training run;
    AdamW's first steps are larger, so Muon needs a higher learning rate. Weights with more than two
    dimensions are matrices of their first dimension by all others: of a convolution, the matrix that maps a
    patch to a point.

    Source:
        K. Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024; the scale of a step
        from J. Liu et al., "Muon is Scalable for LLM Training", 2025, equation 4.

    Args:
        groups: Parameter groups, for example from :func:`split_groups`.
        lr: Learning rate of groups without their own. Default: 0.001.
        weight_decay: Decoupled weight decay. Default: 0.01.
        momentum: Share of the old gradients in the moving average, below 1. Default: 0.95.

    Example:
        >>> layer = nn.Linear(8, 4)
        >>> optimizer = Muon(split_groups(layer, [{"params": layer.parameters(), "lr": 0.01}]))
        >>> [(group["muon"], len(group["params"])) for group in optimizer.param_groups]
        [(True, 1), (False, 1)]
        >>> layer(torch.ones(2, 8)).square().mean().backward()
        >>> optimizer.step()
    """

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        *,
        lr: float = 0.001,
        weight_decay: float = 0.01,
        momentum: float = MOMENTUM,
    ) -> None:
        self._adamw = AdamW([{"params": []}], lr=lr, weight_decay=weight_decay, fused=True)
        super().__init__(groups, {**self._adamw.defaults, "momentum": momentum, "muon": False})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Perform one step.

        Args:
            closure: Computes the loss and its gradients again. Default: the present gradients are used.

        Returns:
            What the closure returned.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            if group["muon"]:
                for weight in group["params"]:
                    if weight.grad is not None:
                        self._turn(weight, weight.grad, group)
        # Linked here, because loading a state replaces both.
        self._adamw.param_groups = [group for group in self.param_groups if not group["muon"]]
        self._adamw.state = self.state
        self._adamw.step()
        return loss

    def _turn(self, weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        """Update one weight."""
        state = self.state[weight]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(weight)
        average = state["momentum_buffer"].lerp_(gradient, 1 - group["momentum"])
        nesterov = gradient.lerp(average, group["momentum"])
        step = nearest_orthogonal(nesterov.flatten(1))
        rate = group["lr"] * ADAMW_STEP * max(step.shape) ** 0.5
        weight.mul_(1 - group["lr"] * group["weight_decay"]).sub_(step.reshape(weight.shape), alpha=rate)


def nearest_orthogonal(matrix: Tensor) -> Tensor:
    """Approximate the orthogonal matrix that is nearest to a matrix: its singular values become about 1.

    Five Newton-Schulz iterations, on the Gram matrix of the shorter side, which takes a third of the time
    for long matrices, and in float32, which is faster than bfloat16 on most CPUs.

    Source:
        K. Jordan et al., 2024 (see :class:`Muon`), with the coefficients given there.

    Args:
        matrix: ``[M, N]``.

    Returns:
        Same shape, float32. Singular values below a hundredth of the matrix's norm stay below 1; zeros stay
        zeros.

    Example:
        >>> turned = nearest_orthogonal(torch.tensor([[4.0, 0.0], [0.0, 2.0]]))
        >>> bool(((torch.linalg.svdvals(turned) - 1).abs() < 0.35).all())
        True
    """
    is_tall = matrix.shape[0] > matrix.shape[1]
    wide = (matrix.mT if is_tall else matrix).float()
    wide = wide / wide.norm().clamp_min(torch.finfo(torch.float32).tiny)
    gram = wide @ wide.mT
    factor = total = _factor(gram)
    for _ in range(ITERATIONS - 1):
        # All of these are polynomials in the first Gram matrix, so they are symmetric and commute.
        gram = factor @ gram @ factor
        factor = _factor(gram)
        total = factor @ total
    turned: Tensor = total @ wide
    return turned.mT if is_tall else turned


def _factor(gram: Tensor) -> Tensor:
    """What an iteration multiplies a matrix by, given its Gram matrix."""
    first, third, fifth = COEFFICIENTS
    factor: Tensor = torch.addmm(gram, gram, gram, beta=third, alpha=fifth)
    factor.diagonal().add_(first)
    return factor


def split_groups(model: nn.Module, groups: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Divide parameter groups into weight matrices and other parameters.

    Matrices are the weights of linear and convolutional layers, except those of grouped convolutions and of
    layers with a single input or output. Parameters of all other layers, such as normalisations, LSTM layers
    and embeddings, are left to AdamW.

    Args:
        model: Model with the parameters.
        groups: Its parameter groups.

    Returns:
        Each group divided in two, with ``"muon"`` true in the first; empty ones are left out.
    """
    matrices = {id(weight) for weight in _matrices(model)}
    divided = []
    for group in groups:
        parameters = list(group["params"])
        for muon in (True, False):
            chosen = [one for one in parameters if (id(one) in matrices) == muon]
            if chosen:
                divided.append({**group, "params": chosen, "muon": muon})
    return divided


def _matrices(model: nn.Module) -> Iterator[Tensor]:
    for layer in model.modules():
        if isinstance(layer, MATRIX_LAYERS) and getattr(layer, "groups", 1) == 1:
            weight: Tensor = layer.weight
            if min(len(weight), weight[0].numel()) > 1:
                yield weight
