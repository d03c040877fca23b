"""Settings of an evaluation."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from auralflow.config.base import DEVICE_PATTERN, Settings

__all__ = ["EvaluateConfig"]


class EvaluateConfig(Settings):
    """Settings of `auralflow evaluate`."""

    subset: Literal["train", "valid", "test"] = Field("test", description="Part of the dataset to score.")
    save: Path | None = Field(
        None, description="Folder of the report, or a JSON file for the scores alone (a name in .json)."
    )
    estimates: tuple[Path, ...] = Field(
        (), description="Folder of stems, or of museval's scores, of another separator; may be repeated."
    )
    bounds: bool = Field(True, description="Score the mixture itself and ideal masks too.")
    bss_eval: bool = Field(False, description="ISR, SIR and SAR of museval; slow, holds a track in memory.")
    log_spectral_distance: bool = Field(False, description="Distance between spectra.")
    stoi: bool = Field(False, description="Intelligibility of the vocals; needs the extra 'metrics'.")
    jobs: int = Field(1, ge=1, description="Tracks at once.")
    overlap: float = Field(0.25, ge=0, lt=1, description="Share of a chunk that the next one covers again.")
    batch_size: int = Field(4, ge=1, description="Chunks that the net sees at once.")
    device: str = Field("auto", pattern=DEVICE_PATTERN, description="auto, cpu, cuda, cuda:N or mps.")
