"""Settings of a plot."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from auralflow.config.base import Settings

__all__ = ["PlotConfig"]


class PlotConfig(Settings):
    """Settings of `auralflow plot`."""

    kind: Literal["waveform", "spectrogram", "mel", "mask", "difference", "training"] = Field(
        default="spectrogram", description="What to plot; mask and difference need two files."
    )
    save: Path | None = Field(
        default=None,
        description="Folder for the plots. Default: beside each audio file, or in the model's folder.",
    )
    picture: Literal["png", "svg", "pdf"] = Field(default="png", description="File format of the plots.")
    num_fft: int = Field(
        default=2048, ge=16, le=65536, description="Length of the Fourier transform in samples."
    )
    start: float = Field(default=0.0, ge=0, description="Start of the excerpt to plot, in seconds.")
    duration: float | None = Field(
        default=None, gt=0, description="Length of the excerpt to plot, in seconds. Default: to the end."
    )
