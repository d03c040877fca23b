"""Settings files and chunking of the MSST training package.

The settings files have the sections ``audio``, ``model``, ``training`` and ``inference``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from auralflow.errors import ModelError
from auralflow.nets.checkpoint import Checkpoint
from auralflow.nets.door import Chunking

__all__ = ["TrainingFile", "demix_chunking"]


def demix_chunking(length: int, overlap: float) -> Chunking:
    """The chunking of the package's ``demix``: reflected edges, and fades over a tenth of a chunk.

    Args:
        length: Length of a chunk in samples.
        overlap: Fraction of a chunk that overlaps the next one; a ``num_overlap`` of 4 corresponds to 0.75.

    Returns:
        The chunking.

    Example:
        >>> demix_chunking(1000, 0.75).step
        250
    """
    step = max(1, round(length * (1 - overlap)))
    return Chunking(
        length=length,
        step=step,
        window="linear_tenth",
        before=length - step,
        after=length - step,
        edges="reflect",
        every_step=True,
        last="reflect",
    )


@dataclass(frozen=True)
class TrainingFile:
    """A settings file of the package, with checks of the values that are used.

    Attributes:
        values: Content of the file.
        name: Name of the file, for messages.
    """

    values: Mapping[str, Any]
    name: str

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> "TrainingFile":
        """The settings file of a checkpoint; empty if there is none."""
        return cls(checkpoint.settings, checkpoint.settings_file)

    def section(self, name: str) -> Mapping[str, Any]:
        """A section; empty if it is missing."""
        section = self.values.get(name, {})
        if not isinstance(section, Mapping):
            raise ModelError(
                f"cannot use '{self.name}'",
                found=f"{name} is {type(section).__name__}",
                expected="a section of settings",
            )
        return section

    def number(self, section: str, key: str, default: float | None = None) -> float | None:
        """A number in a section."""
        value = self.section(section).get(key, default)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ModelError(
                f"cannot use '{self.name}'", found=f"{section}.{key} is {value!r}", expected="a number"
            )
        return value

    def whole(self, section: str, key: str, default: int | None = None) -> int | None:
        """An integer in a section."""
        value = self.number(section, key, default)
        return None if value is None else int(value)

    @property
    def targets(self) -> tuple[str, ...]:
        """The targets: the target instrument if there is one, otherwise all instruments."""
        training = self.section("training")
        only = training.get("target_instrument")
        names = [only] if only else training.get("instruments", [])
        if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
            raise ModelError(
                f"cannot use '{self.name}'", found=f"training.instruments is {names!r}", expected="names"
            )
        return tuple(name.lower() for name in names)

    def engine(self, *, sample_rate: int = 44100) -> dict[str, Any]:
        """Settings of chunks and sample rate, by their names in our models."""
        rate = self.whole("audio", "sample_rate", sample_rate) or sample_rate
        found: dict[str, Any] = {"sample_rate": rate}
        chunk = self.whole("inference", "chunk_size") or self.whole("audio", "chunk_size")
        if chunk:
            found["sample_length"] = chunk / rate
        count = self.number("inference", "num_overlap")
        if count:
            found["overlap"] = 1 - 1 / max(1, count)
        if self.section("inference").get("normalize") is not None:
            found["standardized"] = bool(self.section("inference")["normalize"])
        return found
