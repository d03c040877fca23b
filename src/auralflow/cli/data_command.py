"""``auralflow data``: check, prepare and import datasets."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App
from rich.table import Table

from auralflow.cli.console import decibels, error_line, file_progress, note, result_line, results, stage
from auralflow.cli.help import DATA, OPTIONS, add_command
from auralflow.cli.parameters import Flatten
from auralflow.cli.plain import one_line
from auralflow.config import CheckConfig, ImportConfig, PrepareConfig
from auralflow.errors import ExitCode

if TYPE_CHECKING:
    from auralflow.datasets.check import DatasetReport

__all__ = ["data"]

data = App(name="data", help="Check, prepare and import datasets.", group=DATA, group_parameters=OPTIONS)


def check(
    dataset: Path,
    /,
    *,
    options: Annotated[CheckConfig, Flatten] = CheckConfig(),  # noqa: B008 - frozen
) -> int:
    """Read an entire dataset, and report its contents and any problems.

    The exit code is 1 if training would fail, otherwise 0, even if there are warnings.

    Parameters
    ----------
    dataset
        Folder with train/TRACK/vocals.wav and so on.

    Examples
    --------
    auralflow data check dataset --save report.json
    """
    from auralflow.datasets.tracks import check_dataset_exists

    check_dataset_exists(dataset)
    with stage("starting"):
        from auralflow.datasets.check import check_dataset
        from auralflow.storage import write_json

    with file_progress() as progress:
        task = progress.add_task("tracks", total=None)
        report = check_dataset(
            dataset,
            options,
            on_track=lambda done, total, _: progress.update(task, completed=done, total=total),
        )
    _show_check(report)
    if options.save:
        write_json(options.save, report.as_json())
        result_line(f"wrote {options.save}", copyable=True)
    return ExitCode.DONE if report.can_train else ExitCode.FAILED


def _show_check(report: "DatasetReport") -> None:
    if report.tracks:
        results.print(_split_table(report))
    residuals = [track.residual for tracks in report.tracks.values() for track in tracks]
    known = [residual for residual in residuals if residual is not None]
    if known:
        from auralflow.datasets.measure import EXACT_DB

        level = max(known)
        differ = (
            f"differ from the sums of their stems by at most {decibels(level)} dB relative to the mixture"
        )
        result_line(f"mixtures {differ if level > EXACT_DB else 'are the sums of their stems'}")
    for finding in report.findings:
        colour = "red" if finding.severity == "error" else "yellow"
        # What concerns the whole dataset names it.
        text = finding.text if finding.place == "." else f"{finding.place}: {finding.text}"
        result_line(text, label=f"{finding.severity}:", style=colour)
    errors = sum(finding.severity == "error" for finding in report.findings)
    warnings = len(report.findings) - errors
    counts = f"{errors} error{'s' * (errors != 1)}, {warnings} warning{'s' * (warnings != 1)}"
    can = f"possible targets: {', '.join(report.targets)}" if report.can_train else "training would fail"
    result_line(f"{counts}; {can}")


def _split_table(report: "DatasetReport") -> Table:
    table = Table(title=one_line(str(report.dataset)), title_justify="left")
    for heading in ("split", "tracks", "minutes", "Hz", "channels", "formats"):
        table.add_column(heading)
    for split in report.tracks:
        facts = report.summary(split)
        table.add_row(
            split,
            str(facts["tracks"]),
            "\n".join(f"{stem} {minutes:.1f}" for stem, minutes in facts["minutes"].items()),
            *("\n".join(map(str, facts[name])) for name in ("sample_rates", "channels", "formats")),
            end_section=True,
        )
    return table


def prepare(
    dataset: Path,
    cache: Path,
    /,
    *,
    options: Annotated[PrepareConfig, Flatten] = PrepareConfig(),  # noqa: B008 - frozen
) -> int:
    """Decode and resample a dataset once, into a cache that training reads much faster.

    Run it again after an interruption or a change of the dataset: tracks that are up to date are kept.

    Parameters
    ----------
    dataset
        Folder with train/TRACK/vocals.wav and so on.
    cache
        Folder for the cache, which auralflow train accepts in place of the dataset.

    Examples
    --------
    auralflow data prepare dataset cache --variants 1
    auralflow train my_model cache
    """
    with stage("starting"):
        from auralflow.datasets.prepare import prepare as prepare_cache

    with file_progress() as progress:
        task = progress.add_task("tracks", total=None)
        report = prepare_cache(
            dataset,
            cache,
            options,
            on_track=lambda done, total, _: progress.update(task, completed=done, total=total),
        )
    for text in report.failed.values():
        error_line(text)
    counts = {
        "prepared": report.made,
        "kept": report.kept,
        "removed": report.removed,
        "failed": report.failed,
    }
    done = ", ".join(f"{len(names)} {word}" for word, names in counts.items() if names)
    result_line(f"{cache}: {done or 'nothing to do'}")
    return ExitCode.FAILED if report.failed else ExitCode.DONE


def import_(
    source: Path,
    folder: Path,
    /,
    *,
    options: Annotated[ImportConfig, Flatten] = ImportConfig(),  # noqa: B008 - frozen
) -> int:
    """Import MUSDB18, MUSDB18-HQ or, with a mapping file, any multitrack collection as a dataset.

    Run it again after an interruption: tracks that are already imported are kept.

    Parameters
    ----------
    source
        Folder of the collection.
    folder
        Folder for the dataset.

    Examples
    --------
    auralflow data import MUSDB18 dataset
    auralflow data import MedleyDB dataset --mapping medleydb.yaml
    """
    with stage("starting"):
        from auralflow.datasets.importers import import_dataset

    with file_progress() as progress:
        task = progress.add_task("tracks", total=None)
        report = import_dataset(
            source,
            folder,
            options,
            on_track=lambda done, total, _: progress.update(task, completed=done, total=total),
        )
    for text in report.notes:
        note(text)
    for text in report.failed.values():
        error_line(text)
    counts = {"imported": report.made, "kept": report.kept, "failed": report.failed}
    done = ", ".join(f"{len(names)} {word}" for word, names in counts.items() if names)
    result_line(f"{folder}: {done}")
    return ExitCode.FAILED if report.failed else ExitCode.DONE


add_command(data, check)
add_command(data, prepare)
add_command(data, import_, name="import")
