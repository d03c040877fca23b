"""Zip archives that may be damaged: Python's reader raises more exceptions for them than documented."""

import struct
import zipfile
from pathlib import Path

__all__ = ["ZIP_FAULTS", "is_zip", "names_in_zip"]

ZIP_FAULTS = (zipfile.BadZipFile, struct.error, LookupError, OSError, OverflowError, RuntimeError, ValueError)


def is_zip(path: Path) -> bool:
    """Whether a file ends like a zip archive."""
    try:
        return zipfile.is_zipfile(path)
    except ZIP_FAULTS:
        return False


def names_in_zip(path: Path) -> list[str]:
    """Names of the members; empty if the archive is damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except ZIP_FAULTS:
        return []
