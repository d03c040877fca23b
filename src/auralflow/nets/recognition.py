"""Finds the families that recognise a checkpoint."""

from collections.abc import Iterable

from auralflow.nets.checkpoint import Checkpoint, CheckpointReader
from auralflow.nets.families import Family, find_family, load_object

__all__ = ["READER_FAULTS", "find_readers", "recognizing"]

READER_FAULTS = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What a reader may raise on unfamiliar names and shapes."""


def find_readers(names: Iterable[str]) -> dict[str, tuple[Family, CheckpointReader]]:
    """Families that read published checkpoints, with their readers.

    Args:
        names: Names of families.

    Raises:
        SettingsError: If a family does not exist.
        UsageError: If a family is not built in.
    """
    families = {name: find_family(name) for name in names}
    return {name: (owner, load_object(owner.reader)) for name, owner in families.items() if owner.reader}


def recognizing(checkpoint: Checkpoint, readers: dict[str, tuple[Family, CheckpointReader]]) -> list[str]:
    """Names of the families that recognise a checkpoint.

    Args:
        checkpoint: The checkpoint.
        readers: The families and readers to try.
    """
    return [name for name, (_, reader) in readers.items() if _recognizes(reader, checkpoint)]


def _recognizes(reader: CheckpointReader, checkpoint: Checkpoint) -> bool:
    try:
        return reader.recognizes(checkpoint)
    except READER_FAULTS:
        # A checkpoint of another family, in a format unknown to this one.
        return False
