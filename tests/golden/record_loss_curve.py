"""Records the losses of a tiny training on a few tones and noises, for later versions to be compared with.

Run ``python tests/golden/record_loss_curve.py`` after a change that is meant to alter them, and say why.
"""

from pathlib import Path

import numpy as np
import torch

from auralflow.config import SOURCES, TrainConfig
from auralflow.nets.unet import SpectrogramNetConfig
from auralflow.nets.unet.model import SpectrogramMaskModel
from auralflow.trainer import Callback, Trainer

NUM_STEPS = 30
RATE = 8000


class Losses(Callback):
    """Keeps the loss of every batch."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def on_batch_end(self, state, loss, num_chunks) -> None:
        self.values.append(loss)


def signals() -> np.ndarray:
    """Stems ``[S, C, N]`` that no change of the song generator can change."""
    time = np.arange(NUM_STEPS * RATE // 2) / RATE
    noise = np.random.default_rng(5).standard_normal(len(time))
    vocals = 0.2 * np.sin(2 * np.pi * 220 * time + 2 * np.sin(2 * np.pi * 5 * time)) * (time % 4 < 3)
    drums = 0.3 * noise * np.exp(-20 * (time % 0.5))
    bass = 0.2 * np.sin(2 * np.pi * 55 * time) * (time % 1 < 0.8)
    other = sum(0.05 * np.sin(2 * np.pi * pitch * time) for pitch in (330, 415, 494, 988))
    mono = np.stack((vocals, drums, bass, other))
    pan = np.array([[1.0, 1.0], [1.0, 0.8], [0.9, 1.0], [0.6, 1.0]])
    return (pan[:, :, None] * mono[:, None]).astype(np.float32)


def loss_curve() -> list[float]:
    """Losses of the first steps."""
    stems = torch.from_numpy(signals())
    chunks = stems.unfold(-1, RATE // 2, RATE // 2).movedim(-2, 0)
    batches = [(chunk.sum(1), chunk) for chunk in chunks.split(1)]
    torch.manual_seed(0)
    config = SpectrogramNetConfig(
        targets=SOURCES,
        num_channels=2,
        num_hidden_channels=4,
        sample_rate=RATE,
        sample_length=0.5,
        num_fft=256,
        window_size=256,
        hop_length=128,
        dropout_p=0.0,
    )
    losses = Losses()
    settings = TrainConfig(max_epochs=1, lr=1e-3, criterion="complex_l1")
    Trainer(SpectrogramMaskModel(config), settings, callbacks=[losses]).fit(batches, batches[:1])
    return losses.values


if __name__ == "__main__":
    torch.set_num_threads(1)
    curve = "\n".join(f"{value:.6g}" for value in loss_curve())
    (Path(__file__).parent / "loss_curve.txt").write_text(curve + "\n")
