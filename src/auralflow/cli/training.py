"""Training as a person follows it in the terminal."""

import time
from pathlib import Path
from typing import Self

from rich.progress import TaskID

from auralflow.cli.console import batch_progress, decibels, progress_console
from auralflow.cli.plain import one_line
from auralflow.trainer import Callback, EpochRecord, TrainingState

__all__ = ["ProgressCallback"]


class ProgressCallback(Callback):
    """A bar with loss and speed over the batches of an epoch, and a line for every epoch.

    Args:
        max_epochs: Number of epochs, for the line.
        silent: Do not report checkpoints.
    """

    def __init__(self, max_epochs: int, *, silent: bool) -> None:
        self.max_epochs = max_epochs
        self.silent = silent
        self.progress = batch_progress()
        self.task = TaskID(0)
        self.started = time.monotonic()
        self.chunks = 0

    def __enter__(self) -> Self:
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def on_train_start(self, state: TrainingState, num_batches: int | None) -> None:
        """Set up the bar."""
        self.task = self.progress.add_task("", total=num_batches, loss="", speed="")
        self._begin_epoch(state)

    def _begin_epoch(self, state: TrainingState) -> None:
        self.started, self.chunks = time.monotonic(), 0
        # Anew, or the time left would be reckoned with what came between two epochs.
        self.progress.reset(
            self.task,
            completed=state.batch,
            description=f"epoch {state.epoch + 1}/{self.max_epochs}",
            loss="",
            speed="",
        )

    def on_batch_end(self, state: TrainingState, loss: float, num_chunks: int) -> None:
        """Move the bar."""
        self.chunks += num_chunks
        speed = self.chunks / max(1e-9, time.monotonic() - self.started)
        self.progress.update(
            self.task, completed=state.batch, loss=f"loss {loss:.4g}", speed=f"{speed:.1f} chunks/s"
        )

    def on_epoch_end(self, state: TrainingState, record: EpochRecord) -> None:
        """Print the line."""
        gains = " ".join(f"{name} {decibels(gain)}" for name, gain in record.si_sdr_improvement.items())
        levels = " ".join(f"{name} {decibels(level)}" for name, level in record.snr.items())
        progress_console.print(
            f"epoch {record.epoch}: loss {record.train_loss:.4g}, "
            f"validation {record.valid_loss:.4g}{' (best)' if record.improved else ''}, "
            f"SI-SDR improvement {gains} dB, SNR {levels} dB, lr {record.lr:.2g}, {record.seconds:.0f} s"
            + (f", {state.skipped} batches skipped" if state.skipped else ""),
        )
        self._begin_epoch(state)

    def on_train_end(self, state: TrainingState) -> None:
        """Take the bar away."""
        self.progress.update(self.task, visible=False)

    def on_checkpoint(self, state: TrainingState, path: Path) -> None:
        """Say where something was written."""
        if not self.silent:
            progress_console.print(f"  saved {one_line(str(path))}")
