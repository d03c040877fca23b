"""A folder of MIDI files as a supply of compositions for generated songs."""

from concurrent.futures import Executor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from auralflow.errors import DatasetError, NotFoundError
from auralflow.synth.score.midi_files import Composition, read_midi

__all__ = ["MidiLibrary", "composition_of", "index_midi"]

ENDINGS = {".mid", ".midi"}
SHORTEST_SECONDS = 8.0
TENTHS = {0: range(8), 1: range(8, 9), 2: range(9, 10)}
"""Which of ten shares of the compositions a split gets: training, validation, testing."""


@dataclass(frozen=True, slots=True)
class MidiLibrary:
    """The compositions in a folder, each once.

    Args:
        files: Digest and file, in the order of the digests.
        failures: One line for each file that cannot be read.
        notes: One line for each file that is left out for another reason.
    """

    files: tuple[tuple[str, Path], ...]
    failures: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def file(self, seed: int, split: int, number: int) -> Path:
        """The composition of a song.

        A composition belongs to one split, by its digest, so that none is in two. The songs of a split go
        through its compositions in an order of their own before one comes again. A split that would have none
        (in a folder of a few files) uses all.

        Args:
            seed: Of the dataset.
            split: 0 for training, 1 for validation, 2 for testing.
            number: Of the song in its split.

        Returns:
            The file.
        """
        dealt = [path for digest, path in self.files if int(digest[:8], 16) % 10 in TENTHS[split]]
        dealt = dealt or [path for _, path in self.files]
        turn, place = divmod(number, len(dealt))
        order = np.random.default_rng([seed, split, turn]).permutation(len(dealt))
        return dealt[int(order[place])]


def index_midi(folder: Path, *, executor: Executor | None = None) -> MidiLibrary:
    """Read all MIDI files in a folder and below it.

    Args:
        folder: Searched whole.
        executor: Reads several files at the same time.

    Returns:
        What can be used, and why the rest cannot.

    Raises:
        NotFoundError: If there is no such folder.
        DatasetError: If no file can be used.
    """
    if not folder.is_dir():
        raise NotFoundError(f"no such folder: '{folder}'")
    paths = sorted(path for path in folder.rglob("*") if _is_midi(path))
    found: dict[str, Path] = {}
    failures, notes = [], []
    for path, (digest, seconds, fault) in zip(
        paths, (executor.map if executor else map)(_facts, paths), strict=True
    ):
        if fault:
            failures.append(fault)
        elif seconds < SHORTEST_SECONDS:
            notes.append(f"'{path}' is left out: it has {seconds:.0f} seconds of music")
        elif digest in found:
            notes.append(f"'{path}' is left out: it sounds the same as '{found[digest]}'")
        else:
            found[digest] = path
    if not found:
        advice = failures[0] if failures else ""
        raise DatasetError(
            f"no MIDI file in '{folder}' can be used",
            expected=f"files of at least {SHORTEST_SECONDS:.0f} seconds that end in .mid or .midi",
            advice=advice,
        )
    return MidiLibrary(tuple(sorted(found.items())), tuple(failures), tuple(notes))


def _is_midi(path: Path) -> bool:
    return path.suffix.lower() in ENDINGS and not path.name.startswith(".") and path.is_file()


def _facts(path: Path) -> tuple[str, float, str]:
    try:
        song = read_midi(path)
    except DatasetError as error:
        return "", 0.0, str(error)
    sounding = song.seconds - min(
        [*(part.notes[0].start for part in song.parts), *(hit.start for hit in song.hits[:1])], default=0.0
    )
    return song.digest, sounding, ""


@lru_cache(maxsize=4)
def composition_of(path: Path) -> Composition:
    """Read a composition; the last ones are kept."""
    return read_midi(path)
