"""Hybrid Demucs, with a transformer and without: spectrogram and waveform together. Loads no torch."""

from auralflow.nets.families import Family, Net
from auralflow.nets.htdemucs.config import HDemucsConfig, HTDemucsConfig

__all__ = ["FAMILY", "HDemucsConfig", "HTDemucsConfig"]

FAMILY = Family(
    name="htdemucs",
    title="Hybrid Demucs: spectrogram and waveform together",
    nets=(
        Net("HTDemucs", HTDemucsConfig, "Hybrid Demucs with a transformer, 42 million parameters"),
        Net("HDemucs", HDemucsConfig, "Hybrid Demucs without a transformer, 84 million parameters"),
    ),
    model="auralflow.nets.htdemucs.model:HybridDemucsModel",
    reader="auralflow.nets.htdemucs.reader:READER",
    citation="S. Rouard, F. Massa and A. Défossez, Hybrid Transformers for Music Source Separation, "
    "ICASSP 2023",
)
