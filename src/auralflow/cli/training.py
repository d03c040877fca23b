"""The progress of training in the terminal."""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self

from rich.progress import TaskID

from auralflow.cli.console import batch_progress, decibels, progress_console
from auralflow.cli.plain import one_line
from auralflow.datasets.draws import VOICE
from auralflow.trainer import Callback, EpochRecord, TrainingState

__all__ = ["ProgressCallback"]


class _Column(NamedTuple):
    """One column of the table of epochs.

    Attributes:
        title: The heading.
        width: The width, without the space before the column.
        droppable: Order in which columns are dropped on a narrow terminal; 0: never.
    """

    title: str
    width: int
    droppable: int = 0


class ProgressCallback(Callback):
    """Shows a progress bar with loss and speed during an epoch, and a table with a row for each epoch.

    Args:
        max_epochs: Total number of epochs.
        silent: Do not report checkpoints.

    Attributes:
        first_epoch: Epochs that were done when training started or resumed.
    """

    def __init__(self, max_epochs: int, *, silent: bool) -> None:
        self.max_epochs = max_epochs
        self.silent = silent
        self.progress = batch_progress()
        self.task = TaskID(0)
        self.started = time.monotonic()
        self.chunks = 0
        self.columns: list[_Column] = []
        self.reported: set[Path] = set()
        self.saved: list[Path] = []
        self.skipped = 0
        self.first_epoch = 0

    def __enter__(self) -> Self:
        self.task = self.progress.add_task("reading the dataset", total=None, loss="", speed="")
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def on_train_start(self, state: TrainingState, num_batches: int | None) -> None:
        """Set up the progress bar."""
        if self.progress.tasks:
            self.progress.remove_task(self.task)
        self.task = self.progress.add_task("", total=num_batches, loss="", speed="")
        self.skipped, self.first_epoch = state.skipped, state.epoch
        self._begin_epoch(state)

    def _begin_epoch(self, state: TrainingState) -> None:
        self.started, self.chunks = time.monotonic(), 0
        # Reset, or the estimate of the remaining time would include the pause between epochs.
        self.progress.reset(
            self.task,
            completed=state.batch,
            # There is no next epoch to show after the last.
            visible=state.epoch < self.max_epochs,
            description=f"epoch {min(state.epoch + 1, self.max_epochs)}/{self.max_epochs}",
            loss="",
            speed="",
        )

    def on_batch_end(self, state: TrainingState, loss: float, num_chunks: int) -> None:
        """Advance the progress bar."""
        self.chunks += num_chunks
        speed = self.chunks / max(1e-9, time.monotonic() - self.started)
        self.progress.update(
            self.task, completed=state.batch, loss=f"loss {loss:.4g}", speed=f"{speed:.1f} chunks/s"
        )

    def on_epoch_end(self, state: TrainingState, record: EpochRecord) -> None:
        """Print the row of the epoch, and the heading of the table before the first."""
        if not self.columns:
            leaks = record.leak.get(VOICE) is not None
            targets = tuple(record.si_sdr_improvement)
            self.columns = _columns(targets, progress_console.width, leaks=leaks)
            progress_console.print("\n".join(_head(self.columns, record)))
        progress_console.print(_row(self.columns, record, self.max_epochs))
        self._print_saved()
        if state.skipped > self.skipped:
            count = state.skipped - self.skipped
            progress_console.print(f"  skipped {count} batches whose loss or gradient was not finite")
            self.skipped = state.skipped
        self._begin_epoch(state)

    def on_train_end(self, state: TrainingState) -> None:
        """Remove the progress bar."""
        self.progress.update(self.task, visible=False)
        self._print_saved()

    def on_checkpoint(self, state: TrainingState, path: Path) -> None:
        """Report a file the first time it is written; every epoch replaces it."""
        if not self.silent and path not in self.reported:
            self.reported.add(path)
            self.saved.append(path)
        # Not above the head of the table, where nobody knows yet what was saved.
        if self.columns:
            self._print_saved()

    def _print_saved(self) -> None:
        for path in self.saved:
            progress_console.print(f"  saved {one_line(str(path))}")
        self.saved.clear()


def _columns(targets: Sequence[str], width: int, *, leaks: bool) -> list[_Column]:
    """The columns that fit the width: learning rate, time and SNR are dropped first, then the targets."""
    columns = [
        _Column("epoch", 8),
        _Column("train", 7),
        _Column("valid", 8),
        *(_Column(one_line(target), max(5, len(one_line(target))), 4) for target in targets),
        _Column("mean", 5),
        _Column("SNR", 5, 3),
        *([_Column("leak", 5)] if leaks else []),
        _Column("lr", 7, 1),
        _Column("time", 6, 2),
    ]
    for stage in range(1, 5):
        if sum(column.width + 1 for column in columns) <= width:
            break
        columns = [column for column in columns if column.droppable != stage]
    return columns


def _head(columns: Sequence[_Column], record: EpochRecord) -> Iterator[str]:
    yield "Losses, then SI-SDR improvement over the mixture and SNR on validation, in dB."
    yield "floor: SI-SDR of the mixture itself; *: best weights so far"
    if any(column.title == "leak" for column in columns):
        yield "leak: energy of estimated vocals where there are none, in dB of the mixture"
    yield " ".join(f"{column.title:>{column.width}}" for column in columns)
    cells = {one_line(target): decibels(level) for target, level in record.mixture_si_sdr.items()}
    yield _line(columns, {"epoch": "floor", **cells})


def _row(columns: Sequence[_Column], record: EpochRecord, max_epochs: int) -> str:
    cells = {
        "epoch": f"{record.epoch}/{max_epochs}",
        "train": "-" if record.train_loss is None else f"{record.train_loss:.4g}",
        "valid": f"{record.valid_loss:.4g}" + ("*" if record.improved else " "),
        **{one_line(target): decibels(gain) for target, gain in record.si_sdr_improvement.items()},
        "mean": decibels(record.mean_improvement),
        "SNR": decibels(record.mean_snr),
        "leak": decibels(record.leak.get(VOICE)),
        "lr": f"{record.lr:.2g}",
        "time": _duration(record.seconds),
    }
    return _line(columns, cells)


def _line(columns: Sequence[_Column], cells: Mapping[str, str]) -> str:
    return " ".join(f"{cells.get(column.title, ''):>{column.width}}" for column in columns).rstrip()


def _duration(seconds: float) -> str:
    """Format a duration in at most six characters.

    Example:
        >>> _duration(7.4), _duration(75), _duration(7300)
        ('7 s', '1m15s', '2h01m')
    """
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    return f"{minutes}m{rest:02d}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02d}m"
