"""Settings that every model has; each family of nets adds its own."""

from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer

from auralflow.config.base import Settings

__all__ = ["DEFAULT_FAMILY", "FORMAT_VERSION", "SOURCES", "LinkedWeights", "ModelConfig"]

SOURCES = ("vocals", "drums", "bass", "other")
"""The four sources of MUSDB18, in the order in which targets are stored."""

RESERVED_TARGETS = ("mixture", "original", "residual")

FORMAT_VERSION = 1
"""Version of ``model.json``; another one is refused."""

DEFAULT_FAMILY = "unet"
"""The family of a ``model.json`` that names none, as all did while there was one family."""


class LinkedWeights(Settings):
    """Weights of a part of a model that lie with another model."""

    model: str = Field(min_length=1, description="That model: the path of its folder, or its name.")
    part: str = Field(default="", description="The part of that model. Default: all of it.")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of its file of weights.")


class ModelConfig(Settings):
    """Settings of a model of any family: what `auralflow config` writes to ``model.json``."""

    format_version: Literal[1] = Field(default=1, description="Version of this file's format.")
    family: str = Field(
        default=DEFAULT_FAMILY, min_length=1, description="Family of nets that the net belongs to."
    )
    net: str = Field(default="", description="Architecture.")
    targets: tuple[str, ...] = Field(
        default=("vocals",), min_length=1, description="Sources to be estimated."
    )
    num_channels: int = Field(default=1, ge=1, le=8, description="Number of audio channels.")
    sample_length: float = Field(default=3, gt=0, le=600, description="Length of an audio chunk in seconds.")
    sample_rate: int = Field(default=44100, ge=1000, le=384000, description="Sample rate in hertz.")
    overlap: float = Field(
        default=0.25, ge=0, lt=1, description="Share of a chunk that the next one covers again by default."
    )

    @field_validator("targets")
    @classmethod
    def _check_targets(cls, targets: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(targets)) != len(targets):
            raise ValueError("holds a target twice")
        for target in targets:
            plain = target.replace("_", "").replace("-", "").replace(" ", "")
            if not plain.isalnum() or target in RESERVED_TARGETS:
                raise ValueError(f"holds {target!r}, which cannot be the name of a stem's file")
        return targets

    @model_serializer(mode="wrap")
    def _write(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return self.written(write(self))

    def written(self, values: dict[str, Any]) -> dict[str, Any]:
        """The values that stand in ``model.json``, in their order. Default: all.

        Args:
            values: All settings.
        """
        return values

    def linked_weights(self) -> dict[str, LinkedWeights]:
        """Parts of the model whose weights lie with other models, by the part's name. Default: none."""
        return {}

    @property
    def chunk_samples(self) -> int:
        """Length of a chunk in samples."""
        return round(self.sample_length * self.sample_rate)
