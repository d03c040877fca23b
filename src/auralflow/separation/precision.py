"""The number format that a net computes in on this machine."""

import logging
from typing import Literal

import torch

from auralflow.config import EngineConfig
from auralflow.machine import bfloat16_speedup
from auralflow.nets.door import SeparationModel, Traits

__all__ = ["Precision", "resolved_precision", "samples_depend_on"]

logger = logging.getLogger(__name__)

Precision = Literal["float32", "bfloat16"]

LARGEST_ERROR = -40.0
"""Maximum error of bfloat16, in dB relative to the estimates, for ``auto`` to pick it: far below the error of
the separation itself, about -10 dB for the best current models."""
SAME_SAMPLES = -90.0
"""Estimates that differ by less count as equal in the journal: this is below the last of 16 bits."""


def resolved_precision(model: SeparationModel, settings: EngineConfig, device: torch.device) -> Precision:
    """Resolve the precision ``auto``; any other is returned unchanged.

    Args:
        model: The model, whose traits state the error of bfloat16.
        settings: The settings.
        device: The device to compute on.

    Returns:
        The precision.

    Example:
        >>> from auralflow.nets.families import create_model
        >>> from auralflow.nets.htdemucs import HDemucsConfig
        >>> with torch.device("meta"):
        ...     model = create_model(HDemucsConfig())
        >>> resolved_precision(model, EngineConfig(), torch.device("meta"))
        'float32'
    """
    if settings.precision != "auto":
        return settings.precision
    precision, reason = _choice(model.traits, settings, device)
    logger.info("precision %s: %s", precision, reason)
    return precision


def _choice(traits: Traits, settings: EngineConfig, device: torch.device) -> tuple[Precision, str]:
    if settings.backend == "onnx":
        return "float32", "the exported graph is in float32"
    error = traits.bfloat16_error
    if error is None:
        return "float32", "the error of this net in bfloat16 is unknown"
    if error > LARGEST_ERROR:
        return "float32", f"bfloat16 changes this net's estimates by {error:g} dB, above {LARGEST_ERROR:g} dB"
    speedup = bfloat16_speedup(device)
    if not speedup:
        return "float32", f"{device} has no hardware support for bfloat16"
    measured = f"bfloat16 runs at {speedup:.2g} times the speed of float32 on {device}"
    return ("bfloat16" if speedup > 1 else "float32"), measured


def samples_depend_on(precision: str, traits: Traits) -> bool:
    """Whether a precision changes the samples relative to float32 by more than the journal's tolerance.

    Example:
        >>> samples_depend_on("bfloat16", Traits(bfloat16_error=-100))
        False
    """
    error = traits.bfloat16_error
    return precision != "float32" and (error is None or error > SAME_SAMPLES)
