"""What a person sees: notes, tables and progress in the terminal.

Results go to standard output, everything else to standard error. rich keeps colours and moving bars to
terminals and obeys ``NO_COLOR``, ``FORCE_COLOR`` and ``TERM=dumb``.
"""

import logging
import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich import box
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
from rich.text import Text

if TYPE_CHECKING:
    from auralflow.evaluation import Comparison

__all__ = [
    "batch_progress",
    "file_progress",
    "note",
    "progress_console",
    "result_line",
    "results",
    "set_messages",
    "show_comparison",
    "show_settings",
    "stderr",
]

LOGGER = logging.getLogger("auralflow")

IS_FIRST_PROCESS = os.environ.get("RANK", "0") == "0"
"""Of several processes of one training, which torchrun numbers, only the first one talks."""

SHOWN = (
    "si_sdr_improvement",
    "si_sdr",
    "sdr",
    "framewise_sdr",
    "sir",
    "sar",
    "isr",
    "stoi",
    "log_spectral_distance",
)
"""What the terminal shows; files hold all."""
results = Console(highlight=False, soft_wrap=True, quiet=not IS_FIRST_PROCESS)
"""Standard output: what the command was asked for."""
progress_console = Console(stderr=True, highlight=False, soft_wrap=True, quiet=not IS_FIRST_PROCESS)
"""Standard error: notes and progress."""
stderr = Console(stderr=True, highlight=False, soft_wrap=True)
"""Standard error: errors, of whichever process."""


class ConsoleHandler(logging.Handler):
    """Log lines of the library, on standard error and above any bar that moves there."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record: what the user should know as any other message, details with time and module."""
        if record.levelno >= logging.WARNING:
            stderr.print(f"{record.levelname.lower()}: {record.getMessage()}", markup=False)
        else:
            text = f"{time.strftime('%H:%M:%S')} {record.name}: {record.getMessage()}"
            progress_console.print(text, style="dim", markup=False)


def set_messages(*, quiet: bool = False, verbose: bool = False) -> None:
    """Choose how much is told beside results and errors.

    Args:
        quiet: No notes, no progress, no warnings.
        verbose: Also what the library logs.
    """
    progress_console.quiet = quiet or not IS_FIRST_PROCESS
    LOGGER.setLevel(logging.ERROR if quiet else logging.INFO if verbose else logging.WARNING)
    if not any(isinstance(handler, ConsoleHandler) for handler in LOGGER.handlers):
        LOGGER.addHandler(ConsoleHandler())


def result_line(text: str) -> None:
    """Print a result while a bar may move on the same terminal, which only the bar's own console can do."""
    both = results.is_terminal and _can_move()
    (progress_console if both else results).print(text, markup=False)


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


def _can_move() -> bool:
    """Whether a bar can move: in a file or a pipe only its last state would be left, without the others."""
    return (
        progress_console.is_terminal and not progress_console.is_dumb_terminal and not progress_console.quiet
    )


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
        transient=True,
        disable=not _can_move(),
    )


def file_progress() -> Progress:
    """A bar over files, each counted by the share of it that is done."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=progress_console,
        transient=True,
        disable=not _can_move(),
    )


def show_comparison(comparison: "Comparison") -> None:
    """Print the scores of an evaluation: each system from floor to ceiling, pairs, and every track."""
    from auralflow.evaluation.tables import pair_tables, summary_tables, track_table

    about = dict(comparison.about)
    results.print(f"{about.get('dataset')}, {about.get('subset')}", markup=False)
    tables = [track_table(report, "si_sdr_improvement") for report in comparison.systems]
    tables += [table for table in summary_tables(comparison) if table.metric in SHOWN]
    tables += [table for table in pair_tables(comparison) if table.metric in SHOWN]
    for content in tables:
        table = Table(
            title=content.title,
            title_justify="left",
            caption=content.note or None,
            box=box.SIMPLE_HEAD,
            # Five columns of intervals fit into 80.
            padding=(0, 1, 0, 0),
            pad_edge=False,
        )
        table.caption_justify = "left"
        for index, name in enumerate(content.columns):
            table.add_column(
                Text(name),
                justify="right" if index else "left",
                no_wrap=bool(index and content.note),
                # A narrow terminal breaks names between words, not within them.
                min_width=0 if index else 8,
                # Names of models that begin alike would be cut to the same.
                overflow="fold",
            )
        for row in content.rows:
            # As text: a name in brackets is a name, not a style.
            table.add_row(*(Text("\n".join(part for part in cell if part)) for cell in row))
        results.print(table)
        results.print()


def decibels(value: float | None) -> str:
    """A level to a tenth of a decibel with its sign, or a dash."""
    return "-" if value is None else f"{value:+.1f}"
