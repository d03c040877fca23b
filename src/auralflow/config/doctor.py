"""Settings of a diagnosis."""

from pathlib import Path

from pydantic import Field

from auralflow.config.base import DEVICE_PATTERN, Settings

__all__ = ["DoctorConfig"]


class DoctorConfig(Settings):
    """Settings of `auralflow doctor`."""

    save: Path = Field(default=Path(), description="Folder that results shall go to; its disk is checked.")
    device: str = Field(default="auto", pattern=DEVICE_PATTERN, description="Where to measure the speed.")
    calibration: float = Field(
        default=3, ge=0, le=600, description="Seconds to measure the speed for; 0: do not."
    )
