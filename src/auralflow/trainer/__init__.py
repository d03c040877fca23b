"""Training: the loop, its state on disk, and callbacks."""

from auralflow.trainer.callbacks import Callback, EpochRecord, TrainingState
from auralflow.trainer.loop import Trainer
from auralflow.trainer.run import Preparation, prepare_folder, train

__all__ = ["Callback", "EpochRecord", "Preparation", "Trainer", "TrainingState", "prepare_folder", "train"]
