"""Settings of an import."""

from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from auralflow.config.base import Settings, split_words

__all__ = ["ImportModelConfig"]


class ImportModelConfig(Settings):
    """Settings of `auralflow import`."""

    save: Path = Field(default=Path("my_model"), description="Folder of the model.")
    config: Path | None = Field(
        default=None, description="YAML or JSON that was published with the weights. Default: their shapes."
    )
    family: str = Field(default="", description="Family of nets. Default: what the weights look like.")
    targets: tuple[str, ...] = Field(
        default=(),
        description="What the model estimates, in the order of its outputs, as in vocals,other. Default: "
        "what the files say.",
    )

    @field_validator("targets", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return split_words(value)
