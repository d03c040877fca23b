"""U-Nets that estimate masks on magnitude spectrograms: auralflow's own nets. Does not import torch."""

from auralflow.nets.families import Family, Net
from auralflow.nets.unet.config import NETS, RecurrentNetConfig, SpectrogramNetConfig

__all__ = ["FAMILY", "NETS", "RecurrentNetConfig", "SpectrogramNetConfig"]

FAMILY = Family(
    name="unet",
    title="U-Nets with masks, auralflow's own",
    nets=(
        Net(NETS[0], SpectrogramNetConfig, "U-Net alone: smallest and fastest, takes any length"),
        Net(NETS[1], RecurrentNetConfig, "U-Net with a recurrent bottleneck"),
        Net(NETS[2], RecurrentNetConfig, "U-Net with a variational latent and a recurrent bottleneck"),
    ),
    model="auralflow.nets.unet.model:SpectrogramMaskModel",
    citation="A. Jansson et al., Singing Voice Separation with Deep U-Net Convolutional Networks, ISMIR 2017",
)
