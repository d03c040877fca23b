"""Settings of a separation."""

from pathlib import Path

from pydantic import Field

from auralflow.config.base import DEVICE_PATTERN, Settings

__all__ = ["SeparateConfig"]


class SeparateConfig(Settings):
    """Settings of `auralflow separate`."""

    residual: bool = Field(False, description="Write residual.wav too: the original minus the targets.")
    duration: float | None = Field(None, gt=0, description="Separate the first seconds only. Default: all.")
    save: Path = Field(Path(), description="Folder in which separated_audio/ is made.")
    overlap: float = Field(0.25, ge=0, lt=1, description="Share of a chunk that the next one covers again.")
    batch_size: int = Field(4, ge=1, description="Chunks that the net sees at once.")
    device: str = Field("auto", pattern=DEVICE_PATTERN, description="auto, cpu, cuda, cuda:N or mps.")
