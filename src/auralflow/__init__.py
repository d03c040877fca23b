"""Music source separation by deep mask estimation.

The parts load when they are first used, so that ``import auralflow`` costs nothing:

- `auralflow.Separator`: separate audio with a model, its folder or its name
- `auralflow.models`: ``load`` a model; folders, pretrained models, exports
- `auralflow.nets`: the door to every net, ``auralflow.nets.door``, and the families of nets
- `auralflow.separation`: separate signals, streams, files and folders
- `auralflow.trainer`: train a model
- `auralflow.evaluation`: score a model
- `auralflow.diagnosis`: whether all works on this machine
- `auralflow.visualizer`: pictures of audio and trainings
- `auralflow.app`: the web page
- `auralflow.datasets`: chunks of music, generated songs
- `auralflow.losses`, `auralflow.metrics`, `auralflow.transforms`, `auralflow.audio`

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
    "trainer",
    "transforms",
    "visualizer",
]


def __getattr__(name: str) -> ModuleType | type["Separator"]:
    if name == "Separator":
        return importlib.import_module("auralflow.separation").Separator  # type: ignore[no-any-return]
    if name in __all__:
        return importlib.import_module(f"auralflow.{name}")
    raise AttributeError(f"module 'auralflow' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
