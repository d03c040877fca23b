"""Spleeter: a U-Net for each target, which share the mixture out among them. Loads no torch."""

from auralflow.nets.families import Family, Net
from auralflow.nets.spleeter.config import SpleeterConfig

__all__ = ["FAMILY", "SpleeterConfig"]

FAMILY = Family(
    name="spleeter",
    title="Spleeter: a U-Net for each target",
    nets=(Net("Spleeter", SpleeterConfig, "a U-Net for each target, which share the mixture out"),),
    model="auralflow.nets.spleeter.model:SpleeterModel",
    reader="auralflow.nets.spleeter.checkpoint:READER",
    citation='R. Hennequin, A. Khlif, F. Voituret and M. Moussallam, "Spleeter: a fast and efficient music '
    'source separation tool with pre-trained models", Journal of Open Source Software 5(50), 2020.',
)
