"""Transforms between audio and spectrograms, and from chunks back to an entire signal.

Every transform exists both as a module, whose window or filters are buffers that ``.to(device)`` moves, and
as a function of the same name in lower case.

Shape letters: ``B`` batch, ``S`` source, ``C`` channel, ``F`` frequency bin, ``T`` frame, ``N`` sample,
``M`` mel band.
"""

from auralflow.transforms.chunking import Chunking, WindowName, cross_fade_window
from auralflow.transforms.chunks import overlap_add
from auralflow.transforms.mel import MelScale, mel_filters, mel_scale
from auralflow.transforms.phase import griffin_lim
from auralflow.transforms.spectra import (
    STFT,
    CenteredSTFT,
    Transform,
    add_frames,
    decibel,
    istft,
    magnitude,
    phase,
    reconstruct,
    stft,
)
from auralflow.transforms.wiener import wiener_filter

__all__ = [
    "STFT",
    "CenteredSTFT",
    "Chunking",
    "MelScale",
    "Transform",
    "WindowName",
    "add_frames",
    "cross_fade_window",
    "decibel",
    "griffin_lim",
    "istft",
    "magnitude",
    "mel_filters",
    "mel_scale",
    "overlap_add",
    "phase",
    "reconstruct",
    "stft",
    "wiener_filter",
]
