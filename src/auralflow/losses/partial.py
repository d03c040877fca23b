"""How a loss scores targets that are not known one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["join_unknown"]


def join_unknown(estimate: Tensor, known: Tensor | None) -> Tensor:
    """Replace the estimate of each unknown target by the sum of the estimates of all unknown ones.

    The reference rows of unknown targets hold the sum of all unknown targets (`auralflow.datasets.Chunk`). So
    any loss on rows scores known targets one by one, and the unknown ones by their sum, which weighs as much
    as the targets in it: a known target has the same weight as in a complete chunk. How the estimates divide
    the sum among themselves makes no difference.

    Args:
        estimate: Estimates ``[B, S, ...]``: audio, complex spectrograms, or masks.
        known: Which targets are known, ``[B, S]``, bool. None: all of them.

    Returns:
        A tensor of the same shape; ``estimate`` itself if all targets are known.

    Example:
        >>> import torch
        >>> estimate = torch.tensor([[1.0, 2.0, 3.0]])
        >>> join_unknown(estimate, torch.tensor([[True, False, False]]))
        tensor([[1., 5., 5.]])
    """
    if known is None or bool(known.all()):
        return estimate
    known = known.reshape(*known.shape, *[1] * (estimate.ndim - 2)).to(estimate.device)
    rest = estimate.masked_fill(known, 0).sum(dim=1, keepdim=True)
    return estimate.where(known, rest)
