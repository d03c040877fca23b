"""Settings of what makes and prepares data."""

from pydantic import Field

from auralflow.config.base import Settings

__all__ = ["SynthConfig"]


class SynthConfig(Settings):
    """Settings of `auralflow synth`."""

    tracks: int = Field(10, ge=1, description="Number of songs.")
    seed: int = Field(0, ge=0, description="Seed of the songs.")
    seconds: float = Field(30, gt=0, le=3600, description="Length of a song in seconds.")
    sample_rate: int = Field(44100, ge=8000, le=192000, description="Sample rate in hertz.")
