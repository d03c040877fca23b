"""Where an imported model comes from: the ``card.json`` of its folder."""

from collections.abc import Sequence
from typing import Literal, Self

from pydantic import Field

from auralflow.config import LicenceTerms, Settings

__all__ = ["CONVERTER_VERSION", "EnsembleCard", "Licence", "MemberOrigin", "OriginCard", "OriginFile"]

CONVERTER_VERSION = 1
"""Raised when conversions change: what is in the cache of an older one is converted again."""


class Licence(Settings):
    """The licence of weights, and how it is known."""

    name: str = Field("", description="SPDX identifier; empty where none is stated.")
    terms: LicenceTerms = Field("unstated", description="What it allows, in a word.")
    evidence: str = Field("", description="Where that is written.")

    @property
    def sentence(self) -> str:
        """What a user must know, as a sentence.

        Example:
            >>> Licence(name="CC-BY-NC-SA-4.0", terms="non-commercial").sentence
            'The weights are under CC-BY-NC-SA-4.0: not for commercial use.'
        """
        if not self.name:
            return "No licence is stated for the weights: ask their authors before you use or share them."
        stated = f"The weights are under {self.name}"
        if self.terms == "permissive":
            return f"{stated}."
        if self.terms == "non-commercial":
            return f"{stated}: not for commercial use."
        if self.terms == "copyleft":
            return f"{stated}: who shares them or works made of them must do so under its terms."
        return f"{stated}, but what that covers is not stated: ask their authors."


class OriginFile(Settings):
    """A file that a model was converted from."""

    name: str = Field(
        min_length=1, description="Its name; within an archive, with that of the archive before it."
    )
    size: int = Field(ge=0, description="Its size in bytes.")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="Its SHA-256.")


class OriginCard(Settings):
    """What an imported model was made from: the content of its ``card.json``."""

    format_version: Literal[1] = Field(1, description="Version of this file's format.")
    kind: Literal["imported"] = Field("imported", description="That the weights are those of others.")
    name: str = Field("", description="Name of the public model; empty for one that is not known.")
    family: str = Field(min_length=1, description="Family of nets.")
    targets: tuple[str, ...] = Field(min_length=1, description="What it estimates.")
    origin: tuple[str, ...] = Field(description="Addresses or names of the files that were imported.")
    files: tuple[OriginFile, ...] = Field(description="The files as they were.")
    licence: Licence = Field(Licence(), description="Licence of the weights.")
    credit: str = Field("", description="Whom to name.")
    citation: str = Field("", description="What to cite.")
    data: str = Field("", description="What it was trained on.")
    converter: str = Field(min_length=1, description="Program that converted it.")
    converter_version: int = Field(ge=1, description="Version of the conversion.")
    size: int = Field(gt=0, description="Size of the converted weights in bytes.")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the converted weights.")

    def restricted(self, targets: Sequence[str], *, size: int, sha256: str) -> Self:
        """The card of a model that was cut down to some targets.

        Args:
            targets: What is left, in its order.
            size: Size of its weights in bytes.
            sha256: Their SHA-256.
        """
        return self.model_copy(update={"targets": tuple(targets), "size": size, "sha256": sha256})


class MemberOrigin(Settings):
    """A model that an ensemble was made of."""

    name: str = Field(min_length=1, description="Its name, or that of its folder.")
    net: str = Field(min_length=1, description="Its architecture.")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of its file of weights.")
    licence: Licence = Field(Licence(), description="Licence of its weights, as far as its card says.")
    credit: str = Field("", description="Whom to name.")


class EnsembleCard(Settings):
    """What an ensemble was made of: the content of its ``card.json``."""

    format_version: Literal[1] = Field(1, description="Version of this file's format.")
    kind: Literal["ensemble"] = Field("ensemble", description="That it was made of other models.")
    targets: tuple[str, ...] = Field(min_length=1, description="What it estimates.")
    members: tuple[MemberOrigin, ...] = Field(description="The models.")
