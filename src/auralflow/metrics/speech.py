"""Intelligibility of speech and singing; needs the extra ``metrics``."""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from auralflow.errors import UsageError
from auralflow.metrics.ratios import as_pair, is_silent

__all__ = ["stoi"]


def stoi(estimate: Tensor, reference: Tensor, sample_rate: int, *, extended: bool = False) -> Tensor:
    """Short-time objective intelligibility: how well words can be understood, about 0 to 1.

    Designed for speech; meaningless for an instrument. It is computed on the CPU, at 10 kHz, in numpy.

    Args:
        estimate: Estimated samples ``(..., time)``.
        reference: True samples, same shape.
        sample_rate: In hertz.
        extended: The extended measure, which fits modulated noise better.

    Returns:
        Correlations ``(...)``, float64; NaN where either signal is silent, or too short (about 0.4 s of sound
        are needed).

    Raises:
        UsageError: If the shapes differ, or the extra is not installed.

    Source:
        Taal et al., "An algorithm for intelligibility prediction of time-frequency weighted noisy speech",
        IEEE Trans. ASLP 19(7), 2011; computed by torchmetrics and pystoi.
    """
    estimate, reference = as_pair(estimate, reference)
    try:
        # Imported here, because nothing else needs the extra.
        import pystoi  # noqa: F401
        from torchmetrics.functional.audio import short_time_objective_intelligibility as library
    except ImportError:
        raise UsageError(
            "STOI needs the package pystoi", advice='Run: pip install "auralflow[metrics]"'
        ) from None
    shape = reference.shape[:-1]
    scores = []
    for own, true in zip(
        estimate.reshape(-1, estimate.shape[-1]), reference.reshape(-1, reference.shape[-1]), strict=True
    ):
        scores.append(
            torch.nan
            if is_silent(own) or is_silent(true)
            else _score(library, own, true, sample_rate, extended)
        )
    return torch.tensor(scores, dtype=torch.float64, device=estimate.device).reshape(shape)


def _score(
    library: Callable[..., Tensor], own: Tensor, true: Tensor, sample_rate: int, extended: bool
) -> float:
    with warnings.catch_warnings(record=True) as complaints:
        warnings.simplefilter("always")
        try:
            score = float(library(own.cpu(), true.cpu(), sample_rate, extended))
        except ValueError:
            # Shorter than one frame: the library would fail.
            return torch.nan
    too_short = any("STFT frames" in str(complaint.message) for complaint in complaints)
    return torch.nan if too_short else score
