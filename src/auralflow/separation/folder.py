"""Separation of many songs: one after the other or several at once, alone or beside other processes."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

from auralflow.config import StemConfig, parse_settings
from auralflow.errors import AudioError
from auralflow.machine import shared_cores
from auralflow.separation.naming import check_names
from auralflow.separation.songs import OUTPUT_FOLDER, Song
from auralflow.separation.stream import Separator
from auralflow.separation.work import Outcome, Worker

__all__ = ["output_folder", "separate_files"]

# How long to wait before looking again at a song that another process has, in seconds.
_PATIENCE = 0.2


def output_folder(save: Path) -> Path:
    """Make the folder for all stems.

    Args:
        save: The folder that the user named.

    Returns:
        ``save/separated_audio``.

    Raises:
        AudioError: If it cannot be made or written to.
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
            expected="a folder that may be written to",
            advice="Choose another --save.",
        ) from error
    return folder


def separate_files(
    separator: Separator,
    songs: Sequence[Song],
    save: str | Path,
    options: StemConfig | None = None,
    *,
    force: bool = False,
    jobs: int = 1,
    on_progress: Callable[[Song, float], None] = lambda *_: None,
    **changes: Any,
) -> Iterator[Outcome]:
    """Separate songs; one that fails does not stop the others.

    What the journal in the output folder says is finished, and still is what it was, is kept. Processes that
    are given the same folder share the work. To stop, close the iterator.

    Args:
        separator: The separator.
        songs: The songs, as `find_songs` lists them.
        save: Folder in which ``separated_audio`` is made.
        options: What to write. Default: the defaults of `StemConfig`.
        force: Separate songs again that are finished, and replace files that are not in the journal.
        jobs: Songs to be separated at the same time.
        on_progress: Called with a song under way and the fraction of it that is done, at first 0.
        changes: Options by name, in place of those in ``options``.

    Yields:
        The outcome of each song, in the order in which they end.

    Raises:
        AudioError: If the output folder cannot be written to.
        UsageError: If the files of two songs would have one name.
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
        # Others have these in hand. They are taken over if their process dies.
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


def _run(worker: Worker, on_progress: Callable[[Song, float], None], song: Song) -> Outcome:
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
