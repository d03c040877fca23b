"""``auralflow synth``."""

from pathlib import Path
from typing import Annotated

from auralflow.cli.console import file_progress, results
from auralflow.cli.parameters import Flatten
from auralflow.config import SynthConfig

__all__ = ["synth"]


def synth(
    folder: Path,
    /,
    *,
    options: Annotated[SynthConfig, Flatten] = SynthConfig(),  # noqa: B008 - frozen
) -> None:
    """Write a small MUSDB-shaped dataset of generated songs.

    Parameters
    ----------
    folder
        The dataset's folder. Songs that are already there stay.

    Examples
    --------
    auralflow synth songs --tracks 6 --seconds 20
    """
    from auralflow.datasets.loader import usable_workers
    from auralflow.datasets.synth import write_dataset

    with file_progress() as progress:
        task = progress.add_task("songs", total=options.tracks)
        write_dataset(
            folder,
            tracks=options.tracks,
            seed=options.seed,
            seconds=options.seconds,
            sample_rate=options.sample_rate,
            samples=options.samples,
            num_workers=usable_workers(options.num_workers),
            on_track=lambda done, _: progress.update(task, completed=done),
        )
    results.print(f"wrote {folder}", markup=False)
