"""``auralflow synth``."""

from pathlib import Path
from typing import Annotated

from auralflow.cli.console import error_line, file_progress, note, result_line, stage
from auralflow.cli.parameters import Flatten
from auralflow.config import SynthConfig
from auralflow.errors import ExitCode

__all__ = ["synth"]


def synth(
    folder: Path,
    /,
    *,
    options: Annotated[SynthConfig, Flatten] = SynthConfig(),  # noqa: B008 - frozen
) -> int:
    """Generate songs, and write them as a dataset in the layout of MUSDB18.

    Unless other material is given, everything is composed and synthesised. If MIDI files cannot be read, the
    exit code is 1 and the songs are made from the others.

    Parameters
    ----------
    folder
        Folder for the dataset. Songs that are already there are kept.

    Examples
    --------
    auralflow synth songs --tracks 6 --seconds 20
    """
    with stage("starting"):
        from auralflow.cores import usable_workers
        from auralflow.synth import write_dataset

    with file_progress() as progress:
        task = progress.add_task("songs", total=options.tracks)
        report = write_dataset(
            folder,
            tracks=options.tracks,
            seed=options.seed,
            seconds=options.seconds,
            sample_rate=options.sample_rate,
            midi=options.midi,
            voices=options.voices,
            samples=options.samples,
            soundfonts=options.soundfont,
            grooves=options.grooves,
            num_workers=usable_workers(options.num_workers),
            on_track=lambda done, _: progress.update(task, completed=done),
        )
    for text in report.notes:
        note(text)
    for text in report.failures:
        error_line(text)
    kept = f", kept {report.kept} existing" if report.kept else ""
    result_line(f"wrote {report.written} songs to {folder}{kept}", copyable=True)
    return ExitCode.FAILED if report.failures else ExitCode.DONE
