"""Pretrained models: their cards, and where their weights are. Loads no torch.

A model is a card, in this package, and a safetensors file, which is shipped with the package, lies in a
checkout of the repository, on a mirror or in the cache, or is downloaded.

Example:
    >>> registry = installed_registry()
    >>> all(registry.card(name).name == name for name in registry.names)
    True
"""

from auralflow.pretrained.card import (
    CARD_FILE,
    DataPart,
    ModelCard,
    ScoreTable,
    TargetScore,
    TrackScore,
    TrainingRecord,
)
from auralflow.pretrained.registry import SHIPPED_WEIGHTS, Registry, installed_registry
from auralflow.pretrained.weights import Access, Place, fetch_weights, find_weights

__all__ = [
    "CARD_FILE",
    "SHIPPED_WEIGHTS",
    "Access",
    "DataPart",
    "ModelCard",
    "Place",
    "Registry",
    "ScoreTable",
    "TargetScore",
    "TrackScore",
    "TrainingRecord",
    "fetch_weights",
    "find_weights",
    "installed_registry",
]
