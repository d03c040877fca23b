"""Whose checkpoint something is: each family is asked."""

from collections.abc import Iterable

from auralflow.nets.checkpoint import Checkpoint, CheckpointReader
from auralflow.nets.families import Family, find_family, load_object

__all__ = ["READER_FAULTS", "find_readers", "recognizing"]

READER_FAULTS = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What reading names and shapes that were never met may raise."""


def find_readers(names: Iterable[str]) -> dict[str, tuple[Family, CheckpointReader]]:
    """The families that read the checkpoints of others, and how they do.

    Args:
        names: Names of families.

    Raises:
        SettingsError: If there is no such family.
        UsageError: If it is not auralflow's own.
    """
    families = {name: find_family(name) for name in names}
    return {name: (owner, load_object(owner.reader)) for name, owner in families.items() if owner.reader}


def recognizing(checkpoint: Checkpoint, readers: dict[str, tuple[Family, CheckpointReader]]) -> list[str]:
    """Names of the families that take a checkpoint for one of theirs.

    Args:
        checkpoint: The checkpoint.
        readers: Those that are asked.
    """
    return [name for name, (_, reader) in readers.items() if _recognizes(reader, checkpoint)]


def _recognizes(reader: CheckpointReader, checkpoint: Checkpoint) -> bool:
    try:
        return reader.recognizes(checkpoint)
    except READER_FAULTS:
        # A checkpoint of another family, of a form that this one never met.
        return False
