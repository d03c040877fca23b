"""Every setting of auralflow: its type, default, bounds and help. Loads no torch.

One schema serves three faces: the options of the command line, the JSON files in a model folder and the
keyword arguments in Python. Settings are frozen, and an unknown key is an error with a suggestion.

Example:
    >>> ModelConfig(net="SpectrogramNetSimple", targets=("vocals",)).hop_length
    512
    >>> parse_settings(SeparateConfig, {"overlop": 0.5}, source="settings.json")
    Traceback (most recent call last):
    auralflow.errors.SettingsError: settings.json: unknown setting 'overlop'. Did you mean 'overlap'?
"""

from auralflow.config.app import AppConfig
from auralflow.config.base import (
    Settings,
    option_name,
    parse_settings,
    read_settings,
    settings_error,
)
from auralflow.config.data import AugmentConfig, CheckConfig, ImportConfig, PrepareConfig, SynthConfig
from auralflow.config.doctor import DoctorConfig
from auralflow.config.evaluation import EvaluateConfig
from auralflow.config.model import (
    FORMAT_VERSION,
    NETS,
    RECURRENT_NETS,
    SOURCES,
    MaskActivation,
    ModelConfig,
    NetName,
    RecurrentModelConfig,
    model_config_type,
)
from auralflow.config.plot import PlotConfig
from auralflow.config.pretrained import DownloadConfig
from auralflow.config.separation import AudioFormat, EngineConfig, SeparateConfig, StemConfig
from auralflow.config.training import CriterionName, TrainConfig

__all__ = [
    "FORMAT_VERSION",
    "NETS",
    "RECURRENT_NETS",
    "SOURCES",
    "AppConfig",
    "AudioFormat",
    "AugmentConfig",
    "CheckConfig",
    "CriterionName",
    "DoctorConfig",
    "DownloadConfig",
    "EngineConfig",
    "EvaluateConfig",
    "ImportConfig",
    "MaskActivation",
    "ModelConfig",
    "NetName",
    "PlotConfig",
    "PrepareConfig",
    "RecurrentModelConfig",
    "SeparateConfig",
    "Settings",
    "StemConfig",
    "SynthConfig",
    "TrainConfig",
    "model_config_type",
    "option_name",
    "parse_settings",
    "read_settings",
    "settings_error",
]
