"""Spleeter: one U-Net per target, with masks that sum to one. Does not import torch."""

from auralflow.nets.families import Family, Net
from auralflow.nets.spleeter.config import SpleeterConfig

__all__ = ["FAMILY", "SpleeterConfig"]

FAMILY = Family(
    name="spleeter",
    title="Spleeter: a U-Net for each target",
    nets=(Net("Spleeter", SpleeterConfig, "a U-Net for each target, with masks that sum to one"),),
    model="auralflow.nets.spleeter.model:SpleeterModel",
    reader="auralflow.nets.spleeter.checkpoint:READER",
    citation='R. Hennequin, A. Khlif, F. Voituret and M. Moussallam, "Spleeter: a fast and efficient music '
    'source separation tool with pre-trained models", Journal of Open Source Software 5(50), 2020.',
)
