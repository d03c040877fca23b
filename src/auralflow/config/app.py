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
        description="Models to choose from, each a folder or a pretrained name; the first is the default.",
    )
    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address to listen on; 0.0.0.0 accepts connections from other machines.",
    )
    allow_host: tuple[str, ...] = Field(
        default=(),
        description="Host names under which browsers may open the page, for example behind a proxy. Default: "
        "those of this machine, or any name if other machines can connect.",
    )
    port: int = Field(default=7860, ge=0, le=65535, description="Port to listen on; 0 picks a free one.")
    max_size: float = Field(default=200, gt=0, le=10000, description="Maximum size of a song in MiB.")
    max_duration: float = Field(
        default=900, gt=0, le=36000, description="Maximum length of a song in seconds."
    )
    concurrency: int = Field(default=1, ge=1, le=64, description="Number of songs to separate concurrently.")
    max_waiting: int = Field(
        default=10, ge=0, le=1000, description="Maximum number of songs waiting in the queue."
    )
    keep: float = Field(
        default=60, gt=0, le=10080, description="Minutes to keep songs and their stems before deleting them."
    )
    patience: float = Field(
        default=300,
        gt=0,
        le=36000,
        description="Seconds to keep separating a song after the last page that shows it was closed.",
    )
    folder: Path | None = Field(
        default=None,
        description="Folder in which songs and stems are kept. Default: the system's temporary folder.",
    )
    device: str = Field(default="auto", pattern=DEVICE_PATTERN, description="auto, cpu, cuda, cuda:N or mps.")
