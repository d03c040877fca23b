"""Settings common to all models; each family of nets adds its own."""

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
"""The family of a ``model.json`` without a ``family``, written when there was only one."""


class LinkedWeights(Settings):
    """Weights of one part of a model that are stored with another model."""

    model: str = Field(min_length=1, description="The other model: the path of its folder, or its name.")
    part: str = Field(default="", description="The part of the other model. Default: all of it.")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the other model's weights file.")


class ModelConfig(Settings):
    """Settings of a model of any family, which `auralflow config` writes to ``model.json``."""

    format_version: Literal[1] = Field(default=1, description="Version of this file's format.")
    family: str = Field(
        default=DEFAULT_FAMILY, min_length=1, description="Family of nets that the net belongs to."
    )
    net: str = Field(default="", description="Architecture.")
    targets: tuple[str, ...] = Field(default=("vocals",), min_length=1, description="Sources to estimate.")
    num_channels: int = Field(default=1, ge=1, le=8, description="Number of audio channels.")
    sample_length: float = Field(default=3, gt=0, le=600, description="Length of an audio chunk in seconds.")
    sample_rate: int = Field(default=44100, ge=1000, le=384000, description="Sample rate in hertz.")
    overlap: float = Field(
        default=0.25, ge=0, lt=1, description="Default fraction of a chunk that overlaps the next one."
    )

    @field_validator("targets")
    @classmethod
    def _check_targets(cls, targets: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(targets)) != len(targets):
            raise ValueError("contains a target twice")
        for target in targets:
            plain = target.replace("_", "").replace("-", "").replace(" ", "")
            if not plain.isalnum() or target in RESERVED_TARGETS:
                raise ValueError(f"contains {target!r}, which cannot be the name of a stem's file")
        return targets

    @model_serializer(mode="wrap")
    def _write(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return self.written(write(self))

    def written(self, values: dict[str, Any]) -> dict[str, Any]:
        """Select the values to write to ``model.json``, in order. Default: all.

        Args:
            values: All settings.

        Returns:
            The settings to write.
        """
        return values

    def linked_weights(self) -> dict[str, LinkedWeights]:
        """The weights that are stored with other models, by the part that uses them. Default: none."""
        return {}

    @property
    def chunk_samples(self) -> int:
        """Length of a chunk in samples."""
        return round(self.sample_length * self.sample_rate)
