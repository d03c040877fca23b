"""Terminal output: notes, tables and progress bars.

Results go to standard output, everything else to standard error. rich limits colours and progress bars to
terminals and respects ``NO_COLOR``, ``FORCE_COLOR`` and ``TERM=dumb``. Everything is printed by a
`PlainConsole`: markup in names is not interpreted, and every message is one line.
"""

import copy
import json
import logging
import os
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskProgressColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column, Table
from rich.text import Text

from auralflow.cli.plain import PlainColumn, PlainConsole, one_line
from auralflow.config import option_name
from auralflow.errors import UsageError

__all__ = [
    "batch_progress",
    "cannot_print",
    "decibels",
    "error_line",
    "file_progress",
    "help_console",
    "is_quiet",
    "json_line",
    "note",
    "print_json",
    "progress_console",
    "result_line",
    "results",
    "set_messages",
    "show_settings",
    "song_progress",
    "stage",
    "stderr",
    "with_options",
]

LOGGER = logging.getLogger("auralflow")
MESSAGES = logging.getLogger("auralflow.messages")
"""Passes to the log file what is printed directly."""

IS_FIRST_PROCESS = os.environ.get("RANK", "0") == "0"
"""Of the processes of one training run, which torchrun numbers, only the first prints."""

results = PlainConsole(quiet=not IS_FIRST_PROCESS)
"""Standard output: the results of a command."""
help_console = PlainConsole(wraps=True)
"""Standard output: help pages."""
progress_console = PlainConsole(stderr=True, quiet=not IS_FIRST_PROCESS)
"""Standard error: notes and progress."""
stderr = PlainConsole(stderr=True)
"""Standard error: errors, from any process."""


class ConsoleHandler(logging.Handler):
    """Prints the library's log on standard error, above any progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record: warnings like any other message, details with their time and module."""
        if record.name == MESSAGES.name:
            return
        text = one_line(with_options(record.getMessage()))
        if record.levelno >= logging.WARNING:
            (progress_console if _can_move() else stderr).say(f"{record.levelname.lower()}: {text}")
        else:
            progress_console.print(f"{time.strftime('%H:%M:%S')} {record.name}: {text}", style="dim")
        if record.exc_info and self.level <= logging.INFO:
            lines = traceback.format_exception(*record.exc_info)
            progress_console.print("".join(lines).rstrip(), style="dim")


class LogFile(logging.FileHandler):
    """Appends everything that is printed or logged to a file, one line each, with timestamps."""

    def __init__(self, path: Path) -> None:
        try:
            super().__init__(path, encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise UsageError(
                f"cannot write the log to '{path}'",
                found=f"'{error.strerror}'",
                advice="Create its folder."
                if isinstance(error, FileNotFoundError)
                else "Choose another --log-file.",
            ) from None
        self.setLevel(logging.INFO)
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, with its message on one line."""
        record = copy.copy(record)
        record.msg, record.args = one_line(with_options(record.getMessage())), None
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        """Carry on without the log if its disk is full."""
        LOGGER.removeHandler(self)
        error_line(f"cannot write the log to '{self.baseFilename}': {sys.exc_info()[1]}")


def set_messages(*, quiet: bool = False, verbose: bool = False, log_file: Path | None = None) -> None:
    """Set how much is printed besides results and errors.

    Args:
        quiet: Print no notes, progress or warnings.
        verbose: Also print the library's log.
        log_file: A file to append everything to, with timestamps.

    Raises:
        UsageError: If that file cannot be written.
    """
    results.restore(quiet=not IS_FIRST_PROCESS)
    help_console.restore()
    stderr.restore()
    progress_console.restore(quiet=quiet or not IS_FIRST_PROCESS)
    for handler in [handler for handler in LOGGER.handlers if isinstance(handler, ConsoleHandler | LogFile)]:
        LOGGER.removeHandler(handler)
        handler.close()
    shown = ConsoleHandler(logging.ERROR if quiet else logging.INFO if verbose else logging.WARNING)
    LOGGER.addHandler(shown)
    if log_file is not None:
        LOGGER.addHandler(LogFile(log_file))
    LOGGER.setLevel(shown.level if log_file is None else min(shown.level, logging.INFO))


def is_quiet() -> bool:
    """Whether only errors are printed."""
    return progress_console.quiet


def result_line(
    text: str, *, copyable: bool = False, label: str = "", style: str = "", path: Path | None = None
) -> None:
    """Print a result on one line.

    Args:
        text: The result.
        copyable: Whether it has a path or a command, which can be copied from a terminal only if it is not
            wrapped. Default: False.
        label: A word before it.
        style: Style of the label.
        path: A path after a sentence: only the sentence is wrapped. Default: none.
    """
    MESSAGES.info(" ".join(filter(None, (label, text, str(path or "")))))
    console = _beside_a_bar()
    if copyable:
        console.print(one_line(text))
    else:
        console.say(one_line(text), label=label, style=style, path=one_line(str(path or "")))


def json_line(content: Any) -> None:
    """Print a result as JSON on one line; NaN is not allowed."""
    _beside_a_bar().print(json.dumps(content, allow_nan=False))


def _beside_a_bar() -> PlainConsole:
    """The console for results: that of the progress bar if both are on a terminal."""
    return progress_console if results.is_terminal and _can_move() else results


def note(text: str) -> None:
    """Print a note on one line."""
    text = with_options(text)
    MESSAGES.info("note: %s", text)
    progress_console.say(f"note: {one_line(text)}")


@contextmanager
def stage(text: str) -> Iterator[Callable[[], None]]:
    """Show a status line while nothing else is printed, on a terminal; log it in any case.

    Args:
        text: The status, as in "loading the model".

    Yields:
        A function that removes the line, to be called before a progress bar appears.
    """
    LOGGER.info("%s", text)
    if not _can_move():
        yield lambda: None
        return
    with progress_console.status(one_line(text), spinner="line") as status:
        yield status.stop


def with_options(text: str) -> str:
    """Replace the fields that a message of the library names by the options they are on the command line.

    Example:
        >>> print(with_options("`batch_size` is 0"))
        --batch-size is 0
    """
    return re.sub(r"`([a-z][a-z0-9_]*)`", lambda found: option_name(found[1]), text)


def error_line(text: str) -> None:
    """Print an error on one line."""
    text = with_options(text)
    MESSAGES.error(text)
    # Above the progress bar, if there can be one; with --quiet that console prints nothing.
    (progress_console if _can_move() else stderr).say(f"error: {one_line(text)}")


def print_json(content: Any) -> None:
    """Print a result as JSON, with exact names: JSON itself escapes control characters.

    Args:
        content: Anything that the ``json`` module can write except NaN, which is not JSON.
    """
    results.print(json.dumps(content, indent=2, allow_nan=False))


def cannot_print() -> bool:
    """Whether results were lost because standard output is full or closed; prints one error if so."""
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
    """Whether a progress bar can be updated in place, which a file or a pipe does not allow."""
    return (
        progress_console.is_terminal and not progress_console.is_dumb_terminal and not progress_console.quiet
    )


def batch_progress() -> Progress:
    """A progress bar over the batches of an epoch."""
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


class TimesColumn(ProgressColumn):
    """Percentage done, time elapsed and time remaining: "19 %, 0:08 gone, 0:40 to go"."""

    def render(self, task: Task) -> Text:
        """The text, padded to a constant width."""
        parts = [f"{task.percentage:.0f} %", f"{clock(task.elapsed or 0)} gone"]
        if task.time_remaining is not None and task.completed:
            parts.append(f"{clock(task.time_remaining)} to go")
        return Text(", ".join(parts).ljust(_TIMES_WIDTH))


_TIMES_WIDTH = len("19 %, 0:08 gone, 0:40 to go")


def clock(seconds: float) -> str:
    """Format a duration as minutes and seconds, or hours, minutes and seconds.

    Example:
        >>> clock(8), clock(3725)
        ('0:08', '1:02:05')
    """
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def song_progress() -> Progress:
    """A progress line over songs: "12/63 song.flac 19 %, 0:08 gone, 0:40 to go"; long names are truncated."""
    return Progress(
        PlainColumn("{task.fields[done]}/{task.total:.0f}"),
        PlainColumn("{task.description}", Column(ratio=1, no_wrap=True, overflow="ellipsis")),
        BarColumn(bar_width=12),
        TimesColumn(Column(no_wrap=True)),
        console=progress_console,
        transient=True,
        expand=True,
        disable=not _can_move(),
    )


def file_progress() -> Progress:
    """A progress bar over files that also counts the part of a file that is done."""
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
    """Format a level to a tenth of a decibel, with its sign, or as a dash if there is none.

    Example:
        >>> decibels(3.14), decibels(-0.04), decibels(None)
        ('+3.1', '+0.0', '-')
    """
    return "-" if value is None else f"{value:+z.1f}"
