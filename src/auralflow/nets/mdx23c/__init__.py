"""MDX23C: TFC-TDF nets, version 3. Does not import torch."""

from auralflow.nets.families import Family, Net
from auralflow.nets.mdx23c.config import MDX23CConfig

__all__ = ["FAMILY", "MDX23CConfig"]

FAMILY = Family(
    name="mdx23c",
    title="MDX23C: convolutions and layers across frequency, complex spectrograms out",
    nets=(Net("MDX23C", MDX23CConfig, "TFC-TDF net, version 3, several targets"),),
    model="auralflow.nets.mdx23c.model:MDX23CModel",
    reader="auralflow.nets.mdx23c.reader:READER",
    citation="M. Kim, J. H. Lee and S. Jung, Sound Demixing Challenge 2023 Music Demixing Track Technical "
    "Report: TFC-TDF-UNet v3, arXiv 2306.09382",
)
