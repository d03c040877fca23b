"""Nets, the model around them, and model folders."""

from auralflow.models.folder import create_model_folder, load_weights, read_model_config, save_weights
from auralflow.models.loading import load
from auralflow.models.nets import (
    MaskEstimate,
    MaskNet,
    SpectrogramNetLSTM,
    SpectrogramNetSimple,
    SpectrogramNetVAE,
    create_net,
)
from auralflow.models.separator import Estimate, SpectrogramMaskModel

__all__ = [
    "Estimate",
    "MaskEstimate",
    "MaskNet",
    "SpectrogramMaskModel",
    "SpectrogramNetLSTM",
    "SpectrogramNetSimple",
    "SpectrogramNetVAE",
    "create_model_folder",
    "create_net",
    "load",
    "load_weights",
    "read_model_config",
    "save_weights",
]
