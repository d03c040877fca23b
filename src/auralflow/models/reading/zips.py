"""Zip archives that may be damaged: what Python's reader raises for them is more than it says."""

import struct
import zipfile
from pathlib import Path

__all__ = ["ZIP_FAULTS", "is_zip", "names_in_zip"]

ZIP_FAULTS = (zipfile.BadZipFile, struct.error, LookupError, OSError, OverflowError, RuntimeError, ValueError)


def is_zip(path: Path) -> bool:
    """Whether a file ends as a zip archive does."""
    try:
        return zipfile.is_zipfile(path)
    except ZIP_FAULTS:
        return False


def names_in_zip(path: Path) -> list[str]:
    """Names of the members; none if the archive is damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except ZIP_FAULTS:
        return []
