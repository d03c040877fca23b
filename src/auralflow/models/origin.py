"""The origin of an imported model: the ``card.json`` in its folder."""

from collections.abc import Sequence
from typing import Literal, Self

from pydantic import Field

from auralflow.config import LicenceTerms, Settings

__all__ = ["CONVERTER_VERSION", "EnsembleCard", "Licence", "MemberOrigin", "OriginCard", "OriginFile"]

CONVERTER_VERSION = 1
"""Incremented when conversions change, so that cached models of an older version are converted again."""


class Licence(Settings):
    """The licence of some weights, and the evidence for it."""

    name: str = Field("", description="SPDX identifier; empty if no licence is stated.")
    terms: LicenceTerms = Field("unstated", description="What it allows, in one word.")
    evidence: str = Field("", description="Where it is stated.")

    @property
    def sentence(self) -> str:
        """What users must know, as a sentence.

        Example:
            >>> Licence(name="CC-BY-NC-SA-4.0", terms="non-commercial").sentence
            'The weights are under CC-BY-NC-SA-4.0: not for commercial use.'
        """
        if not self.name:
            return "No licence is stated for the weights: ask their authors before using or sharing them."
        stated = f"The weights are under {self.name}"
        if self.terms == "permissive":
            return f"{stated}."
        if self.terms == "non-commercial":
            return f"{stated}: not for commercial use."
        if self.terms == "copyleft":
            return f"{stated}: share them, and works based on them, only under its terms."
        return f"{stated}, but it is not stated what that covers: ask their authors."


class OriginFile(Settings):
    """A file that a model was converted from."""

    name: str = Field(
        min_length=1, description="Name of the file, prefixed by that of the archive it is in, if any."
    )
    size: int = Field(ge=0, description="Size in bytes.")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256.")


class OriginCard(Settings):
    """The origin of an imported model: the content of its ``card.json``."""

    format_version: Literal[1] = Field(1, description="Version of this file's format.")
    kind: Literal["imported"] = Field("imported", description="Marks the weights as those of others.")
    name: str = Field("", description="Name of the public model; empty if unknown.")
    family: str = Field(min_length=1, description="Family of nets.")
    targets: tuple[str, ...] = Field(min_length=1, description="Targets of the model.")
    origin: tuple[str, ...] = Field(description="URLs or names of the imported files.")
    files: tuple[OriginFile, ...] = Field(description="The imported files.")
    licence: Licence = Field(Licence(), description="Licence of the weights.")
    credit: str = Field("", description="Whom to credit.")
    citation: str = Field("", description="What to cite.")
    data: str = Field("", description="Training data.")
    converter: str = Field(min_length=1, description="Program that converted it.")
    converter_version: int = Field(ge=1, description="Version of the conversion.")
    size: int = Field(gt=0, description="Size of the converted weights in bytes.")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the converted weights.")

    def restricted(self, targets: Sequence[str], *, size: int, sha256: str) -> Self:
        """Derive the card for a copy of the model with only some of its targets.

        Args:
            targets: The remaining targets, in order.
            size: Size of the remaining weights in bytes.
            sha256: SHA-256 of the remaining weights.

        Returns:
            The new card.
        """
        return self.model_copy(update={"targets": tuple(targets), "size": size, "sha256": sha256})


class MemberOrigin(Settings):
    """A member of an ensemble."""

    name: str = Field(min_length=1, description="Name of the model, or of its folder.")
    net: str = Field(min_length=1, description="Name of its net.")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of its weights file.")
    licence: Licence = Field(Licence(), description="Licence of its weights, as far as stated on its card.")
    credit: str = Field("", description="Whom to credit.")


class EnsembleCard(Settings):
    """The origin of an ensemble: the content of its ``card.json``."""

    format_version: Literal[1] = Field(1, description="Version of this file's format.")
    kind: Literal["ensemble"] = Field("ensemble", description="Marks the model as an ensemble.")
    targets: tuple[str, ...] = Field(min_length=1, description="Targets of the ensemble.")
    members: tuple[MemberOrigin, ...] = Field(description="Its members.")
