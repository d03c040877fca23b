"""What ``track.json`` states about a track that its files cannot: which stems are silent.

::

    {"silent": ["vocals"], "title": "anything else that you want to note"}

A stem without a file is unknown, unless it is named here: then it is known, and silent.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from auralflow.audio import stream_audio
from auralflow.config.base import complaint
from auralflow.errors import DatasetError
from auralflow.storage import write_json

__all__ = [
    "FACTS_FILE",
    "MIXTURE",
    "SILENT_PEAK_DB",
    "TrackFacts",
    "read_facts",
    "silent_stems",
    "write_facts",
]

FACTS_FILE = "track.json"
MIXTURE = "mixture"
SILENT_PEAK_DB = -60.0
"""Peak in dBFS up to which a file counts as silent, such as one that holds only dither."""
BLOCK = 1 << 17
MOST_SHOWN = 60
"""Characters of a wrong statement that are shown."""


class TrackFacts(BaseModel):
    """The content of ``track.json``. Other keys are allowed and ignored.

    Attributes:
        silent: Stems that are silent from beginning to end, in lower case.

    Example:
        >>> TrackFacts.model_validate_json('{"silent": ["vocals"], "artist": "Ann"}').silent
        ('vocals',)
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    silent: tuple[str, ...] = Field(default=(), strict=False)

    @property
    def notes(self) -> list[str]:
        """Keys that auralflow ignores."""
        return list(self.model_extra or {})


def read_facts(folder: Path) -> TrackFacts:
    """Read a track's ``track.json``; a track without one states nothing.

    Args:
        folder: The track's folder.

    Raises:
        DatasetError: If the file cannot be read, is not JSON, or ``silent`` is not a list of names.
    """
    path = folder / FACTS_FILE
    try:
        facts = TrackFacts.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return TrackFacts()
    except (OSError, ValidationError) as error:
        found = _fault(error) if isinstance(error, ValidationError) else str(error.strerror)
        raise DatasetError(
            f"cannot read '{path}'", found=found, expected='JSON such as {"silent": ["vocals"]}'
        ) from None
    return facts.model_copy(update={"silent": tuple(dict.fromkeys(name.lower() for name in facts.silent))})


def _fault(error: ValidationError) -> str:
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return f"no JSON: {first['ctx']['error']}"
    value = json.dumps(first["input"], ensure_ascii=False)
    shown = value if len(value) <= MOST_SHOWN else f"{value[:MOST_SHOWN]}..."
    place = {0: "the file", 1: "'silent'"}.get(len(first["loc"]), "each name in 'silent'")
    return f"{shown}, but {place} {complaint(first)}"


def write_facts(folder: Path, facts: TrackFacts) -> None:
    """Write ``track.json``."""
    write_json(folder / FACTS_FILE, facts.model_dump(mode="json"))


def silent_stems(folder: Path, files: Mapping[str, Path]) -> frozenset[str]:
    """The stems of a track that have no file and are stated to be silent.

    Args:
        folder: The track's folder.
        files: Its audio files by stem, including the mixture's.

    Raises:
        DatasetError: If ``track.json`` is broken, or contradicts a file.
        AudioError: If a file that it names cannot be read.
    """
    stated = read_facts(folder).silent
    if MIXTURE in stated:
        raise DatasetError(
            f"'{folder / FACTS_FILE}' states that the mixture is silent", expected="names of stems"
        )
    for stem in stated:
        if stem in files and (peak := _first_sound(files[stem])) is not None:
            raise DatasetError(
                f"'{folder / FACTS_FILE}' states that {stem} is silent",
                found=f"a sample at {peak:.0f} dBFS in '{files[stem].name}'",
                expected=f"no file, or one that stays below {SILENT_PEAK_DB:.0f} dBFS",
                advice=f"Remove {stem} from the statement, or the file.",
            )
    return frozenset(stated) - files.keys()


def _first_sound(path: Path) -> float | None:
    """Peak in dBFS of the first block of a file that is not silent; None if there is none."""
    for block in stream_audio(path, block=BLOCK):
        peak = float(np.abs(block).max(initial=0.0))
        if peak > 10 ** (SILENT_PEAK_DB / 20):
            return 20 * math.log10(peak)
    return None
