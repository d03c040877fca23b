"""Settings of a diagnosis."""

from pathlib import Path

from pydantic import Field

from auralflow.config.base import DEVICE_PATTERN, Settings

__all__ = ["DoctorConfig"]


class DoctorConfig(Settings):
    """Settings of `auralflow doctor`."""

    save: Path = Field(default=Path(), description="Folder for results, whose disk is to be checked.")
    device: str = Field(default="auto", pattern=DEVICE_PATTERN, description="Device whose speed is measured.")
    calibration: float = Field(
        default=3, ge=0, le=600, description="Seconds to spend on measuring the speed; 0 skips it."
    )
