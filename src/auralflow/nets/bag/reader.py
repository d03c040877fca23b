"""Reads bags of models published by Demucs: a YAML file, and a weights file for each member."""

from typing import Any

from torch import Tensor

from auralflow.config import ModelConfig, parse_settings
from auralflow.errors import ModelError
from auralflow.nets.bag.config import EnsembleConfig
from auralflow.nets.checkpoint import Checkpoint, CheckpointPart, Conversion
from auralflow.nets.families import FAMILIES
from auralflow.nets.htdemucs import HTDemucsConfig
from auralflow.nets.recognition import find_readers, recognizing

__all__ = ["READER"]


class BagReader:
    """Reads bags, which name their members, of any other family, and give each a weight for each source."""

    def recognizes(self, checkpoint: Checkpoint) -> bool:
        """Whether the settings list several members."""
        return len(_names(checkpoint)) > 1

    def convert(self, checkpoint: Checkpoint, targets: tuple[str, ...] = ()) -> Conversion:
        """Convert a checkpoint to settings and weights.

        Raises:
            ModelError: If a member is missing or its family unknown, or the weights do not match the members.
        """
        names = _names(checkpoint)
        members = [_member(checkpoint, name, targets) for name in names]
        rows = checkpoint.settings.get("weights") or [None] * len(names)
        if len(rows) != len(names):
            raise _contradiction(checkpoint, f"weights for {len(rows)} members", f"for {len(names)}")
        values: list[dict[str, Any]] = []
        weights: dict[str, Tensor] = {}
        for index, (name, member, row) in enumerate(zip(names, members, rows, strict=True)):
            own = member.config.targets
            counts = [1.0] * len(own) if row is None else row
            if len(counts) != len(own):
                raise _contradiction(
                    checkpoint, f"{len(counts)} weights for {name}", f"{len(own)}, one for each source"
                )
            config = _with_segment(member.config, checkpoint.settings.get("segment"))
            counted = {target: float(weight) for target, weight in zip(own, counts, strict=True) if weight}
            values.append({"model": config, "weights": counted})
            weights |= {f"models.{index}.{key}": tensor for key, tensor in member.weights.items()}
        first = members[0].config.targets
        config = parse_settings(
            EnsembleConfig, {"targets": first, "members": values}, source=checkpoint.settings_file
        )
        return Conversion(config, weights)


def _names(checkpoint: Checkpoint) -> list[str]:
    names = checkpoint.settings.get("models")
    listed = isinstance(names, list) and all(isinstance(name, str) for name in names)
    return list(names) if listed and names else []


def _member(checkpoint: Checkpoint, name: str, targets: tuple[str, ...]) -> Conversion:
    part = _part(checkpoint, name)
    alone = Checkpoint(parts=(part,))
    readers = find_readers(family for family in FAMILIES if family != "bag")
    found = recognizing(alone, readers)
    if len(found) != 1:
        raise ModelError(
            f"cannot import the member '{part.name}'",
            found=f"weights that match {' and '.join(found)}" if found else "an unknown net",
            expected="a net of exactly one known family",
        )
    conversion: Conversion = readers[found[0]][1].convert(alone, targets)
    return conversion


def _part(checkpoint: Checkpoint, name: str) -> CheckpointPart:
    """The file of a member, whose name may be followed by the beginning of its hash."""
    for part in checkpoint.parts:
        if part.name == name or part.name.startswith(f"{name}-"):
            return part
    raise ModelError(
        f"a member of '{checkpoint.settings_file}' is missing",
        found=", ".join(part.name for part in checkpoint.parts),
        expected=f"{name} among the files",
    )


def _with_segment(config: ModelConfig, segment: float | None) -> ModelConfig:
    """Set the chunk length of the bag for a member, unless its transformer was trained on shorter chunks."""
    if segment is None or (isinstance(config, HTDemucsConfig) and segment > config.sample_length):
        return config
    return parse_settings(type(config), config.model_dump() | {"sample_length": segment})


def _contradiction(checkpoint: Checkpoint, found: str, expected: str) -> ModelError:
    return ModelError(f"'{checkpoint.settings_file}' contradicts itself", found=found, expected=expected)


READER = BagReader()
