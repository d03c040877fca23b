"""A whole dataset of generated songs in the shape of MUSDB18."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray

from auralflow.errors import SettingsError
from auralflow.storage import atomic_folder, claimed, remove_dead_folders
from auralflow.synth.players.recorded_singers import VoiceBank
from auralflow.synth.players.samples import SampleBank
from auralflow.synth.players.soundfonts import soundfont
from auralflow.synth.score.grooves import GrooveBank
from auralflow.synth.score.midi_songs import MidiLibrary, composition_of, index_midi
from auralflow.synth.song import Material, generate_song

__all__ = ["SynthReport", "write_dataset"]

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

Sources = tuple[Path | None, tuple[Path, ...], Path | None, Path | None]
"""Folder of samples, soundfonts, folder of voices, folder of drum performances."""


class _Song(NamedTuple):
    """The ingredients of a song: its split and number there, its seed, its composition."""

    split: int
    number: int
    seed: int
    midi: Path | None


@dataclass(frozen=True, slots=True)
class SynthReport:
    """What was done, and which material could not be used.

    Args:
        written: Songs that were made.
        kept: Songs that were there already.
        failures: One line for each MIDI file that cannot be read.
        notes: One line for each MIDI file that is left out for another reason.
    """

    written: int = 0
    kept: int = 0
    failures: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def write_dataset(  # noqa: PLR0913 - all but the first are options
    folder: str | Path,
    *,
    tracks: int,
    seed: int,
    seconds: float = 30.0,
    sample_rate: int = 44100,
    valid: int | None = None,
    test: int | None = None,
    midi: str | Path | None = None,
    voices: str | Path | None = None,
    samples: str | Path | None = None,
    soundfonts: Sequence[str | Path] = (),
    grooves: str | Path | None = None,
    num_workers: int = 1,
    on_track: Callable[[int, int], None] | None = None,
) -> SynthReport:
    """Write ``folder/{train,valid,test}/<track>/{mixture,vocals,drums,bass,other}.wav`` in 16-bit PCM.

    A track appears under its name only when it is complete, and a complete track is kept: to finish an
    interrupted call, call again with the same arguments.

    Args:
        folder: Where to write; created if missing.
        tracks: Number of songs, at least 1.
        seed: From 0; together with the split and the number of a track it decides the song. A larger dataset
            of the same seed therefore holds the songs of a smaller one, each in the same split.
        seconds: Length of each song. Default 30.
        sample_rate: Samples per second. Default 44100.
        valid: Songs for validation. Default: a tenth, at least one when there are three songs or more.
        test: Songs for testing. Default: as ``valid``.
        midi: Folder of MIDI files to be played instead of built-in compositions, see `MidiLibrary`.
        voices: Folder of recorded voices that sing, see `VoiceBank`.
        samples: Folder of recorded notes and hits, see `SampleBank`.
        soundfonts: Files of General MIDI soundfonts.
        grooves: Folder of drum performances as MIDI, or a ZIP file of them, see `GrooveBank`.
        num_workers: Processes that make songs at the same time; the songs do not depend on it. With more than
            one, a script needs the ``if __name__ == "__main__"`` that ``multiprocessing`` asks for.
        on_track: Called after each song with the number of finished songs and the number of all.

    Returns:
        How many songs were made, and MIDI files that could not be used.

    Raises:
        SettingsError: If a number is out of range or no song would be left for training.
        NotFoundError: If a folder or soundfont does not exist.
        DatasetError: If there is nothing to be used in a folder, or a library is missing.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as name:
        ...     report = write_dataset(Path(name), tracks=3, seed=0, seconds=0.5, sample_rate=8000)
        ...     sorted(path.name for path in Path(name).iterdir())
        ['test', 'train', 'valid']
    """
    folder = Path(folder)
    midi = None if midi is None else Path(midi)
    voices = None if voices is None else Path(voices)
    samples = None if samples is None else Path(samples)
    grooves = None if grooves is None else Path(grooves)
    if seed < 0:
        raise SettingsError("cannot write a dataset", found=f"seed {seed}", expected="a seed of 0 or more")
    counts = _split_counts(tracks, valid, test)
    # To fail before anything is written.
    sources = (samples, tuple(map(Path, soundfonts)), voices, grooves)
    _material(*sources)
    for path in soundfonts:
        soundfont(path, sample_rate)
    for split in SPLITS:
        remove_dead_folders(folder / split)
    make = partial(_make_track, folder, seconds=seconds, sample_rate=sample_rate, sources=sources)
    with _pool(num_workers) as pool:
        library = index_midi(midi, executor=pool) if midi is not None else None
        songs = _plan(counts, seed, library)
        written = 0
        for done, is_new in enumerate((pool.map if pool else map)(make, songs), start=1):
            written += is_new
            if on_track is not None:
                on_track(done, tracks)
    report = SynthReport(written, tracks - written)
    return replace(report, failures=library.failures, notes=library.notes) if library else report


def _plan(counts: tuple[int, int, int], seed: int, library: MidiLibrary | None) -> list[_Song]:
    """What each song of a dataset is made of."""
    return [
        _Song(
            split,
            number,
            _song_seed(seed, split, number),
            library.file(seed, split, number) if library else None,
        )
        for split, count in enumerate(counts)
        for number in range(count)
    ]


@contextmanager
def _pool(num_workers: int) -> Iterator[ProcessPoolExecutor | None]:
    if num_workers <= 1:
        yield None
        return
    # Not forked: a thread that draws a progress bar could hold a lock at that moment.
    context = get_context("spawn")
    with ProcessPoolExecutor(num_workers, mp_context=context, initializer=_end_with_parent) as pool:
        try:
            yield pool
        finally:
            pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """End this worker when the process that started it is killed; it would wait for work for ever."""
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    if parent := parent_process():
        parent.join()
        os._exit(1)


def _song_seed(seed: int, split: int, number: int) -> int:
    # Seeds of their own for every split: no song can move from one to another when a dataset grows.
    sequence = np.random.SeedSequence(seed, spawn_key=(split, number))
    return int(sequence.generate_state(1, np.uint64)[0])


@lru_cache(maxsize=1)
def _material(
    samples: Path | None, soundfonts: tuple[Path, ...], voices: Path | None, grooves: Path | None
) -> Material:
    return Material(
        samples=SampleBank(samples) if samples else None,
        soundfonts=soundfonts,
        voices=VoiceBank(voices) if voices else None,
        grooves=GrooveBank(grooves) if grooves else None,
    )


def _make_track(folder: Path, song: _Song, *, seconds: float, sample_rate: int, sources: Sources) -> bool:
    """Make a song, unless it exists."""
    track = folder / SPLITS[song.split] / _track_name(song.number, song.seed)
    if track.exists():
        return False
    stems = generate_song(
        song.seed,
        seconds=seconds,
        sample_rate=sample_rate,
        material=_material(*sources),
        composition=composition_of(song.midi) if song.midi else None,
    )
    _write_track(track, stems, sample_rate)
    return True


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
    # Readers of datasets ignore names that begin with a dot.
    with claimed(track), atomic_folder(track) as part:
        for name, audio in quantised.items():
            with (part / f"{name}.wav").open("wb") as file:
                soundfile.write(file, audio.T, sample_rate, format="WAV", subtype="PCM_16")
                file.flush()
                os.fsync(file.fileno())
