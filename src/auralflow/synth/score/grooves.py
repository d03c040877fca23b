"""Performances of drummers as MIDI, played in any song: their timing and dynamics on its beats."""

import re
from functools import lru_cache
from pathlib import Path
from zipfile import BadZipFile, ZipFile, is_zipfile

import numpy as np

from auralflow.errors import DatasetError, NotFoundError
from auralflow.synth.score.composition import Score
from auralflow.synth.score.midi_files import Composition, read_midi
from auralflow.synth.score.parts import Hit

__all__ = ["GrooveBank"]

ENDINGS = (".mid", ".midi")
METRE = re.compile(r"_(\d+)-(\d+)\.midi?$")
"""How the Groove MIDI Dataset names the metre; without it a performance counts as one in four."""
LARGEST_BYTES = 1 << 20
FEWEST_HITS = 16
ATTEMPTS = 20

Place = tuple[Path, str]
"""A file, or a ZIP file and the name of a member."""


class GrooveBank:
    """Drum performances in a folder and in ZIP files in it.

    Args:
        folder: Searched whole, or a ZIP file.

    Attributes:
        places: By metre, such as ``4/4``, where performances are.

    Raises:
        NotFoundError: If there is no such folder.
        DatasetError: If there is no performance in it, or a ZIP file is broken.

    Source:
        J. Gillick et al., "Learning to Groove with Inverse Sequence Transformations", ICML 2019, for the
        dataset whose names are understood.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.exists():
            raise NotFoundError(f"no such folder: '{folder}'")
        self.folder = folder
        self.places: dict[str, list[Place]] = {}
        for path, name in _found(folder):
            metre = METRE.search(name.lower())
            # Fills are a bar or two, and do not go on.
            if "_fill_" not in name.lower():
                self.places.setdefault("/".join(metre.groups()) if metre else "4/4", []).append((path, name))
        if not self.places:
            raise DatasetError(
                f"no drum performance in '{folder}'", expected="MIDI files, or ZIP files of them"
            )

    def hits(self, score: Score, rng: np.random.Generator) -> list[Hit] | None:
        """Play a performance along a song, from one of its bars on, again and again.

        Args:
            score: The plan of the song.
            rng: Source of the randomness: which performance, from which bar.

        Returns:
            The drum hits, in the sections in which drums play; None if no performance has the song's metre.
        """
        places = self.places.get(score.metre, [])
        per_bar = score.beats_per_bar
        for _ in range(ATTEMPTS if places else 0):
            performance = _read(places[int(rng.integers(len(places)))])
            beats = np.array(performance.beats)
            length = (len(beats) - 1) // per_bar * per_bar
            if length >= per_bar and len(performance.hits) >= FEWEST_HITS:
                first = int(rng.integers(length // per_bar)) * per_bar
                return _along(performance, score, first=first, length=length)
        return None


def _along(performance: Composition, score: Score, *, first: int, length: int) -> list[Hit]:
    beats = np.array(performance.beats)
    starts = np.interp([hit.start for hit in performance.hits], beats, np.arange(len(beats)))
    played = [
        range(
            section.first_bar * score.beats_per_bar, (section.first_bar + section.bars) * score.beats_per_bar
        )
        for section in score.played("drums")
    ]
    total = max((beats.stop for beats in played), default=0)
    hits = []
    for hit, beat in zip(performance.hits, starts.tolist(), strict=True):
        if beat >= length:
            continue
        place = (beat - first) % length
        while place < total:
            # A hit of an electronic kit that General MIDI does not know is the usual one of its piece.
            key = 0 if hit.key in {22, 26} else hit.key
            if any(int(place) in beats for beats in played):
                hits.append(hit._replace(start=max(score.seconds(place), 0.0), key=key))
            place += length
    return sorted(hits)


def _found(folder: Path) -> list[Place]:
    paths = [folder] if folder.is_file() else sorted(path for path in folder.rglob("*") if path.is_file())
    found: list[Place] = []
    for path in paths:
        if path.suffix.lower() in ENDINGS:
            found.append((path, path.name))
        elif path.suffix.lower() == ".zip" or (path == folder and is_zipfile(path)):
            try:
                with ZipFile(path) as archive:
                    names = sorted(
                        info.filename for info in archive.infolist() if info.file_size < LARGEST_BYTES
                    )
            except (BadZipFile, OSError) as error:
                raise DatasetError(f"cannot read '{path}'", found=str(error), expected="a ZIP file") from None
            found += [(path, name) for name in names if name.lower().endswith(ENDINGS)]
    return found


@lru_cache(maxsize=64)
def _read(place: Place) -> Composition:
    path, name = place
    if path.suffix.lower() in ENDINGS:
        return read_midi(path)
    try:
        with ZipFile(path) as archive, archive.open(name) as member:
            content = member.read(LARGEST_BYTES)
    except (BadZipFile, OSError, KeyError, RuntimeError) as error:
        raise DatasetError(
            f"cannot read '{name}' in '{path}'", found=str(error), expected="a MIDI file"
        ) from None
    return read_midi(path / name, content)
