"""Logs training to TensorBoard: losses, weights, gradients, plots and audio."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from auralflow.datasets import ValidationChunks
from auralflow.trainer.callbacks import Callback, EpochRecord, TrainingState
from auralflow.trainer.summary import IMAGE_FOLDER
from auralflow.visualizer import comparison, mel_spectrogram, save_figure, to_image
from auralflow.visualizer.canvas import new_figure, set_title, time_axis
from auralflow.visualizer.signals import draw_waveform

if TYPE_CHECKING:
    from auralflow.trainer.loop import Trainer

__all__ = ["LOG_FOLDER", "VIEWS", "Example", "TensorBoardLogger", "pick_examples"]

LOG_FOLDER = "runs"
VIEWS = (
    "view_iter",
    "view_epoch",
    "view_weights",
    "view_grad",
    "view_norm",
    "play_estimate",
    "play_residual",
    "view_spec",
    "view_wav",
)
"""Settings that select what is logged."""
NUM_EXAMPLES = 3


class Example(NamedTuple):
    """A validation chunk that is shown repeatedly, so that epochs can be compared.

    Attributes:
        name: Name of the track it comes from.
        mixture: Mixture ``[C, N]``.
        targets: References ``[S, C, N]``.
        known: Which targets are known, ``[S]``; the others have no reference to show.
    """

    name: str
    mixture: Tensor
    targets: Tensor
    known: Tensor


def pick_examples(chunks: ValidationChunks) -> list[Example]:
    """Pick a few evenly spaced validation chunks.

    Args:
        chunks: The validation chunks.

    Returns:
        At most three examples.
    """
    count = min(NUM_EXAMPLES, len(chunks))
    # From the middle of each third, because little happens in the first seconds of many songs.
    indices = [(2 * i + 1) * len(chunks) // (2 * count) for i in range(count)]
    return [Example(chunks.places[index][0].name, *chunks[index]) for index in indices]


class TensorBoardLogger(Callback):
    """Writes whatever the settings select to ``runs/``, and plots to ``images/`` as well.

    ``runs/batches`` contains values per batch, ``runs/epochs`` values per epoch.

    Args:
        trainer: The trainer.
        examples: Validation chunks to show.
        folder: The model folder.
    """

    def __init__(self, trainer: "Trainer", examples: Sequence[Example], folder: Path) -> None:
        self.trainer = trainer
        self.settings = trainer.settings
        self.examples = examples
        self.folder = folder
        # A resumed run repeats whatever was logged after its checkpoint.
        self.batches = self._writer("batches", trainer.state.step + 1)
        self.epochs = self._writer("epochs", trainer.state.epoch + 1)

    def _writer(self, name: str, first: int) -> SummaryWriter:
        folder = self.folder / LOG_FOLDER / name
        return SummaryWriter(folder, purge_step=first if first > 1 else None)

    def on_batch_end(self, state: TrainingState, loss: float, num_chunks: int) -> None:
        """Log the loss of a batch."""
        if self.settings.view_iter:
            self._scalar(self.batches, "loss/batch", loss, state.step)

    def on_epoch_end(self, state: TrainingState, record: EpochRecord) -> None:
        """Log the epoch; weights, audio and plots every ``image_freq`` epochs and after the first."""
        if self.settings.view_epoch:
            self._log_record(record)
        if self.settings.view_norm:
            self._log_norms(record.epoch)
        if record.epoch == 1 or record.epoch % self.settings.image_freq == 0:
            self._log_histograms(record.epoch)
            for index, example in enumerate(self.examples):
                self._log_example(index, example, record.epoch)
        self.batches.flush()
        self.epochs.flush()

    def on_train_end(self, state: TrainingState) -> None:
        """Close the logs."""
        self.batches.close()
        self.epochs.close()

    @staticmethod
    def _scalar(writer: SummaryWriter, name: str, value: float, step: int) -> None:
        writer.add_scalar(name, value, step)

    def _log_record(self, record: EpochRecord) -> None:
        scalars: dict[str, float | None] = {
            "loss/train": record.train_loss,
            "loss/validation": record.valid_loss,
            "lr": record.lr,
        }
        by_target = {"SI-SDR improvement": record.si_sdr_improvement, "SNR": record.snr, "leak": record.leak}
        for title, scores in by_target.items():
            scalars |= {f"{title}/{target}": value for target, value in scores.items()}
        for name, value in scalars.items():
            if value is not None:
                self._scalar(self.epochs, name, value, record.epoch)

    def _layers(self) -> Iterator[tuple[str, Tensor, Tensor | None]]:
        for name, parameter in self.trainer.model.named_parameters():
            yield name, parameter.detach(), parameter.grad

    def _log_norms(self, epoch: int) -> None:
        for name, weight, gradient in self._layers():
            self._scalar(self.epochs, f"norm of weight/{name}", weight.norm().item(), epoch)
            if gradient is not None:
                self._scalar(self.epochs, f"norm of gradient/{name}", gradient.norm().item(), epoch)

    def _log_histograms(self, epoch: int) -> None:
        for name, weight, gradient in self._layers():
            if self.settings.view_weights:
                self.epochs.add_histogram(f"weight/{name}", weight, epoch)
            if self.settings.view_grad and gradient is not None:
                self.epochs.add_histogram(f"gradient/{name}", gradient, epoch)

    def _log_example(self, index: int, example: Example, epoch: int) -> None:
        settings = self.settings
        if not (settings.play_estimate or settings.play_residual or settings.view_spec or settings.view_wav):
            return
        model = self.trainer.trained_model.eval()
        with torch.no_grad():
            mixture = example.mixture.unsqueeze(0).to(self.trainer.accelerator.device)
            estimates = model(mixture).audio[0].cpu()
        if settings.play_residual:
            self._sound(f"residual/{index}", example.mixture - estimates.sum(0), epoch)
        rows = zip(model.targets, estimates, example.targets, example.known.tolist(), strict=True)
        for target, estimate, truth, known in rows:
            if settings.play_estimate:
                self._sound(f"{target}/{index} estimate", estimate, epoch)
            if not known:
                continue
            if settings.play_estimate:
                self._sound(f"{target}/{index} truth", truth, epoch)
            for kind, draw in self._pictures().items():
                figure = draw(example, truth, estimate)
                pixels = to_image(figure)
                self.epochs.add_image(f"{target}/{index} {kind}", pixels, epoch, dataformats="HWC")
                name = f"epoch-{epoch:04d}-{index}-{target}-{kind}.png"
                save_figure(figure, self.folder / IMAGE_FOLDER / name)

    def _pictures(self) -> dict[str, Callable[[Example, Tensor, Tensor], Figure]]:
        pictures: dict[str, Callable[[Example, Tensor, Tensor], Figure]] = {}
        if self.settings.view_spec:
            pictures |= {"spectrogram": self._spectrograms, "mel": self._mel_spectrogram}
        if self.settings.view_wav:
            pictures["waveform"] = self._waveforms
        return pictures

    @property
    def _rate(self) -> int:
        return self.trainer.model.config.sample_rate

    def _sound(self, name: str, audio: Tensor, epoch: int) -> None:
        # TensorBoard plays a single channel, with samples within [-1, 1].
        mono = audio.mean(dim=0, keepdim=True).clamp(-1.0, 1.0)
        self.epochs.add_audio(name, mono, epoch, sample_rate=self._rate)

    def _spectrograms(self, example: Example, truth: Tensor, estimate: Tensor) -> Figure:
        rows = [(f"mixture: {example.name}", example.mixture), ("truth", truth), ("estimate", estimate)]
        return comparison(rows, self._rate)

    def _mel_spectrogram(self, example: Example, truth: Tensor, estimate: Tensor) -> Figure:
        return mel_spectrogram(estimate, self._rate, title=f"estimate: {example.name}")

    def _waveforms(self, example: Example, truth: Tensor, estimate: Tensor) -> Figure:
        figure = new_figure(8, 4)
        rows = figure.subplots(2, 1, sharex=True, sharey=True)
        for axes, (name, audio) in zip(rows, (("truth", truth), ("estimate", estimate)), strict=True):
            draw_waveform(axes, audio.mean(dim=0), self._rate)
            set_title(axes, f"{name}: {example.name}")
            axes.set_ylabel("amplitude")
        time_axis(rows[-1], truth.shape[-1] / self._rate)
        return figure
