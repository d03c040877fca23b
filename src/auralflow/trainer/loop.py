"""The training loop."""

import logging
import math
import time
from collections.abc import Iterable, Sequence, Sized
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LinearLR, LRScheduler, ReduceLROnPlateau

from auralflow.config import TrainConfig
from auralflow.datasets import Chunk, EpochSampler
from auralflow.datasets.draws import VOICE
from auralflow.errors import TrainingError, is_out_of_memory
from auralflow.losses import Criterion
from auralflow.models import save_weights
from auralflow.models.folder import WEIGHTS_FILE
from auralflow.nets.door import Estimate, SeparationModel
from auralflow.trainer.callbacks import Callback, EpochRecord, TrainingState
from auralflow.trainer.checkpoint import (
    CHECKPOINT_FILE,
    has_checkpoint,
    recover_checkpoint,
    set_damaged_aside,
    write_checkpoint,
)
from auralflow.trainer.interruption import StopRequest
from auralflow.trainer.objective import check_criterion, compute_loss
from auralflow.trainer.optimization import (
    LR_DROP,
    WeightAverage,
    create_accelerator,
    create_optimizer,
    criterion_of,
    share_buffers,
)
from auralflow.trainer.snapshot import restore, snapshot
from auralflow.trainer.validation import ScoreSum

__all__ = ["Trainer"]

logger = logging.getLogger(__name__)

MOST_BAD_BATCHES = 10
Batch = Chunk | tuple[Tensor, Tensor]


class Trainer:
    """Trains a model.

    Args:
        model: The model, which is trained in place.
        settings: Settings of the training run. Default: the defaults of `TrainConfig`.
        folder: Model folder for the best weights and the training state. Default: nothing is written.
        criterion: The loss to minimise. Default: the one named by ``settings.criterion``.
        optimizer: The optimizer. Default: that of the settings, with the model's parameter groups.
        scheduler: The learning rate scheduler, stepped after every batch. Default: a linear warm-up over
            ``settings.warmup_steps``.
        callbacks: Callbacks. Default: none.

    Attributes:
        state: The progress of the training run.

    Raises:
        SettingsError: If the model lacks what the criterion needs.
        TrainingError: If the model cannot be trained.
        UsageError: If the machine does not have the device.

    Example:
        >>> from auralflow.nets.unet import SpectrogramNetConfig
        >>> from auralflow.models import create_model
        >>> config = SpectrogramNetConfig(num_hidden_channels=1, sample_rate=8000, sample_length=0.5)
        >>> chunks = [(torch.randn(2, 1, 4000), torch.randn(2, 1, 1, 4000))]
        >>> trainer = Trainer(create_model(config), TrainConfig(max_epochs=2))
        >>> trainer.fit(train=chunks, valid=chunks).epoch
        2
    """

    def __init__(
        self,
        model: SeparationModel,
        settings: TrainConfig | None = None,
        *,
        folder: str | Path | None = None,
        criterion: Criterion | None = None,
        optimizer: Optimizer | None = None,
        scheduler: LRScheduler | None = None,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        folder = None if folder is None else Path(folder)
        self.settings = settings = settings or TrainConfig()
        self.folder = folder
        self.callbacks = list(callbacks)
        self.criterion = criterion or criterion_of(settings)
        if not model.traits.trainable:
            raise TrainingError(
                f"a {model.config.net} cannot be trained",
                advice="Use it with auralflow separate, or configure another net: auralflow config --help.",
            )
        check_criterion(self.criterion, model)
        self.accelerator = create_accelerator(settings)
        self.model = model
        self.wrapped: nn.Module
        optimizer = optimizer or create_optimizer(model, settings)
        self.wrapped, self.optimizer = self.accelerator.prepare(model, optimizer)
        rise = settings.warmup_steps
        self.scheduler = scheduler or LinearLR(self.optimizer, start_factor=1 / (rise + 1), total_iters=rise)
        self.plateau = ReduceLROnPlateau(
            self.optimizer,
            factor=LR_DROP,
            patience=settings.stop_patience - 1,
            threshold=settings.min_delta,
            threshold_mode="abs",
        )
        self.average = WeightAverage(model, settings.ema_decay) if settings.ema_decay else None
        self.state = TrainingState()
        self.stop = StopRequest()
        self.purpose: dict[str, Any] = {"model": model.config.model_dump(mode="json")}
        self._bad_batches = 0
        self._saved_at = time.monotonic()

    def fit(
        self, train: Iterable[Batch], valid: Iterable[Batch], *, start_counts: bool = False
    ) -> TrainingState:
        """Train until the last epoch or the last plateau.

        Ctrl-C (or SIGTERM) ends training after the current batch, and saves everything. A validation that it
        interrupts starts again when the run is resumed.

        Args:
            train: Batches of mixtures ``[B, C, N]`` and targets ``[B, S, C, N]`` and, if not all targets are
                known, a mask of the known ones ``[B, S]``; see `auralflow.datasets.Chunk`. If its sampler is
                an `EpochSampler`, a resumed epoch continues where it stopped.
            valid: Batches for validation, likewise; the same chunks in every epoch.
            start_counts: Whether the initial weights are trained. If so, they are validated before the first
                step, as epoch 0, and are kept if no later epoch is better. Default: False.

        Returns:
            The final state, with a record of every epoch.

        Raises:
            TrainingError: If the loss is not finite in many batches in a row, memory runs out, or ``train``
                or ``valid`` is empty.
        """
        self._tell("on_train_start", len(train) if isinstance(train, Sized) else None)
        state = self.state
        with self.stop:
            started = time.monotonic()
            if start_counts and not (state.epoch or state.batch or state.history):
                state.start_is_due = True
            if state.start_is_due and (scores := self._validate(valid)):
                state.start_is_due = False
                self._record(None, scores, started)
            while self._goes_on():
                started = time.monotonic()
                train_loss = self._train_epoch(train)
                scores = None if self.stop.made else self._validate(valid)
                if not scores:
                    break
                state.epoch += 1
                state.batch, state.loss_sum = 0, 0.0
                self._record(train_loss, scores, started)
            if self.stop.made:
                self.save_checkpoint()
        self._tell("on_train_end")
        return self.state

    @property
    def is_finished(self) -> bool:
        """Whether the last epoch or the last plateau was reached."""
        state, settings = self.state, self.settings
        return state.epoch >= settings.max_epochs or state.plateaus >= settings.max_plateaus

    @property
    def was_stopped(self) -> bool:
        """Whether training was stopped by the user."""
        return self.stop.made

    @property
    def trained_model(self) -> SeparationModel:
        """The model whose weights are validated and saved: the moving average, if there is one."""
        return self.average.model if self.average else self.model

    def _goes_on(self) -> bool:
        return not (self.is_finished or self.stop.made)

    def _train_epoch(self, train: Iterable[Batch]) -> float:
        state = self.state
        sampler = getattr(train, "sampler", None)
        if isinstance(sampler, EpochSampler):
            sampler.epoch = state.epoch
            sampler.start = state.batch * self.settings.batch_size
        self.wrapped.train()
        for batch in train:
            loss = self._step(batch)
            state.batch += 1
            if loss is not None:
                state.loss_sum += loss
                state.step += 1
                self._tell("on_batch_end", loss, len(batch[0]))
            if self._all_agree_to_stop():
                break
            if time.monotonic() - self._saved_at > 60 * self.settings.checkpoint_minutes:
                self.save_checkpoint()
        if state.batch == 0:
            raise TrainingError(
                "there are no training batches",
                advice="Raise --max-samples to at least one chunk per process.",
            )
        return state.loss_sum / state.batch

    def _all_agree_to_stop(self) -> bool:
        # If one process stopped alone, the others would wait for its gradients.
        if self.accelerator.num_processes > 1:
            asked = torch.tensor(int(self.stop.made), device=self.accelerator.device)
            self.stop.made = bool(self.accelerator.reduce(asked, reduction="sum").item())
        return self.stop.made

    def _step(self, batch: Batch) -> float | None:
        """Perform one optimizer step, and return the loss, or None if it or a gradient was not finite."""
        mixture, targets, known = self._unpack(batch)
        self.optimizer.zero_grad()
        try:
            estimate = self.wrapped(mixture)
            loss = self._loss(estimate, targets, known)
            self.accelerator.backward(loss)
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise TrainingError("out of memory", advice="Lower --batch-size.") from error
            raise
        # Even without clipping, the norm shows whether all gradients are finite.
        limit = self.settings.max_grad_norm if self.settings.clip_grad else math.inf
        norm = self.accelerator.clip_grad_norm_(self.wrapped.parameters(), limit)
        # In mixed precision the gradient scaler skips the step itself, and lowers its scale.
        if self.accelerator.scaler is None and not math.isfinite(float(norm)):
            self._count_bad_batch()
            return None
        self.optimizer.step()
        self.scheduler.step()
        if self.average:
            self.average.update(self.model)
        self._bad_batches = 0
        return float(loss.detach())

    def _loss(self, estimate: Estimate, targets: Tensor, known: Tensor | None) -> Tensor:
        kl_weight = self.settings.kl_weight
        return compute_loss(self.criterion, estimate, targets, known=known, kl_weight=kl_weight)

    def _unpack(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor | None]:
        """Mixture, targets, and a mask of the known targets, None if all are known."""
        mixture, targets, *known = batch
        # Checked before the transfer, to avoid waiting for the device.
        partial = known[0] if known and not bool(known[0].all()) else None
        device = self.accelerator.device
        mixture, targets = (tensor.to(device, non_blocking=True) for tensor in (mixture, targets))
        return mixture, targets, partial

    def _count_bad_batch(self) -> None:
        self.state.skipped += 1
        self._bad_batches += 1
        if self._bad_batches >= MOST_BAD_BATCHES:
            raise TrainingError(
                f"the loss or its gradient was not finite in {MOST_BAD_BATCHES} batches in a row",
                advice="Lower --lr, or use --clip-grad with a small --max-grad-norm.",
            )

    @torch.no_grad()
    def _validate(self, valid: Iterable[Batch]) -> ScoreSum | None:
        """Score the validation chunks, or return None if training is to stop before all are scored."""
        share_buffers(self.trained_model, self.accelerator)
        model = self.trained_model.eval()
        scores = ScoreSum(len(model.targets), self.accelerator.device)
        for batch in valid:
            mixture, targets, known = self._unpack(batch)
            estimate = model(mixture)
            loss = self._loss(estimate, targets, known)
            scores.add(loss, mixture, estimate.audio, targets, known)
            if self.stop.made:
                break
        if self._all_agree_to_stop():
            return None
        scores.sums = self.accelerator.reduce(scores.sums, reduction="sum")
        if not scores.sums[1, -1]:
            raise TrainingError("there are no validation batches")
        return scores

    def _record(self, train_loss: float | None, scores: ScoreSum, started: float) -> None:
        """Record an epoch, save the weights if they are the best, and save the state."""
        state = self.state
        # Lower is better for both.
        judged = scores.loss if self.settings.select == "loss" else -scores.mean_improvement
        before = self.optimizer.param_groups[0]["lr"]
        self.plateau.step(judged)
        state.plateaus += self.optimizer.param_groups[0]["lr"] < before
        leaks = scores.leaks(self.model.targets)
        excess = self._excess(leaks)
        improved = (excess, judged) < (state.best_excess, state.best)
        if improved:
            state.best_excess, state.best = excess, judged
        record = EpochRecord(
            epoch=state.epoch,
            train_loss=train_loss,
            valid_loss=scores.loss,
            si_sdr_improvement=scores.means(0, self.model.targets),
            snr=scores.means(2, self.model.targets),
            lr=self.optimizer.param_groups[0]["lr"],
            seconds=time.monotonic() - started,
            improved=improved,
            mixture_si_sdr=scores.means(4, self.model.targets),
            leak=leaks,
        )
        self._warn_of_a_rise(record)
        state.history.append(record)
        if record.improved:
            self._save_best()
        self._tell("on_epoch_end", record)
        self.save_checkpoint()

    def _warn_of_a_rise(self, record: EpochRecord) -> None:
        """Warn once if the validation loss exceeds that of trained initial weights."""
        history = self.state.history
        if not history or history[0].epoch or not self.accelerator.is_main_process:
            return
        limit = history[0].valid_loss
        if record.valid_loss > limit and all(past.valid_loss <= limit for past in history):
            logger.warning(
                "the validation loss is worse than at the start (%.4g, now %.4g): try a lower `lr`",
                limit,
                record.valid_loss,
            )

    def _excess(self, leaks: dict[str, float | None]) -> float:
        """By how many dB the leak of the vocals exceeds its limit."""
        leak, bound = leaks.get(VOICE), self.settings.max_leak
        return 0.0 if leak is None or bound is None else max(0.0, leak - bound)

    def _save_best(self) -> None:
        if self.folder and self.accelerator.is_main_process:
            save_weights(self.trained_model, self.folder / WEIGHTS_FILE)
            self._tell("on_checkpoint", self.folder / WEIGHTS_FILE)

    def save_checkpoint(self) -> None:
        """Write the training state, if the trainer has a folder."""
        self._saved_at = time.monotonic()
        if self.folder and self.accelerator.is_main_process:
            write_checkpoint(self.folder / CHECKPOINT_FILE, snapshot(self), purpose=self.purpose)
            self._tell("on_checkpoint", self.folder / CHECKPOINT_FILE)

    def load_checkpoint(self) -> bool:
        """Restore the training state in the folder.

        Returns:
            Whether there was one.

        Raises:
            ModelError: If both the last state and the one before it are damaged.
            TrainingError: If it belongs to another model or dataset.
        """
        if not self.folder or not has_checkpoint(self.folder):
            return False
        restore(self, recover_checkpoint(self.folder, purpose=self.purpose))
        # Wait until every process has read it.
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            set_damaged_aside(self.folder)
        return True

    def _tell(self, event: str, *details: Any) -> None:
        if self.accelerator.is_main_process:
            for callback in self.callbacks:
                getattr(callback, event)(self.state, *details)
