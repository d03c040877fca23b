"""Settings of the web page."""

from pathlib import Path

from pydantic import Field

from auralflow.config.base import DEVICE_PATTERN, Settings

__all__ = ["AppConfig"]


class AppConfig(Settings):
    """Settings of `auralflow app`."""

    model: tuple[str, ...] = Field(
        default=("SpectrogramNetSimple",),
        min_length=1,
        description="Models to choose from, each a folder or a pretrained name; the first one is preset.",
    )
    host: str = Field(
        default="127.0.0.1", min_length=1, description="Address to listen on; 0.0.0.0 lets other machines in."
    )
    allow_host: tuple[str, ...] = Field(
        default=(),
        description="Names by which browsers may open the page, as behind a proxy. Default: those of this "
        "machine, or any name if others are let in.",
    )
    port: int = Field(default=7860, ge=0, le=65535, description="Port to listen on; 0 takes any free one.")
    max_size: float = Field(default=200, gt=0, le=10000, description="Largest song in MiB.")
    max_duration: float = Field(default=900, gt=0, le=36000, description="Longest song in seconds.")
    concurrency: int = Field(default=1, ge=1, le=64, description="Songs that are separated at the same time.")
    max_waiting: int = Field(default=10, ge=0, le=1000, description="Songs that may wait for their turn.")
    keep: float = Field(
        default=60, gt=0, le=10080, description="Minutes after which songs and their stems are removed."
    )
    patience: float = Field(
        default=300,
        gt=0,
        le=36000,
        description="Seconds for which a song is still separated when no page shows it any more.",
    )
    folder: Path | None = Field(
        default=None,
        description="Folder for songs and stems while they are kept. Default: the system's temporary folder.",
    )
    device: str = Field(default="auto", pattern=DEVICE_PATTERN, description="auto, cpu, cuda, cuda:N or mps.")
