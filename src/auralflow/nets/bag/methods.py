"""Methods to combine several estimates of one target.

Shape letter: ``M`` member.
"""

import torch
from torch import Tensor

__all__ = ["SPECTRAL", "combine"]

SPECTRAL = ("mean_magnitude", "median_magnitude", "min_magnitude", "max_magnitude")
"""Methods that work on complex spectrograms; the others work on samples."""


def combine(estimates: Tensor, weights: Tensor, method: str) -> Tensor:
    r"""Combine estimates of one target.

    With the estimates :math:`y_m` and their weights :math:`w_m > 0`:

    - ``mean``: :math:`\bar y = \sum_m w_m y_m / \sum_m w_m` for each sample.
    - ``median``: the weighted median of each sample; the midpoint between two estimates if half of the weight
      is on either side.
    - ``mean_magnitude`` and ``median_magnitude``: mean or median of the magnitudes :math:`|y_m|` for each
      bin, with the phase of :math:`\bar y`.
    - ``min_magnitude`` and ``max_magnitude``: the estimate with the smallest or largest magnitude for each
      bin, regardless of the weights.

    Args:
        estimates: Samples, or complex spectrograms for the methods in `SPECTRAL`: ``[M, ...]``.
        weights: Positive weights ``[M]``.
        method: Name of the method.

    Returns:
        The combined estimate ``[...]``.

    Example:
        >>> estimates = torch.tensor([[1.0, 4.0], [2.0, 0.0], [9.0, 2.0]])
        >>> combine(estimates, torch.ones(3), "median").tolist()
        [2.0, 2.0]
    """
    if len(estimates) == 1:
        return estimates[0]
    if method in ("min_magnitude", "max_magnitude"):
        magnitudes = estimates.abs()
        places = magnitudes.argmin(0) if method == "min_magnitude" else magnitudes.argmax(0)
        return estimates.gather(0, places.unsqueeze(0))[0]
    if method == "median":
        return _median(estimates, weights)
    shares = weights / weights.sum()
    mean: Tensor = torch.tensordot(shares.to(estimates.dtype), estimates, dims=1)
    if method == "mean":
        return mean
    magnitudes = estimates.abs()
    if method == "mean_magnitude":
        magnitude = torch.tensordot(shares.to(magnitudes.dtype), magnitudes, dims=1)
    else:
        magnitude = _median(magnitudes, weights)
    return torch.polar(magnitude, mean.angle())


def _median(numbers: Tensor, weights: Tensor) -> Tensor:
    """Weighted median over the first axis."""
    ordered, places = numbers.sort(dim=0)
    passed = weights.double()[places].cumsum(0)  # weight up to and including each
    half = passed[-1:] / 2
    tolerance = 1e-9 * half
    low = (passed < half - tolerance).sum(0, keepdim=True)
    high = (passed <= half + tolerance).sum(0, keepdim=True)
    middle: Tensor = (ordered.gather(0, low) + ordered.gather(0, high)) / 2
    return middle.squeeze(0)
