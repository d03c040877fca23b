"""Separates many songs, one by one or in parallel, alone or alongside other processes."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

from auralflow.config import StemConfig, parse_settings, show_settings
from auralflow.errors import AudioError
from auralflow.machine import shared_cores
from auralflow.separation.naming import check_names
from auralflow.separation.songs import OUTPUT_FOLDER, Song
from auralflow.separation.stream import Separator
from auralflow.separation.work import Outcome, Worker

__all__ = ["output_folder", "separate_files"]

# Seconds to wait before checking again on a song that another process has claimed.
_PATIENCE = 0.2


def output_folder(save: Path) -> Path:
    """Create the output folder.

    Args:
        save: The parent folder.

    Returns:
        ``save/separated_audio``.

    Raises:
        AudioError: If the folder cannot be created or is not writable.
    """
    folder = save / OUTPUT_FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".writable-{time.time_ns()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise AudioError(
            f"cannot write to '{folder}'",
            found=f"'{error.strerror}'",
            expected="a writable folder",
            advice="Choose another --save.",
        ) from error
    return folder


@show_settings(StemConfig)
def separate_files(
    separator: Separator,
    songs: Sequence[Song],
    save: str | Path,
    options: StemConfig | None = None,
    *,
    force: bool = False,
    jobs: int = 1,
    on_progress: Callable[[Song, float], None] | None = None,
    **changes: Any,
) -> Iterator[Outcome]:
    """Separate songs; a failed song does not stop the others.

    Songs that are finished according to the journal in the output folder, and whose files are unchanged, are
    kept. Processes with the same output folder share the work. To stop early, close the iterator.

    Args:
        separator: The separator.
        songs: The songs, from `find_songs`.
        save: Folder in which ``separated_audio`` is created.
        options: What to write. Default: the defaults of `StemConfig`.
        force: Separate finished songs again, and overwrite files that are not in the journal.
        jobs: Number of songs to separate in parallel.
        on_progress: Called with a song and the fraction done, starting at 0.
        changes: Options by name, overriding those in ``options``; `StemConfig` describes them.

    Yields:
        The outcome of each song, in order of completion.

    Raises:
        AudioError: If the output folder is not writable.
        SettingsError: If an option is unknown or out of range.
        UsageError: If two songs would have files of the same name.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from auralflow.audio import write_audio
        >>> from auralflow.separation import find_songs
        >>> folder = Path(tempfile.mkdtemp())
        >>> write_audio(folder / "song.wav", np.zeros((2, 4000), dtype=np.float32), 44100)
        >>> separator = Separator("SpectrogramNetSimple", targets="vocals")
        >>> [outcome] = separate_files(separator, find_songs([folder]), folder)
        >>> outcome.status, outcome.report["files"]
        ('separated', ['original.wav', 'vocals.wav'])
    """
    save = Path(save)
    given = options.model_dump(include=set(StemConfig.model_fields)) if options else {}
    stopped = Event()
    chosen = parse_settings(StemConfig, given | changes)
    check_names([song.name for song in songs], separator.targets, chosen)
    worker = Worker(
        separator,
        output_folder(save),
        chosen,
        force=force,
        should_stop=stopped.is_set,
    )
    run = partial(_run, worker, on_progress)
    busy = []
    try:
        for outcome in _spread(run, songs, jobs, stopped):
            if outcome.status == "busy":
                busy.append(outcome.song)
            else:
                yield outcome
        # Other processes have claimed these; if one of them dies, this one takes over.
        while busy:
            outcome = run(busy[0])
            if outcome.status == "busy":
                busy.append(busy.pop(0))
                time.sleep(_PATIENCE)
            else:
                del busy[0]
                yield outcome
    finally:
        worker.journal.close()


def _run(worker: Worker, on_progress: Callable[[Song, float], None] | None, song: Song) -> Outcome:
    if not on_progress:
        return worker.run(song)
    on_progress(song, 0.0)
    return worker.run(song, partial(on_progress, song))


def _spread(
    run: Callable[[Song], Outcome], songs: Sequence[Song], jobs: int, stopped: Event
) -> Iterator[Outcome]:
    if jobs == 1:
        yield from map(run, songs)
        return
    with shared_cores(jobs), ThreadPoolExecutor(jobs) as executor:
        tasks = [executor.submit(run, song) for song in songs]
        try:
            for task in as_completed(tasks):
                yield task.result()
        finally:
            stopped.set()
            for task in tasks:
                task.cancel()
