"""Callbacks for training: they see its state, but never change the weights."""

import math
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Callback", "EpochRecord", "TrainingState"]


@dataclass(frozen=True)
class EpochRecord:
    """Losses and scores of one epoch.

    Attributes:
        epoch: Number of the epoch, from 1; 0 stands for trained initial weights, before the first step.
        train_loss: Mean loss over the training batches; None for epoch 0.
        valid_loss: Mean loss over the validation chunks.
        si_sdr_improvement: SI-SDR minus that of the mixture, in dB, by target; None if no chunk could be
            scored.
        snr: SNR in dB by target, which, unlike SI-SDR, reveals a wrong level.
        lr: Learning rate at the end of the epoch.
        seconds: Duration in seconds, including validation.
        improved: Whether the validation was the best so far.
        mixture_si_sdr: SI-SDR of the mixture itself on the same chunks, in dB, by target: the floor for the
            improvement. Default: empty.
        leak: Energy of the estimate where a target is silent, in dB relative to the mixture, by target; None
            if the target is never silent. Default: empty.
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
    """The progress of a training run.

    Attributes:
        epoch: Number of finished epochs.
        batch: Number of finished batches in the current epoch.
        step: Number of optimizer steps.
        loss_sum: Sum of the losses in the current epoch.
        best: Best validation so far: the lowest loss, or the negative of the highest SI-SDR improvement.
        best_excess: By how many dB the leak of the vocals exceeded its limit there.
        plateaus: How often the learning rate was reduced.
        skipped: Number of batches skipped because their loss or gradient was not finite.
        history: Records of the finished epochs, preceded by that of trained initial weights, if any.
        start_is_due: Whether trained initial weights are still to be validated.
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
    start_is_due: bool = False


class Callback:
    """Base class of callbacks. All methods do nothing unless overridden.

    They are only called in the first process.

    Example:
        >>> class Announce(Callback):
        ...     def on_epoch_end(self, state, record):
        ...         print(f"epoch {record.epoch}: {record.valid_loss:.2f}")
    """

    def on_train_start(self, state: TrainingState, num_batches: int | None) -> None:
        """Called before the first batch, with the number of batches per epoch, None if unknown."""

    def on_batch_end(self, state: TrainingState, loss: float, num_chunks: int) -> None:
        """Called after a step on ``num_chunks`` chunks."""

    def on_epoch_end(self, state: TrainingState, record: EpochRecord) -> None:
        """Called after the validation of an epoch, or of trained initial weights."""

    def on_checkpoint(self, state: TrainingState, path: Path) -> None:
        """Called after the training state, or the best weights, were written to ``path``."""

    def on_train_end(self, state: TrainingState) -> None:
        """Called after the last epoch, or when training was stopped."""
