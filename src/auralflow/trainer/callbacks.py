"""What others may do while a training runs: a callback sees the state, and never changes the weights."""

from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Callback", "EpochRecord", "TrainingState"]


@dataclass(frozen=True)
class EpochRecord:
    """What one epoch brought.

    Attributes:
        epoch: Its number, from 1.
        train_loss: Mean loss over its batches.
        valid_loss: Loss on the validation chunks.
        si_sdr_improvement: SI-SDR over that of the mixture, in dB, by target; None where no chunk could be
            scored.
        snr: SNR in dB by target: unlike SI-SDR it shows a wrong level.
        lr: Learning rate at its end.
        seconds: How long it took, validation included.
        improved: Whether the validation was the best so far.
    """

    epoch: int
    train_loss: float
    valid_loss: float
    si_sdr_improvement: dict[str, float | None]
    snr: dict[str, float | None]
    lr: float
    seconds: float
    improved: bool


@dataclass
class TrainingState:
    """Where a training is.

    Attributes:
        epoch: Epochs finished.
        batch: Batches done in the epoch under way.
        step: Optimizer steps since the beginning.
        loss_sum: Sum of the losses of the epoch under way.
        best: Best validation so far: the lowest loss, or minus the highest SI-SDR improvement.
        plateaus: How often the learning rate dropped.
        skipped: Batches left out because their loss or gradient was not finite.
        history: A record of each finished epoch.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    best: float = float("inf")
    plateaus: int = 0
    skipped: int = 0
    history: list[EpochRecord] = field(default_factory=list)


class Callback:
    """Base of all callbacks: every method does nothing until it is overridden.

    Only the first process calls them.

    Example:
        >>> class Announce(Callback):
        ...     def on_epoch_end(self, state, record):
        ...         print(f"epoch {record.epoch}: {record.valid_loss:.2f}")
    """

    def on_train_start(self, state: TrainingState, num_batches: int | None) -> None:
        """Before the first batch; ``num_batches`` are in an epoch, None if unknown."""

    def on_batch_end(self, state: TrainingState, loss: float, num_chunks: int) -> None:
        """After a step on ``num_chunks`` chunks."""

    def on_epoch_end(self, state: TrainingState, record: EpochRecord) -> None:
        """After the validation."""

    def on_checkpoint(self, state: TrainingState, path: Path) -> None:
        """After the training state, or the best weights, were written to ``path``."""

    def on_train_end(self, state: TrainingState) -> None:
        """After the last epoch, or when the training was stopped."""
