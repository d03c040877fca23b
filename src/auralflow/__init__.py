"""Music source separation: split a song into its vocals, drums, bass and other instruments.

Modules are imported when they are first used, so ``import auralflow`` takes almost no time:

- `auralflow.Separator`: separates audio with a model
- `auralflow.models`: loads models; model folders, pretrained models and exports
- `auralflow.nets`: the families of nets, and the interface that all nets share
- `auralflow.separation`: separates signals, streams, files and folders
- `auralflow.trainer`: trains models
- `auralflow.evaluation`: scores models and compares them with other systems
- `auralflow.diagnosis`: checks whether auralflow works on this machine
- `auralflow.visualizer`: plots audio, masks and training runs
- `auralflow.app`: serves the web page
- `auralflow.datasets`: indexes folders of music and draws chunks from them
- `auralflow.losses`, `auralflow.metrics`: what training minimises, and what scores measure
- `auralflow.synth`: generates songs of four stems
- `auralflow.transforms`, `auralflow.audio`: spectrograms and chunks; reading and writing files
- `auralflow.config`, `auralflow.errors`: all settings, and all exceptions

Example:
    >>> import auralflow
    >>> model = auralflow.models.load("SpectrogramNetSimple", target="vocals")
    >>> model.targets
    ('vocals',)
    >>> auralflow.Separator(model).targets
    ('vocals',)
"""

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from auralflow import (
        app,
        audio,
        config,
        datasets,
        diagnosis,
        errors,
        evaluation,
        losses,
        metrics,
        models,
        nets,
        separation,
        synth,
        trainer,
        transforms,
        visualizer,
    )
    from auralflow.separation import Separator

__version__ = "0.1.0"

__all__ = [
    "Separator",
    "__version__",
    "app",
    "audio",
    "config",
    "datasets",
    "diagnosis",
    "errors",
    "evaluation",
    "losses",
    "metrics",
    "models",
    "nets",
    "separation",
    "synth",
    "trainer",
    "transforms",
    "visualizer",
]

# Hidden from type checkers, which would otherwise accept any name as an attribute.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> ModuleType | type:
        if name == "Separator":
            return importlib.import_module("auralflow.separation").Separator
        if name in __all__:
            return importlib.import_module(f"auralflow.{name}")
        raise AttributeError(f"module 'auralflow' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
