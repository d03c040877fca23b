"""BS-RoFormer and Mel-Band RoFormer: transformers over time and frequency bands. Does not import torch."""

from auralflow.nets.families import Family, Net
from auralflow.nets.roformer.config import BSRoformerConfig, MelBandRoformerConfig

__all__ = ["FAMILY", "BSRoformerConfig", "MelBandRoformerConfig"]

FAMILY = Family(
    name="roformer",
    title="RoFormers: transformers over time and bands, complex masks",
    nets=(
        Net("BSRoformer", BSRoformerConfig, "RoFormer over adjacent bands"),
        Net("MelBandRoformer", MelBandRoformerConfig, "RoFormer over overlapping bands on the mel scale"),
    ),
    model="auralflow.nets.roformer.model:RoformerModel",
    reader="auralflow.nets.roformer.reader:READER",
    citation="W.-T. Lu et al., Music Source Separation with Band-Split RoPE Transformer, ICASSP 2024; "
    "J.-C. Wang et al., Mel-Band RoFormer for Music Source Separation, arXiv 2310.01809",
)
