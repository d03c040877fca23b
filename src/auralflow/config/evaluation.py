"""Settings of an evaluation."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from auralflow.config.base import DEVICE_PATTERN, Settings

__all__ = ["EvaluateConfig"]


class EvaluateConfig(Settings):
    """Settings of `auralflow evaluate`."""

    subset: Literal["train", "valid", "test"] = Field("test", description="Part of the dataset to score.")
    save: Path | None = Field(None, description="JSON file for the scores.")
    overlap: float = Field(0.25, ge=0, lt=1, description="Share of a chunk that the next one covers again.")
    batch_size: int = Field(4, ge=1, description="Chunks that the net sees at once.")
    device: str = Field("auto", pattern=DEVICE_PATTERN, description="auto, cpu, cuda, cuda:N or mps.")
