"""SCNet: compressed frequency bands, and recurrence over frequency and time. Does not import torch."""

from auralflow.nets.families import Family, Net
from auralflow.nets.scnet.config import LARGE, XL, XL_IHF, SCNetConfig

__all__ = ["FAMILY", "SCNetConfig"]

FAMILY = Family(
    name="scnet",
    title="SCNet: unequally compressed bands, complex spectrograms out",
    nets=(
        Net("SCNet", SCNetConfig, "sparse compression network, 10.6 million parameters"),
        Net("SCNetLarge", SCNetConfig, "wider SCNet, 42 million parameters", presets=LARGE),
        Net("SCNetXL", SCNetConfig, "deeper SCNet, 54 million parameters", presets=XL),
        Net(
            "SCNetXLIHF",
            SCNetConfig,
            "SCNetXL with finer high frequencies, 53 million parameters",
            presets=XL_IHF,
        ),
    ),
    model="auralflow.nets.scnet.model:SCNetModel",
    reader="auralflow.nets.scnet.reader:READER",
    citation="W. Tong et al., SCNet: Sparse Compression Network for Music Source Separation, ICASSP 2024",
)
