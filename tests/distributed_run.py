"""Started by `tests/test_distributed.py` under torchrun: a net without batch statistics on a few chunks.

Usage: distributed_run.py FOLDER DATASET SETTINGS_JSON [--die-at STEP]
"""

import os
import signal
import sys
from pathlib import Path

import torch
from torch import nn

from auralflow.config import TrainConfig
from auralflow.datasets import (
    Chunk,
    EpochSampler,
    TrainingChunks,
    ValidationChunks,
    train_loader,
    training_tracks,
    valid_loader,
)
from auralflow.models import read_model_config, save_weights
from auralflow.nets.unet.blocks import MaskEstimate
from auralflow.nets.unet.model import SpectrogramMaskModel
from auralflow.trainer import Trainer
from auralflow.trainer.optimization import end_processes


class PlainNet(nn.Module):
    """Two convolutions, without randomness or batch statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 1), nn.Sigmoid()
        )

    def forward(self, magnitudes: torch.Tensor) -> MaskEstimate:
        return MaskEstimate(self.layers(magnitudes).unsqueeze(2))


def main() -> None:
    torch.set_num_threads(1)
    folder, dataset = Path(sys.argv[1]), Path(sys.argv[2])
    settings = TrainConfig.model_validate_json(sys.argv[3])
    torch.manual_seed(0)
    config = read_model_config(folder)
    model = SpectrogramMaskModel(config)
    model.net = PlainNet()
    trainer = Trainer(model, settings, folder=folder)
    trainer.optimizer.param_groups[0]["foreach"] = False
    trainer.load_checkpoint()
    rank, world_size = trainer.accelerator.process_index, trainer.accelerator.num_processes
    if "--die-at" in sys.argv and rank == 1:
        die_at(trainer, int(sys.argv[-1]))
    train, valid = training_tracks(dataset)
    seen = Recorder(TrainingChunks(train, config), folder / f"chunks-{rank}.txt")
    trainer.fit(
        train_loader(seen, EpochSampler(settings.max_samples, rank=rank, world_size=world_size), settings),
        valid_loader(ValidationChunks(valid, config), settings, rank=rank, world_size=world_size),
    )
    record = trainer.state.history[-1]
    print(f"rank {rank} of {world_size}: validation {record.valid_loss!r}")
    if trainer.accelerator.is_main_process:
        save_weights(trainer.model, folder / "final.safetensors")
    end_processes(trainer.accelerator)


class Recorder(torch.utils.data.Dataset):
    """Records which chunks a process draws."""

    def __init__(self, chunks: TrainingChunks, path: Path) -> None:
        self.chunks = chunks
        self.path = path

    def __getitem__(self, position: int) -> Chunk:
        with self.path.open("a") as file:
            file.write(f"{position}\n")
        return self.chunks[position]


def die_at(trainer: Trainer, step: int) -> None:
    original = trainer._step

    def fatal(*arguments: torch.Tensor) -> float | None:
        if trainer.state.step == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments)

    trainer._step = fatal


if __name__ == "__main__":
    main()
