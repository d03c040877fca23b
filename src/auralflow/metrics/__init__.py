"""Metrics: how close an estimate is to its reference, mostly in decibels.

Every metric is a pure function of two tensors of the same shape, the estimate first. It is computed over the
last dimension (time), in float64, on the device of its inputs; all other dimensions remain.

*Silence.* A ratio to silence is undefined: if the reference is silent, the score is NaN, without an exception
or a warning. The scale-invariant metrics are also NaN for a silent estimate, which has no scale to fit.
Average with ``torch.nanmean``, and report how many scores were left out.

*Channels.* A metric over ``(..., time)`` scores each channel separately. To score a stereo pair as one
signal, with one scale, pass ``pool_channels(audio)``. ``sdr``, ``framewise_sdr`` and ``bss_eval`` pool the
channels themselves.

*Streams.* `RatioSums` computes the same scores block by block.

Example:
    >>> import torch
    >>> from auralflow.metrics import pool_channels, si_sdr
    >>> reference = torch.tensor([[3.0, -0.5, 2.0, 7.0]])
    >>> estimate = torch.tensor([[2.5, 0.0, 2.0, 8.0]])
    >>> round(si_sdr(pool_channels(estimate), pool_channels(reference)).item(), 3)
    18.403
"""

from typing import TYPE_CHECKING

from auralflow.lazy import load_later

if TYPE_CHECKING:
    from auralflow.metrics.bss import BssScores, bss_eval
    from auralflow.metrics.frames import framewise_sdr
    from auralflow.metrics.ratios import check_shapes, pool_channels, sd_sdr, sdr, si_sdr, si_snr, snr
    from auralflow.metrics.spectral import log_spectral_distance
    from auralflow.metrics.speech import stoi
    from auralflow.metrics.streaming import RatioSums
    from auralflow.metrics.table import METRICS, Metric

__all__ = [
    "METRICS",
    "BssScores",
    "Metric",
    "RatioSums",
    "bss_eval",
    "check_shapes",
    "framewise_sdr",
    "log_spectral_distance",
    "pool_channels",
    "sd_sdr",
    "sdr",
    "si_sdr",
    "si_snr",
    "snr",
    "stoi",
]

_MODULES = {
    "bss": "BssScores bss_eval",
    "frames": "framewise_sdr",
    "ratios": "check_shapes pool_channels sd_sdr sdr si_sdr si_snr snr",
    "spectral": "log_spectral_distance",
    "speech": "stoi",
    "streaming": "RatioSums",
    "table": "METRICS Metric",
}
_PLACES = {name: f"{__name__}.{module}" for module, names in _MODULES.items() for name in names.split()}

# Imported on demand: all functions need torch, and the table of metrics must not load it.
if not TYPE_CHECKING:  # see `load_later`
    __getattr__, __dir__ = load_later(__name__, _PLACES, __all__)
