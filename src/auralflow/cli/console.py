"""What a person sees: notes, tables and progress in the terminal."""

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

if TYPE_CHECKING:
    from auralflow.evaluation import Report

__all__ = [
    "batch_progress",
    "file_progress",
    "note",
    "progress_console",
    "results",
    "show_report",
    "show_settings",
    "stderr",
]

IS_FIRST_PROCESS = os.environ.get("RANK", "0") == "0"
"""Of several processes of one training, which torchrun numbers, only the first one talks."""

results = Console(highlight=False, soft_wrap=True, quiet=not IS_FIRST_PROCESS)
"""Standard output: what the command was asked for."""
progress_console = Console(stderr=True, highlight=False, soft_wrap=True, quiet=not IS_FIRST_PROCESS)
"""Standard error: notes and progress."""
stderr = Console(stderr=True, highlight=False, soft_wrap=True)
"""Standard error: errors, of whichever process."""


def note(text: str) -> None:
    """Say something in one line that is no result."""
    progress_console.print(f"note: {text}", markup=False)


def show_settings(title: str, settings: Mapping[str, Any]) -> None:
    """Print settings as a table."""
    table = Table(title=title, title_justify="left")
    table.add_column("setting")
    table.add_column("value")
    for name, value in settings.items():
        text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        table.add_row(name, text)
    results.print(table)


def batch_progress() -> Progress:
    """A bar over the batches of an epoch."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[loss]}"),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
        console=progress_console,
    )


def file_progress() -> Progress:
    """A bar over files, each counted by the share of it that is done."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=progress_console,
    )


HEADINGS = {
    "si_sdr_improvement": "SI-SDR improvement over the mixture, dB",
    "si_sdr": "SI-SDR, dB",
    "sdr": "SDR, dB",
}


def show_report(report: "Report", model: Path, dataset: Path, subset: str) -> None:
    """Print the scores of an evaluation, one table per metric."""
    mean, middle = report.summary(fmean), report.summary(median)
    results.print(f"{model} on {dataset}, {subset}: {len(report.tracks)} tracks", markup=False)
    for metric, heading in HEADINGS.items():
        table = Table(title=heading, title_justify="left")
        table.add_column("track")
        for target in report.targets:
            table.add_column(target, justify="right")
        for track in report.tracks:
            table.add_row(track.track, *_cells(track.scores, report.targets, metric))
        table.add_section()
        table.add_row("mean", *_cells(mean, report.targets, metric))
        table.add_row("median", *_cells(middle, report.targets, metric))
        results.print(table)


def _cells(scores: Mapping[str, Any], targets: tuple[str, ...], metric: str) -> list[str]:
    return [decibels(asdict(scores[target])[metric]) if target in scores else "-" for target in targets]


def decibels(value: float | None) -> str:
    """A level to a tenth of a decibel with its sign, or a dash."""
    return "-" if value is None else f"{value:+.1f}"
