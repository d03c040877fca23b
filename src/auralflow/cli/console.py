"""What a person sees: notes, tables and progress in the terminal.

Results go to standard output, everything else to standard error. rich keeps colours and moving bars to
terminals and obeys ``NO_COLOR``, ``FORCE_COLOR`` and ``TERM=dumb``. Everything is printed by a
`PlainConsole`: names are text, and one message is one line.
"""

import json
import logging
import os
import time
import traceback
from collections.abc import Mapping
from typing import Any

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from auralflow.cli.plain import PlainColumn, PlainConsole, one_line

__all__ = [
    "batch_progress",
    "cannot_print",
    "decibels",
    "error_line",
    "file_progress",
    "help_console",
    "note",
    "print_json",
    "progress_console",
    "result_line",
    "results",
    "set_messages",
    "show_settings",
    "stderr",
]

LOGGER = logging.getLogger("auralflow")

IS_FIRST_PROCESS = os.environ.get("RANK", "0") == "0"
"""Of several processes of one training, which torchrun numbers, only the first one talks."""

results = PlainConsole(quiet=not IS_FIRST_PROCESS)
"""Standard output: what the command was asked for."""
help_console = PlainConsole(wraps=True)
"""Standard output: help pages."""
progress_console = PlainConsole(stderr=True, quiet=not IS_FIRST_PROCESS)
"""Standard error: notes and progress."""
stderr = PlainConsole(stderr=True)
"""Standard error: errors, of whichever process."""


class ConsoleHandler(logging.Handler):
    """Log lines of the library, on standard error and above any bar that moves there."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record: what the user should know as any other message, details with time and module."""
        text = one_line(record.getMessage())
        if record.levelno >= logging.WARNING:
            stderr.print(f"{record.levelname.lower()}: {text}")
        else:
            progress_console.print(f"{time.strftime('%H:%M:%S')} {record.name}: {text}", style="dim")
        if record.exc_info and LOGGER.isEnabledFor(logging.INFO):
            lines = traceback.format_exception(*record.exc_info)
            progress_console.print("".join(lines).rstrip(), style="dim")


def set_messages(*, quiet: bool = False, verbose: bool = False) -> None:
    """Choose how much is told beside results and errors.

    Args:
        quiet: No notes, no progress, no warnings.
        verbose: Also what the library logs.
    """
    results.restore(quiet=not IS_FIRST_PROCESS)
    help_console.restore()
    stderr.restore()
    progress_console.restore(quiet=quiet or not IS_FIRST_PROCESS)
    LOGGER.setLevel(logging.ERROR if quiet else logging.INFO if verbose else logging.WARNING)
    if not any(isinstance(handler, ConsoleHandler) for handler in LOGGER.handlers):
        LOGGER.addHandler(ConsoleHandler())


def result_line(text: str) -> None:
    """Print a result in one line; a bar that moves on the same terminal needs its own console for that."""
    both = results.is_terminal and _can_move()
    (progress_console if both else results).print(one_line(text))


def note(text: str) -> None:
    """Say something in one line that is no result."""
    progress_console.print(f"note: {one_line(text)}")


def error_line(text: str) -> None:
    """Say in one line what went wrong."""
    stderr.print(f"error: {one_line(text)}")


def print_json(content: Any) -> None:
    """Print a result as JSON, in which names are exact: what a terminal must not see is escaped there.

    Args:
        content: Anything the ``json`` module can write. NaN is refused: it is not JSON.
    """
    results.print(json.dumps(content, indent=2, allow_nan=False))


def cannot_print() -> bool:
    """Whether results were lost because standard output is full or closed, which is said once."""
    lost = results.lost or help_console.lost
    if lost:
        error_line(f"cannot write to standard output: {lost}")
    return lost is not None


def show_settings(title: str, settings: Mapping[str, Any]) -> None:
    """Print settings as a table."""
    table = Table(title=one_line(title), title_justify="left")
    table.add_column("setting")
    table.add_column("value")
    for name, value in settings.items():
        text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        table.add_row(name, one_line(text))
    results.print(table)


def _can_move() -> bool:
    """Whether a bar can move: in a file or a pipe only its last state would be left, without the others."""
    return (
        progress_console.is_terminal and not progress_console.is_dumb_terminal and not progress_console.quiet
    )


def batch_progress() -> Progress:
    """A bar over the batches of an epoch."""
    return Progress(
        PlainColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        PlainColumn("{task.fields[loss]}"),
        PlainColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
        console=progress_console,
        transient=True,
        disable=not _can_move(),
    )


def file_progress() -> Progress:
    """A bar over files, each counted by the share of it that is done."""
    return Progress(
        PlainColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        PlainColumn("left"),
        TimeRemainingColumn(),
        console=progress_console,
        transient=True,
        disable=not _can_move(),
    )


def decibels(value: float | None) -> str:
    """A level to a tenth of a decibel with its sign, or a dash."""
    return "-" if value is None else f"{value:+.1f}"
