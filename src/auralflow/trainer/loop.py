"""The training loop."""

import math
import signal
import time
from collections.abc import Iterable, Iterator, Sequence, Sized
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LinearLR, ReduceLROnPlateau

from auralflow.config import TrainConfig
from auralflow.datasets import Chunk, EpochSampler
from auralflow.errors import TrainingError
from auralflow.losses import Criterion
from auralflow.models import SpectrogramMaskModel, save_weights
from auralflow.models.folder import WEIGHTS_FILE
from auralflow.models.nets import SpectrogramNetVAE
from auralflow.storage import write_json
from auralflow.trainer.callbacks import Callback, EpochRecord, TrainingState
from auralflow.trainer.checkpoint import (
    CHECKPOINT_FILE,
    pack_state,
    read_checkpoint,
    unpack_state,
    write_checkpoint,
)
from auralflow.trainer.objective import ScoreSum, compute_loss, create_check
from auralflow.trainer.optimization import WeightAverage, create_accelerator, create_optimizer, criterion_of

__all__ = ["Trainer"]

LR_DROP = 0.5
"""Factor of the learning rate at a plateau."""
MOST_BAD_BATCHES = 10
SUMMARY_FILE = "summary.json"


class Trainer:
    """Trains a model.

    Args:
        model: The model; it is trained in place.
        settings: Settings of the training.
        folder: Model folder for the best weights, the training state and the summary. None: nothing is
            written.
        criterion: What is made small. Default: what ``settings.criterion`` names.
        optimizer: Default: AdamW, with a learning rate of its own for the LSTM layers.
        callbacks: Who else is told.

    Attributes:
        state: Where the training is.

    Example:
        >>> from auralflow.config import ModelConfig
        >>> config = ModelConfig(num_hidden_channels=1, sample_rate=8000, sample_length=0.5)
        >>> chunks = [(torch.randn(2, 1, 4000), torch.randn(2, 1, 1, 4000))]
        >>> trainer = Trainer(SpectrogramMaskModel(config), TrainConfig(max_epochs=2))
        >>> trainer.fit(train=chunks, valid=chunks).epoch
        2
    """

    def __init__(
        self,
        model: SpectrogramMaskModel,
        settings: TrainConfig | None = None,
        *,
        folder: Path | None = None,
        criterion: Criterion | None = None,
        optimizer: Optimizer | None = None,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        self.settings = settings = settings or TrainConfig()
        self.folder = folder
        self.callbacks = callbacks
        self.criterion = criterion or criterion_of(settings)
        create_check(
            self.criterion, has_latent=isinstance(model.net, SpectrogramNetVAE), net=model.config.net
        )
        self.accelerator = create_accelerator(settings)
        self.model = model
        self.wrapped: nn.Module
        self.wrapped, self.optimizer = self.accelerator.prepare(
            model, optimizer or create_optimizer(model, settings)
        )
        self.warmup = LinearLR(
            self.optimizer,
            start_factor=1 / (settings.warmup_steps + 1),
            total_iters=settings.warmup_steps,
        )
        self.plateau = ReduceLROnPlateau(
            self.optimizer,
            factor=LR_DROP,
            patience=settings.stop_patience - 1,
            threshold=settings.min_delta,
            threshold_mode="abs",
        )
        self.average = WeightAverage(model, settings.ema_decay) if settings.ema_decay else None
        self.state = TrainingState()
        self.purpose: dict[str, Any] = {"model": model.config.model_dump(mode="json")}
        self._bad_batches = 0
        self._stop_requested = False

    def fit(self, train: Iterable[Chunk], valid: Iterable[Chunk]) -> TrainingState:
        """Train until the last epoch or the last plateau.

        Ctrl-C (or SIGTERM) ends the training after the batch under way, with everything saved.

        Args:
            train: Batches of mixtures ``[B, C, N]`` and targets ``[B, S, C, N]``. If its sampler
                is an `EpochSampler`, a resumed epoch goes on where it was.
            valid: The same for validation; always the same chunks.

        Returns:
            The final state, with a record of every epoch.

        Raises:
            TrainingError: If the loss stays not finite, or ``train`` or ``valid`` is empty.
        """
        state = self.state
        self._tell("on_train_start", len(train) if isinstance(train, Sized) else None)
        with self._interruptible():
            while not self.is_finished:
                started = time.monotonic()
                train_loss = self._train_epoch(train)
                if self._stop_requested:
                    break
                scores = self._validate(valid)
                improved = scores.loss < state.best_loss
                self._finish_epoch(scores.loss)
                record = self._record(train_loss, scores, improved, time.monotonic() - started)
                state.history.append(record)
                if improved:
                    self._save_best()
                self._tell("on_epoch_end", record)
                self.save_checkpoint()
        if self._stop_requested:
            self.save_checkpoint()
        self._tell("on_train_end")
        return state

    @property
    def is_finished(self) -> bool:
        """Whether all epochs, or all plateaus, are over."""
        state, settings = self.state, self.settings
        return state.epoch >= settings.max_epochs or state.plateaus >= settings.max_plateaus

    @property
    def was_stopped(self) -> bool:
        """Whether the training was interrupted by the user."""
        return self._stop_requested

    @property
    def trained_model(self) -> SpectrogramMaskModel:
        """The model whose weights are validated and kept: the moving average if there is one."""
        return self.average.model if self.average else self.model

    def _train_epoch(self, train: Iterable[Chunk]) -> float:
        state = self.state
        sampler = getattr(train, "sampler", None)
        if isinstance(sampler, EpochSampler):
            sampler.epoch = state.epoch
            sampler.start = state.batch * self.settings.batch_size
        self.wrapped.train()
        for mixture, targets in train:
            loss = self._step(mixture, targets)
            state.batch += 1
            if loss is not None:
                state.loss_sum += loss
                state.step += 1
                self._tell("on_batch_end", loss, len(mixture))
            if self._stop_requested:
                return math.nan
        if state.batch == 0:
            raise TrainingError(
                "there is no training batch",
                advice="Raise --max-samples, which must reach one chunk for each process.",
            )
        return state.loss_sum / max(1, state.batch)

    def _step(self, mixture: torch.Tensor, targets: torch.Tensor) -> float | None:
        """One step of the optimizer; None if the loss or the gradient was not finite."""
        device = self.accelerator.device
        mixture = mixture.to(device, non_blocking=True)
        targets = targets.to(device, non_blocking=True)
        self.optimizer.zero_grad()
        loss = compute_loss(
            self.criterion, self.model, self.wrapped(mixture), targets, kl_weight=self.settings.kl_weight
        )
        self.accelerator.backward(loss)
        # Without clipping the norm is still wanted: it tells whether all gradients are finite.
        limit = self.settings.max_grad_norm if self.settings.clip_grad else math.inf
        norm = self.accelerator.clip_grad_norm_(self.wrapped.parameters(), limit)
        # In mixed precision the gradient scaler skips the step itself, and lowers its scale.
        if self.accelerator.scaler is None and not math.isfinite(float(norm)):
            self._count_bad_batch()
            return None
        self.optimizer.step()
        self.warmup.step()
        if self.average:
            self.average.update(self.model)
        self._bad_batches = 0
        return float(loss.detach())

    def _count_bad_batch(self) -> None:
        self.state.skipped += 1
        self._bad_batches += 1
        if self._bad_batches >= MOST_BAD_BATCHES:
            raise TrainingError(
                f"the loss or its gradient was not finite in {MOST_BAD_BATCHES} batches in a row",
                advice="Lower --lr, or use --clip-grad with a small --max-grad-norm.",
            )

    @torch.no_grad()
    def _validate(self, valid: Iterable[Chunk]) -> ScoreSum:
        model = self.trained_model.eval()
        scores = ScoreSum(len(model.targets), self.accelerator.device)
        for mixture, targets in valid:
            audio = mixture.to(self.accelerator.device)
            truth = targets.to(self.accelerator.device)
            estimate = model(audio)
            loss = compute_loss(self.criterion, model, estimate, truth, kl_weight=self.settings.kl_weight)
            scores.add(loss, audio, model.postprocess(estimate), truth)
        scores.sums = self.accelerator.reduce(scores.sums, reduction="sum")
        if not scores.sums[1, -1]:
            raise TrainingError("there is no validation batch")
        return scores

    def _finish_epoch(self, valid_loss: float) -> None:
        before = self.optimizer.param_groups[0]["lr"]
        self.plateau.step(valid_loss)
        state = self.state
        state.plateaus += self.optimizer.param_groups[0]["lr"] < before
        state.best_loss = min(state.best_loss, valid_loss)
        state.epoch += 1
        state.batch, state.loss_sum = 0, 0.0

    def _record(self, train_loss: float, scores: ScoreSum, improved: bool, seconds: float) -> EpochRecord:
        return EpochRecord(
            epoch=self.state.epoch,
            train_loss=train_loss,
            valid_loss=scores.loss,
            si_sdr_improvement=scores.means(0, self.model.targets),
            snr=scores.means(2, self.model.targets),
            lr=self.optimizer.param_groups[0]["lr"],
            seconds=seconds,
            improved=improved,
        )

    def _save_best(self) -> None:
        if self.folder and self.accelerator.is_main_process:
            save_weights(self.trained_model, self.folder / WEIGHTS_FILE)
            self._tell("on_checkpoint", self.folder / WEIGHTS_FILE)

    def save_checkpoint(self) -> None:
        """Write the training state and the summary, if the trainer has a folder."""
        if not self.folder or not self.accelerator.is_main_process:
            return
        scaler = self.accelerator.scaler
        content = {
            "state": pack_state(self.state),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "warmup": self.warmup.state_dict(),
            "plateau": self.plateau.state_dict(),
            "average": self.average.state_dict() if self.average else None,
            "scaler": scaler.state_dict() if scaler else None,
            "random": torch.get_rng_state(),
        }
        write_checkpoint(self.folder / CHECKPOINT_FILE, content, purpose=self.purpose)
        write_json(self.folder / SUMMARY_FILE, {"epochs": [asdict(record) for record in self.state.history]})
        self._tell("on_checkpoint", self.folder / CHECKPOINT_FILE)

    def load_checkpoint(self) -> bool:
        """Take up the training state in the folder.

        Returns:
            Whether there was one.

        Raises:
            ModelError: If it is damaged.
            TrainingError: If it belongs to another model or dataset.
        """
        if not self.folder or not (self.folder / CHECKPOINT_FILE).is_file():
            return False
        content = read_checkpoint(self.folder / CHECKPOINT_FILE, purpose=self.purpose)
        self.state = unpack_state(content["state"])
        self.model.load_state_dict(content["model"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.warmup.load_state_dict(content["warmup"])
        self.plateau.load_state_dict(content["plateau"])
        if self.average and content["average"]:
            self.average.load_state_dict(content["average"])
        if self.accelerator.scaler and content["scaler"]:
            self.accelerator.scaler.load_state_dict(content["scaler"])
        torch.set_rng_state(content["random"])
        return True

    def _tell(self, event: str, *details: Any) -> None:
        if self.accelerator.is_main_process:
            for callback in self.callbacks:
                getattr(callback, event)(self.state, *details)

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Turn the first Ctrl-C into a request to stop; the second one interrupts at once."""

        def request(number: int, _: Any) -> None:
            if self._stop_requested and number == signal.SIGINT:
                raise KeyboardInterrupt
            self._stop_requested = True

        handled = (signal.SIGINT, signal.SIGTERM)
        try:
            before = [signal.signal(number, request) for number in handled]
        except ValueError:  # not the main thread, which alone gets signals
            yield
            return
        try:
            yield
        finally:
            for number, handler in zip(handled, before, strict=True):
                signal.signal(number, handler)
