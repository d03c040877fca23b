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
        default=None,
        description="YAML or JSON file published with the weights. Default: infer the settings from shapes.",
    )
    family: str = Field(default="", description="Family of nets. Default: detected from the weights.")
    targets: tuple[str, ...] = Field(
        default=(),
        description="Targets of the model, in the order of its outputs, as in vocals,other. Default: as "
        "stated in the files.",
    )

    n_fft: int | None = Field(
        default=None,
        ge=64,
        le=65536,
        description="Length of the Fourier transform in samples, if no file states it.",
    )
    hop_length: int | None = Field(
        default=None, ge=1, le=32768, description="Hop length of a RoFormer in samples, such as 441 or 512."
    )
    dim_f: int | None = Field(
        default=None,
        ge=1,
        le=32769,
        description="Frequency bins of an MDX-Net; an error if the weights have a different number.",
    )
    dim_t: int | None = Field(
        default=None,
        ge=1,
        le=65536,
        description="Frames per chunk of an MDX-Net: 256, or its exponent of two, 8. Default: 256.",
    )
    compensate: float | None = Field(
        default=None, gt=0, le=2, description="Gain applied to an MDX-Net's estimate. Default: 1."
    )
    stem: str | None = Field(default=None, description="Target of an MDX-Net, such as vocals.")

    @property
    def parameters(self) -> dict[str, Any]:
        """The given values of whatever no file states about the weights."""
        names = {"n_fft", "hop_length", "dim_f", "dim_t", "compensate", "stem"}
        return self.model_dump(include=names, exclude_none=True)

    @field_validator("targets", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return split_words(value)
