"""``auralflow separate``."""

from pathlib import Path
from typing import Annotated

from auralflow.cli.console import file_progress, results, stderr
from auralflow.cli.parameters import Flatten
from auralflow.config import SeparateConfig
from auralflow.errors import UsageError

__all__ = ["separate"]


def separate(
    model: Path,
    /,
    *paths: Path,
    options: Annotated[SeparateConfig, Flatten] = SeparateConfig(),  # noqa: B008 - frozen
) -> int:
    """Separate songs, or folders of songs, into stems.

    Parameters
    ----------
    model
        Folder of the model.
    paths
        Songs and folders.
    """
    if not paths:
        raise UsageError("no song was given", expected="auralflow separate MODEL SONG-OR-FOLDER ...")

    from auralflow.models import load
    from auralflow.separation import Outcome, Separator, Song, find_songs, separate_files

    songs = find_songs(paths)
    separator = Separator(
        load(model), overlap=options.overlap, batch_size=options.batch_size, device=options.device
    )
    outcomes: list[Outcome] = []
    with file_progress() as progress:
        task = progress.add_task("", total=len(songs))

        def show(song: Song, share: float) -> None:
            progress.update(task, completed=len(outcomes) + share, description=str(song.name))

        for outcome in separate_files(
            separator,
            songs,
            options.save,
            residual=options.residual,
            duration=options.duration,
            on_progress=show,
        ):
            outcomes.append(outcome)
            progress.update(task, completed=len(outcomes))
            if outcome.error is None:
                results.print(str(outcome.folder), markup=False)
    failures = [outcome.error for outcome in outcomes if outcome.error]
    for failure in failures:
        stderr.print(f"failed: {failure}", markup=False)
    if failures:
        stderr.print(f"error: {len(failures)} of {len(songs)} songs failed", markup=False)
    return 1 if failures else 0
