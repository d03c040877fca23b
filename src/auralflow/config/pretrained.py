"""Settings of a download."""

from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from auralflow.config.base import Settings, split_words

__all__ = ["DownloadConfig"]


class DownloadConfig(Settings):
    """Settings of `auralflow download`."""

    save: Path = Field(default=Path("my_model"), description="Folder of the model.")
    target: tuple[str, ...] = Field(
        default=(),
        description="Targets to keep, as in vocals,bass. Default: all that the model has.",
    )
    offline: bool = Field(default=False, description="Use the network for nothing.")

    @field_validator("target", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return split_words(value)
