"""Cards of public models, trained and published by others. Does not import torch."""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field

from auralflow.config import Settings, parse_settings, read_settings
from auralflow.errors import ModelError, SettingsError
from auralflow.models.origin import Licence

__all__ = ["GpuSpeed", "PublicCard", "PublicScores", "RemoteFile"]


class RemoteFile(Settings):
    """A file of a public model, as published by its authors."""

    url: str = Field(pattern=r"^https?://[^\s]+$", description="URL.")
    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", description="File name on mirrors and in the cache."
    )
    size: int = Field(gt=0, description="Approximate size in bytes; the hash decides.")
    sha256: str = Field(
        pattern=r"^[0-9a-f]{8,64}$",
        description="SHA-256 of its content, or as many leading digits as the authors publish.",
    )


class PublicScores(Settings):
    """Published scores."""

    dataset: str = Field(min_length=1, description="The dataset.")
    metric: str = Field(min_length=1, description="The metric, and how it was averaged.")
    source: str = Field(min_length=1, description="Where the scores were published.")
    values: dict[str, float] = Field(
        description="The score of each target in dB, or the mean of the stems as ``mean``."
    )


class GpuSpeed(Settings):
    """Published speed of a model on a GPU."""

    seconds: float = Field(gt=0, description="Seconds for a 3-minute song.")
    device: str = Field(min_length=1, description="The GPU.")
    source: str = Field(min_length=1, description="Where the speed was published.")


class PublicCard(Settings):
    """Everything known about a public model."""

    format_version: Literal[1] = Field(1, description="Version of this file's format.")
    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$", description="Name that commands accept.")
    title: str = Field(min_length=1, description="Short description.")
    family: str = Field(min_length=1, description="Family of nets.")
    targets: tuple[str, ...] = Field(min_length=1, description="Targets of the model.")
    files: tuple[RemoteFile, ...] = Field(min_length=1, description="Files of the model.")
    also_known: dict[str, str] = Field(
        default={},
        description="Other files with the same weights: leading digits of their SHA-256, and a description.",
    )
    settings: dict[str, Any] = Field(
        default={}, description="Content of the authors' settings file that the weights do not contain."
    )
    licence: Licence = Field(description="Licence of the weights.")
    credit: str = Field(min_length=1, description="Whom to credit.")
    data: str = Field(min_length=1, description="Training data.")
    scores: tuple[PublicScores, ...] = Field((), description="Published scores.")
    cost: Literal["low", "medium", "high"] = Field(description="Computing time, in one word.")
    gpu: GpuSpeed | None = Field(None, description="Computing time on a GPU, if published.")
    citation: str = Field(min_length=1, description="What to cite.")
    notes: tuple[str, ...] = Field((), description="Other remarks.")

    @property
    def size(self) -> int:
        """Approximate size of the download in bytes."""
        return sum(file.size for file in self.files)

    def knows(self, sha256: str) -> bool:
        """Whether a file with this SHA-256 contains weights of this model."""
        return any(sha256.startswith(known) for known in (*(f.sha256 for f in self.files), *self.also_known))

    def provenance(self) -> dict[str, Any]:
        """The fields that the card of a converted copy inherits."""
        return {
            "name": self.name,
            "licence": self.licence,
            "credit": self.credit,
            "citation": self.citation,
            "data": self.data,
        }

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a card.

        Args:
            path: The file.

        Returns:
            The card.

        Raises:
            NotFoundError: If the file does not exist.
            ModelError: If it is not a valid card.
        """
        try:
            return parse_settings(cls, read_settings(path), source=str(path))
        except SettingsError as error:
            raise ModelError(f"'{path}' is not a valid model card: {error}") from None
