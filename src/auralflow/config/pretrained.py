"""Settings of the commands for named models."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from auralflow.config.base import Settings, split_words

__all__ = ["DownloadConfig", "LicenceTerms", "ListConfig"]

LicenceTerms = Literal["permissive", "copyleft", "non-commercial", "unstated"]
"""What the licence of some weights allows, in one word."""


class DownloadConfig(Settings):
    """Settings of `auralflow download`."""

    save: Path = Field(default=Path("my_model"), description="Folder of the model.")
    target: tuple[str, ...] = Field(
        default=(),
        description="Targets to keep, as in vocals,bass. Default: all.",
    )
    offline: bool = Field(default=False, description="Do not use the network.")

    @field_validator("target", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return split_words(value)


class ListConfig(Settings):
    """Settings of `auralflow models`."""

    targets: tuple[str, ...] = Field(
        default=(), description="List only models that estimate all of these, as in vocals,drums."
    )
    licence: LicenceTerms | None = Field(
        default=None, description="List only models with this kind of licence. Default: all."
    )
    task: str = Field(
        default="",
        description="List the models for a task, best first: four-stems, vocals (a cappella), "
        "instrumental (karaoke), six-stems, dereverb, denoise, crowd or speech.",
    )

    @field_validator("targets", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return split_words(value)
