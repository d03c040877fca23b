"""Settings of the commands about models with a name."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from auralflow.config.base import Settings, split_words

__all__ = ["DownloadConfig", "LicenceTerms", "ListConfig"]

LicenceTerms = Literal["permissive", "copyleft", "non-commercial", "unstated"]
"""What a licence of weights allows, in a word."""


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


class ListConfig(Settings):
    """Settings of `auralflow models`."""

    targets: tuple[str, ...] = Field(
        default=(), description="List only models that estimate all of these, as in vocals,drums."
    )
    licence: LicenceTerms | None = Field(
        default=None, description="List only models with such a licence. Default: all."
    )
    task: str = Field(
        default="",
        description="List the models for a task, the best first: four-stems, vocals (a cappella), "
        "instrumental (karaoke), six-stems, dereverb, denoise, crowd or speech.",
    )

    @field_validator("targets", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return split_words(value)
