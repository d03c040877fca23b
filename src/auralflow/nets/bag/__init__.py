"""Ensembles: several models of any family, whose estimates are combined. Does not import torch."""

from auralflow.nets.bag.config import EnsembleConfig, MemberConfig
from auralflow.nets.families import Family, Net

__all__ = ["FAMILY", "EnsembleConfig", "MemberConfig"]

FAMILY = Family(
    name="bag",
    title="Ensemble of models",
    nets=(Net("Ensemble", EnsembleConfig, "several models, whose estimates are combined", composed=True),),
    model="auralflow.nets.bag.model:EnsembleModel",
    reader="auralflow.nets.bag.reader:READER",
)
