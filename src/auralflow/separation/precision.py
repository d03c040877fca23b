"""What numbers a net computes with, on this machine."""

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
"""What bfloat16 may change, in dB relative to the estimates, to be chosen without being asked for: far below
the errors of the separation itself, which are at -10 dB in the best models of today."""
SAME_SAMPLES = -90.0
"""Estimates that differ by less are the same to a journal: it is below the last bit of 16."""


def resolved_precision(model: SeparationModel, settings: EngineConfig, device: torch.device) -> Precision:
    """The precision that ``auto`` stands for, or what was asked for.

    Args:
        model: The model, which states what bfloat16 changes.
        settings: The settings.
        device: Where it computes.

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
        return "float32", "an exported graph is in float32"
    if traits.bfloat16_error is None or traits.bfloat16_error > LARGEST_ERROR:
        return "float32", "this net has not been shown to lose little in bfloat16"
    speedup = bfloat16_speedup(device)
    if not speedup:
        return "float32", f"{device} has no units for bfloat16"
    measured = f"bfloat16 runs at {speedup:.2g} times the speed of float32 on {device}"
    return ("bfloat16" if speedup > 1 else "float32"), measured


def samples_depend_on(precision: str, traits: Traits) -> bool:
    """Whether a precision gives other samples than float32, beyond the tolerance of a journal.

    Example:
        >>> samples_depend_on("bfloat16", Traits(bfloat16_error=-100))
        False
    """
    error = traits.bfloat16_error
    return precision != "float32" and (error is None or error > SAME_SAMPLES)
