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

    n_fft: int | None = Field(
        default=None, ge=64, le=65536, description="Length of the Fourier transform, where no file says it."
    )
    hop_length: int | None = Field(
        default=None, ge=1, le=32768, description="Samples between frames of a RoFormer, such as 441 or 512."
    )
    dim_f: int | None = Field(
        default=None, ge=1, le=32769, description="Frequency bins of an MDX-Net, to be checked."
    )
    dim_t: int | None = Field(
        default=None,
        ge=1,
        le=65536,
        description="Frames of an MDX-Net's chunk: 256, or 8 for the power of two. Default: 256.",
    )
    compensate: float | None = Field(
        default=None, gt=0, le=2, description="Gain of an MDX-Net's estimate. Default: 1."
    )
    stem: str | None = Field(default=None, description="What an MDX-Net estimates, such as vocals.")

    @property
    def parameters(self) -> dict[str, Any]:
        """What was said of the weights that no file says."""
        names = {"n_fft", "hop_length", "dim_f", "dim_t", "compensate", "stem"}
        return self.model_dump(include=names, exclude_none=True)

    @field_validator("targets", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return split_words(value)
