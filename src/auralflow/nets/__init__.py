"""The common interface of all nets, audio in and estimate out, and the families of nets.

Does not import torch until it is needed.

Example:
    >>> from auralflow import nets
    >>> nets.find_family("unet").title
    "U-Nets with masks, auralflow's own"
"""

from typing import TYPE_CHECKING

from auralflow.lazy import load_later
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

_LATER = ("Estimate", "Graph", "SeparationModel", "Traits", "WarmStart")
"""Names that need torch."""

if not TYPE_CHECKING:  # see `load_later`
    __getattr__, __dir__ = load_later(__name__, dict.fromkeys(_LATER, "auralflow.nets.door"), __all__)
