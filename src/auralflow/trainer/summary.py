"""The history of a training run as a file and a plot, without TensorBoard."""

from dataclasses import asdict
from pathlib import Path

from auralflow.storage import write_json
from auralflow.trainer.callbacks import Callback, EpochRecord, TrainingState
from auralflow.visualizer import save_figure, training_curves

__all__ = ["IMAGE_FOLDER", "SUMMARY_FILE", "SUMMARY_PICTURE", "RunSummary"]

SUMMARY_FILE = "summary.json"
SUMMARY_PICTURE = "summary.png"
IMAGE_FOLDER = "images"


class RunSummary(Callback):
    """Writes ``summary.json`` and ``summary.png`` after every epoch.

    Args:
        folder: The model folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_epoch_end(self, state: TrainingState, record: EpochRecord) -> None:
        """Write both files."""
        epochs = [asdict(past) for past in state.history]
        summary = {"epochs": epochs, "plateaus": state.plateaus, "skipped_batches": state.skipped}
        write_json(self.folder / SUMMARY_FILE, summary)
        save_figure(training_curves(epochs, title=self.folder.name), self.folder / SUMMARY_PICTURE)
