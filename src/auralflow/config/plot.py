"""Settings of a picture."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from auralflow.config.base import Settings

__all__ = ["PlotConfig"]


class PlotConfig(Settings):
    """Settings of `auralflow plot`."""

    kind: Literal["waveform", "spectrogram", "mel", "mask", "difference", "training"] = Field(
        default="spectrogram", description="What to draw; mask and difference take two files."
    )
    save: Path | None = Field(default=None, description="Folder of the pictures. Default: beside each file.")
    picture: Literal["png", "svg", "pdf"] = Field(default="png", description="Format of the pictures.")
    num_fft: int = Field(
        default=2048, ge=16, le=65536, description="Length of the Fourier transform in samples."
    )
    start: float = Field(default=0.0, ge=0, description="Where to begin in the audio, in seconds.")
    duration: float | None = Field(default=None, gt=0, description="How many seconds to draw. Default: all.")
