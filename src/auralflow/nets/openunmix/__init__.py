"""Open-Unmix: a bidirectional LSTM for each target, and a Wiener filter for all. Does not import torch."""

from auralflow.nets.families import Family, Net
from auralflow.nets.openunmix.config import OpenUnmixConfig

__all__ = ["FAMILY", "OpenUnmixConfig"]

FAMILY = Family(
    name="openunmix",
    title="Open-Unmix: a recurrent net for each target",
    nets=(Net("OpenUnmix", OpenUnmixConfig, "a bidirectional LSTM for each target"),),
    model="auralflow.nets.openunmix.model:OpenUnmixModel",
    reader="auralflow.nets.openunmix.checkpoint:READER",
    citation='F.-R. Stoeter, S. Uhlich, A. Liutkus and Y. Mitsufuji, "Open-Unmix - A Reference '
    'Implementation for Music Source Separation", Journal of Open Source Software 4(41), 2019.',
)
