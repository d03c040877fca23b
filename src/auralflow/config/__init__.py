"""Every setting of auralflow: its type, default, bounds and help. Loads no torch.

One schema defines three interfaces: the command-line options, the JSON files in a model folder and the
keyword arguments in Python. Settings are frozen, and an unknown key is an error with a suggestion.

Example:
    >>> ModelConfig(targets=("vocals",), sample_length=2).chunk_samples
    88200
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
from auralflow.config.data import (
    AugmentConfig,
    ChangeConfig,
    CheckConfig,
    ImportConfig,
    PrepareConfig,
    SynthConfig,
)
from auralflow.config.doctor import DoctorConfig
from auralflow.config.ensemble import METHOD_ALIASES, EnsembleOptions, Method
from auralflow.config.evaluation import EvaluateConfig, ScoreConfig
from auralflow.config.import_model import ImportModelConfig
from auralflow.config.keywords import EngineKeywords, show_settings
from auralflow.config.model import DEFAULT_FAMILY, FORMAT_VERSION, SOURCES, LinkedWeights, ModelConfig
from auralflow.config.plot import PlotConfig
from auralflow.config.pretrained import DownloadConfig, LicenceTerms, ListConfig
from auralflow.config.separation import AudioFormat, EngineConfig, SeparateConfig, StemConfig
from auralflow.config.training import LossConfig, TrainConfig

__all__ = [
    "DEFAULT_FAMILY",
    "FORMAT_VERSION",
    "METHOD_ALIASES",
    "SOURCES",
    "AppConfig",
    "AudioFormat",
    "AugmentConfig",
    "ChangeConfig",
    "CheckConfig",
    "DoctorConfig",
    "DownloadConfig",
    "EngineConfig",
    "EngineKeywords",
    "EnsembleOptions",
    "EvaluateConfig",
    "ImportConfig",
    "ImportModelConfig",
    "LicenceTerms",
    "LinkedWeights",
    "ListConfig",
    "LossConfig",
    "Method",
    "ModelConfig",
    "PlotConfig",
    "PrepareConfig",
    "ScoreConfig",
    "SeparateConfig",
    "Settings",
    "StemConfig",
    "SynthConfig",
    "TrainConfig",
    "option_name",
    "parse_settings",
    "read_settings",
    "settings_error",
    "show_settings",
]
