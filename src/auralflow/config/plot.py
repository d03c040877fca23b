"""Settings of a picture."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from auralflow.config.base import Settings

__all__ = ["PlotConfig"]


class PlotConfig(Settings):
    """Settings of `auralflow plot`."""

    kind: Literal["waveform", "spectrogram", "mel", "mask", "difference", "training"] = Field(
        "spectrogram", description="What to draw; mask and difference take two files."
    )
    save: Path | None = Field(None, description="Folder of the pictures. Default: beside each file.")
    picture: Literal["png", "svg", "pdf"] = Field("png", description="Format of the pictures.")
    num_fft: int = Field(2048, ge=16, le=65536, description="Length of the Fourier transform in samples.")
    start: float = Field(0.0, ge=0, description="Where to begin in the audio, in seconds.")
    duration: float | None = Field(None, gt=0, description="How many seconds to draw. Default: all.")
