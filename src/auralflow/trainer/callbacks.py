"""What others may do while a training runs: a callback sees the state, and never changes the weights."""

import math
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Callback", "EpochRecord", "TrainingState"]


@dataclass(frozen=True)
class EpochRecord:
    """Losses and scores of one epoch.

    Attributes:
        epoch: Its number, from 1; 0 is a trained start, before the first step.
        train_loss: Mean loss over its batches; None for epoch 0.
        valid_loss: Loss on the validation chunks.
        si_sdr_improvement: SI-SDR over that of the mixture, in dB, by target; None where no chunk could be
            scored.
        snr: SNR in dB by target: unlike SI-SDR it shows a wrong level.
        lr: Learning rate at its end.
        seconds: How long it took, validation included.
        improved: Whether the validation was the best so far.
        mixture_si_sdr: SI-SDR of the mixture itself on the same chunks, in dB, by target: the floor that the
            improvement is counted from.
        leak: What is estimated where a target is silent, in dB of the mixture, by target; None where it is
            never silent.
    """

    epoch: int
    train_loss: float | None
    valid_loss: float
    si_sdr_improvement: dict[str, float | None]
    snr: dict[str, float | None]
    lr: float
    seconds: float
    improved: bool
    mixture_si_sdr: dict[str, float | None] = field(default_factory=dict)
    leak: dict[str, float | None] = field(default_factory=dict)

    @property
    def mean_improvement(self) -> float | None:
        """Mean SI-SDR improvement over the targets that have one, in dB."""
        return _mean(self.si_sdr_improvement)

    @property
    def mean_snr(self) -> float | None:
        """Mean SNR over the targets that have one, in dB."""
        return _mean(self.snr)


def _mean(scores: dict[str, float | None]) -> float | None:
    known = [score for score in scores.values() if score is not None]
    return math.fsum(known) / len(known) if known else None


@dataclass
class TrainingState:
    """The progress of a training.

    Attributes:
        epoch: Epochs finished.
        batch: Batches done in the epoch under way.
        step: Optimizer steps since the beginning.
        loss_sum: Sum of the losses of the epoch under way.
        best: Best validation so far: the lowest loss, or minus the highest SI-SDR improvement.
        best_excess: By how many dB the leak of the vocals was above its bound there.
        plateaus: How often the learning rate dropped.
        skipped: Batches left out because their loss or gradient was not finite.
        history: A record of each finished epoch, with that of a trained start before them.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    best: float = float("inf")
    best_excess: float = float("inf")
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
        """After the validation of an epoch, or of the trained weights that training starts from."""

    def on_checkpoint(self, state: TrainingState, path: Path) -> None:
        """After the training state, or the best weights, were written to ``path``."""

    def on_train_end(self, state: TrainingState) -> None:
        """After the last epoch, or when the training was stopped."""
