"""A whole dataset of generated songs in the shape of MUSDB18."""

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache, partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from auralflow.datasets.synth.samples import SampleBank
from auralflow.datasets.synth.song import generate_song
from auralflow.errors import SettingsError
from auralflow.storage import PART_SUFFIX

__all__ = ["write_dataset"]

# fmt: off
FIRST_WORDS = (
    "Amber", "Broken", "Copper", "Distant", "Electric", "Frozen", "Golden", "Hollow", "Indigo", "Jade",
    "Lonely", "Midnight", "Northern", "Paper", "Quiet", "Restless", "Silver", "Tender", "Velvet",
    "Winter",
)
SECOND_WORDS = (
    "Avenue", "Bridge", "Canyon", "Dreamer", "Ember", "Fields", "Garden", "Harbor", "Island", "Lantern",
    "Meadow", "Mirror", "Orchard", "Parade", "River", "Signal", "Station", "Summer", "Tide", "Wire",
)
# fmt: on
SPLITS = ("train", "valid", "test")
FULL_SCALE = 32767

Song = tuple[int, int, int]
"""Number of the split, number in the split, seed."""


def write_dataset(  # noqa: PLR0913 - all but the first are options
    folder: Path,
    *,
    tracks: int,
    seed: int,
    seconds: float = 30.0,
    sample_rate: int = 44100,
    valid: int | None = None,
    test: int | None = None,
    samples: Path | None = None,
    num_workers: int = 1,
    on_track: Callable[[int, int], None] | None = None,
) -> None:
    """Write ``folder/{train,valid,test}/<track>/{mixture,vocals,drums,bass,other}.wav`` in 16-bit PCM.

    A track appears under its name only when it is whole, and a whole track is kept: an interrupted call is
    finished by calling again with the same arguments.

    Args:
        folder: Where to write; made when missing.
        tracks: Number of songs, at least 1.
        seed: From 0; together with the split and the number of a track it decides the song. A larger dataset
            of the same seed therefore holds the songs of a smaller one, each in the same split.
        seconds: Length of each song. Default 30.
        sample_rate: Samples per second. Default 44100.
        valid: Songs for validation. Default: a tenth, at least one when there are three songs or more.
        test: Songs for testing. Default: as ``valid``.
        samples: Folder of recorded notes and strokes, see `SampleBank`.
        num_workers: Processes that make songs at the same time; the songs do not depend on it. With more than
            one, a script needs the ``if __name__ == "__main__"`` that ``multiprocessing`` asks for.
        on_track: Called after each song with the number of finished songs and the number of all.

    Raises:
        SettingsError: If a number is out of range or no song would be left for training.
        DatasetError: If there are no recordings in ``samples``.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as name:
        ...     write_dataset(Path(name), tracks=3, seed=0, seconds=0.5, sample_rate=8000)
        ...     sorted(path.name for path in Path(name).iterdir())
        ['test', 'train', 'valid']
    """
    if seed < 0:
        raise SettingsError("cannot write a dataset", found=f"seed {seed}", expected="a seed of 0 or more")
    songs = [
        (split, number, _song_seed(seed, split, number))
        for split, count in enumerate(_split_counts(tracks, valid, test))
        for number in range(count)
    ]
    if samples is not None:
        _bank(samples)  # to fail before anything is written
    make = partial(_make_track, folder, seconds=seconds, sample_rate=sample_rate, samples=samples)
    for done, _ in enumerate(_each(make, songs, num_workers), start=1):
        if on_track is not None:
            on_track(done, tracks)


def _song_seed(seed: int, split: int, number: int) -> int:
    # Seeds of their own for every split: no song can move from one to another when a dataset grows.
    sequence = np.random.SeedSequence(seed, spawn_key=(split, number))
    return int(sequence.generate_state(1, np.uint64)[0])


def _each(make: Callable[[Song], None], songs: list[Song], num_workers: int) -> Iterator[None]:
    if num_workers <= 1:
        yield from map(make, songs)
        return
    # Not forked: a thread that draws a progress bar could hold a lock at that moment.
    with ProcessPoolExecutor(num_workers, mp_context=get_context("spawn")) as pool:
        try:
            yield from pool.map(make, songs)
        finally:
            pool.shutdown(cancel_futures=True)


@lru_cache(maxsize=1)
def _bank(folder: Path) -> SampleBank:
    return SampleBank(folder)


def _make_track(folder: Path, song: Song, *, seconds: float, sample_rate: int, samples: Path | None) -> None:
    split, number, seed = song
    track = folder / SPLITS[split] / _track_name(number, seed)
    if not track.exists():
        bank = _bank(samples) if samples else None
        stems = generate_song(seed, seconds=seconds, sample_rate=sample_rate, samples=bank)
        _write_track(track, stems, sample_rate)


def _split_counts(tracks: int, valid: int | None, test: int | None) -> tuple[int, int, int]:
    """Tracks for training, validation and testing."""
    if tracks < 1:
        raise SettingsError("cannot write a dataset", found=f"{tracks} tracks", expected="at least 1")
    share = max(1, tracks // 10) if tracks >= 3 else 0
    valid = share if valid is None else valid
    test = share if test is None else test
    train = tracks - valid - test
    if min(valid, test) < 0 or train < 1:
        raise SettingsError(
            "cannot split the dataset",
            found=f"{valid} tracks for validation and {test} for testing out of {tracks}",
            expected="none below 0 and at least one left for training",
        )
    return train, valid, test


def _track_name(number: int, song_seed: int) -> str:
    second, first = divmod(song_seed, len(FIRST_WORDS))
    return f"Synth {number + 1:04d} - {FIRST_WORDS[first]} {SECOND_WORDS[second % len(SECOND_WORDS)]}"


def _write_track(track: Path, stems: dict[str, NDArray[np.float32]], sample_rate: int) -> None:
    quantised = {name: np.round(stem * FULL_SCALE).astype(np.int16) for name, stem in stems.items()}
    # The peak of the sum is kept below full scale, so that adding integers cannot wrap around.
    quantised["mixture"] = np.sum(list(quantised.values()), axis=0, dtype=np.int16)
    track.parent.mkdir(parents=True, exist_ok=True)
    # Readers of datasets pass over names that begin with a dot.
    part = track.parent / f".{secrets.token_hex(6)}{PART_SUFFIX}"
    part.mkdir()
    try:
        for name, audio in quantised.items():
            with (part / f"{name}.wav").open("wb") as file:
                soundfile.write(file, audio.T, sample_rate, format="WAV", subtype="PCM_16")
                file.flush()
                os.fsync(file.fileno())
        part.replace(track)
    finally:
        shutil.rmtree(part, ignore_errors=True)
