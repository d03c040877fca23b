"""Demucs: spectrogram and waveform together, or the waveform alone. Does not import torch."""

from auralflow.nets.families import Family, Net
from auralflow.nets.htdemucs.config import DemucsConfig, HDemucsConfig, HTDemucsConfig

__all__ = ["FAMILY", "DemucsConfig", "HDemucsConfig", "HTDemucsConfig"]

FAMILY = Family(
    name="htdemucs",
    title="Demucs: spectrogram and waveform together, or the waveform alone",
    nets=(
        Net("HTDemucs", HTDemucsConfig, "Hybrid Demucs with a transformer, 42 million parameters"),
        Net("HDemucs", HDemucsConfig, "Hybrid Demucs without a transformer, 84 million parameters"),
        Net("Demucs", DemucsConfig, "Demucs on the waveform alone, as in its second and third version"),
    ),
    model="auralflow.nets.htdemucs.model:DemucsModel",
    reader="auralflow.nets.htdemucs.reader:READER",
    citation="S. Rouard, F. Massa and A. Défossez, Hybrid Transformers for Music Source Separation, "
    "ICASSP 2023",
)
