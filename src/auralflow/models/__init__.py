"""Models on disk: folders, cards, the registry of pretrained models, downloads, exports.

Cards and the registry do not need torch; functions that do are imported on first use.

Example:
    >>> from auralflow import models
    >>> card = models.installed_registry().card("SpectrogramNetSimple")
    >>> card.targets
    ('vocals', 'drums', 'bass', 'other')
"""

from typing import TYPE_CHECKING

from auralflow.lazy import load_later
from auralflow.models.card import (
    CARD_FILE,
    DataPart,
    ModelCard,
    ScoreTable,
    TargetScore,
    TrackScore,
    TrainingRecord,
)
from auralflow.models.catalogue import named_models
from auralflow.models.lookup import read_model_config
from auralflow.models.public_card import PublicCard
from auralflow.models.registry import SHIPPED_WEIGHTS, Registry, installed_registry
from auralflow.models.weights import Access, Place, fetch_weights, find_weights
from auralflow.models.writing import create_model_folder
from auralflow.nets.families import create_model

if TYPE_CHECKING:
    from auralflow.models.ensembles import draft_ensemble
    from auralflow.models.export import export_onnx
    from auralflow.models.folder import load_weights, save_weights
    from auralflow.models.importing import import_model
    from auralflow.models.loading import load, save_pretrained

__all__ = [
    "CARD_FILE",
    "SHIPPED_WEIGHTS",
    "Access",
    "DataPart",
    "ModelCard",
    "Place",
    "PublicCard",
    "Registry",
    "ScoreTable",
    "TargetScore",
    "TrackScore",
    "TrainingRecord",
    "create_model",
    "create_model_folder",
    "draft_ensemble",
    "export_onnx",
    "fetch_weights",
    "find_weights",
    "import_model",
    "installed_registry",
    "load",
    "load_weights",
    "named_models",
    "read_model_config",
    "save_pretrained",
    "save_weights",
]

_LATER = {
    "draft_ensemble": "auralflow.models.ensembles",
    "import_model": "auralflow.models.importing",
    "export_onnx": "auralflow.models.export",
    "load": "auralflow.models.loading",
    "load_weights": "auralflow.models.folder",
    "save_pretrained": "auralflow.models.loading",
    "save_weights": "auralflow.models.folder",
}
"""Modules of the names that need torch."""

if not TYPE_CHECKING:  # see `load_later`
    __getattr__, __dir__ = load_later(__name__, _LATER, __all__)
