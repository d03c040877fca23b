"""Settings of an evaluation."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from auralflow.config.separation import EngineConfig

__all__ = ["EvaluateConfig"]


class EvaluateConfig(EngineConfig):
    """Settings of `auralflow evaluate`; models separate with those of the engine."""

    subset: Literal["train", "valid", "test"] = Field(
        default="test", description="Part of the dataset to score."
    )
    save: Path | None = Field(
        default=None,
        description="Folder of the report, or a JSON file for the scores alone (a name in .json).",
    )
    estimates: tuple[Path, ...] = Field(
        default=(),
        description="Folder of stems, or of museval's scores, of another separator; may be repeated.",
    )
    bounds: bool = Field(default=True, description="Score the mixture itself and ideal masks too.")
    bss_eval: bool = Field(
        default=False, description="ISR, SIR and SAR of museval; slow, holds a track in memory."
    )
    log_spectral_distance: bool = Field(default=False, description="Distance between spectra.")
    stoi: bool = Field(default=False, description="Intelligibility of the vocals; needs the extra 'metrics'.")
    jobs: int = Field(default=1, ge=1, description="Tracks at once.")
