"""MDX-Net: TFC-TDF nets, version 2, one for each target. Does not import torch."""

from auralflow.nets.families import Family, Net
from auralflow.nets.mdxnet.config import MDXNetConfig

__all__ = ["FAMILY", "MDXNetConfig"]

FAMILY = Family(
    name="mdxnet",
    title="MDX-Net: one target, complex spectrograms out",
    nets=(Net("MDXNet", MDXNetConfig, "TFC-TDF net, version 2, one target"),),
    model="auralflow.nets.mdxnet.model:MDXNetModel",
    reader="auralflow.nets.mdxnet.reader:READER",
    citation="M. Kim et al., KUIELab-MDX-Net: A Two-Stream Neural Network for Music Demixing, "
    "arXiv 2111.12203",
)
