"""The door to every net, audio in and estimate out, and one room for each family of nets. Loads no torch.

Example:
    >>> from auralflow import nets
    >>> nets.find_family("unet").title
    "U-Nets with masks, auralflow's own"
"""

import importlib
from typing import TYPE_CHECKING, Any

from auralflow.nets.families import FAMILIES, Family, Net, all_nets, create_model, find_family

if TYPE_CHECKING:
    from auralflow.nets.door import Estimate, Graph, SeparationModel, Traits, WarmStart

__all__ = [
    "FAMILIES",
    "Estimate",
    "Family",
    "Graph",
    "Net",
    "SeparationModel",
    "Traits",
    "WarmStart",
    "all_nets",
    "create_model",
    "find_family",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module("auralflow.nets.door"), name)
    raise AttributeError(f"module 'auralflow.nets' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
