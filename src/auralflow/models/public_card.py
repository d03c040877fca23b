"""Cards of public models: separators that others have trained and published. Loads no torch."""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field

from auralflow.config import Settings, parse_settings, read_settings
from auralflow.errors import ModelError, SettingsError
from auralflow.models.origin import Licence

__all__ = ["GpuSpeed", "PublicCard", "PublicScores", "RemoteFile"]


class RemoteFile(Settings):
    """A file of a public model, where its authors have put it."""

    url: str = Field(pattern=r"^https?://[^\s]+$", description="Its address.")
    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", description="Its name on mirrors and in the cache."
    )
    size: int = Field(gt=0, description="Its size in bytes, about: the hash decides.")
    sha256: str = Field(
        pattern=r"^[0-9a-f]{8,64}$",
        description="SHA-256 of its content, or as much of its beginning as its authors publish.",
    )


class PublicScores(Settings):
    """Scores that were published."""

    dataset: str = Field(min_length=1, description="What was scored.")
    metric: str = Field(min_length=1, description="The metric, and how it was averaged.")
    source: str = Field(min_length=1, description="Where that is written.")
    values: dict[str, float] = Field(
        description="The score of each target in dB, or the mean of the stems as ``mean``."
    )


class GpuSpeed(Settings):
    """How fast a model is on a GPU, as others have published it."""

    seconds: float = Field(gt=0, description="Seconds for a song of 3 minutes.")
    device: str = Field(min_length=1, description="What it was measured on.")
    source: str = Field(min_length=1, description="Where that is written.")


class PublicCard(Settings):
    """Everything that is known about a public model."""

    format_version: Literal[1] = Field(1, description="Version of this file's format.")
    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$", description="Name that commands accept.")
    title: str = Field(min_length=1, description="What it is, in a few words.")
    family: str = Field(min_length=1, description="Family of nets.")
    targets: tuple[str, ...] = Field(min_length=1, description="What it estimates.")
    files: tuple[RemoteFile, ...] = Field(min_length=1, description="Where it is.")
    also_known: dict[str, str] = Field(
        default={},
        description="Beginnings of the SHA-256 of the same weights in other files, and what these are.",
    )
    settings: dict[str, Any] = Field(
        default={}, description="What the authors' own settings file says, as far as the weights do not."
    )
    licence: Licence = Field(description="Licence of the weights.")
    credit: str = Field(min_length=1, description="Whom to name.")
    data: str = Field(min_length=1, description="What it was trained on.")
    scores: tuple[PublicScores, ...] = Field((), description="Scores that were published.")
    cost: Literal["low", "medium", "high"] = Field(description="Computing time, in a word.")
    gpu: GpuSpeed | None = Field(None, description="Computing time on a GPU, where it was published.")
    citation: str = Field(min_length=1, description="What to cite.")
    notes: tuple[str, ...] = Field((), description="What else to know.")

    @property
    def size(self) -> int:
        """Bytes to download, about."""
        return sum(file.size for file in self.files)

    def knows(self, sha256: str) -> bool:
        """Whether a file with this SHA-256 holds the weights of this model, or some of them."""
        return any(sha256.startswith(known) for known in (*(f.sha256 for f in self.files), *self.also_known))

    def provenance(self) -> dict[str, Any]:
        """What the card of a converted copy takes over."""
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

        Raises:
            NotFoundError: If there is no such file.
            ModelError: If it is no card.
        """
        try:
            return parse_settings(cls, read_settings(path), source=str(path))
        except SettingsError as error:
            raise ModelError(f"'{path}' is no card of a model: {error}") from None
