"""Records the losses of a tiny training on a generated song, for later versions to be compared with.

Run ``python tests/golden/record_loss_curve.py`` after a change that is meant to alter them, and say why.
"""

from pathlib import Path

import torch

from auralflow.config import SOURCES, TrainConfig
from auralflow.nets.unet import SpectrogramNetConfig
from auralflow.nets.unet.model import SpectrogramMaskModel
from auralflow.synth import generate_song
from auralflow.trainer import Callback, Trainer

NUM_STEPS = 30
RATE = 8000


class Losses(Callback):
    """Keeps the loss of every batch."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def on_batch_end(self, state, loss, num_chunks) -> None:
        self.values.append(loss)


def loss_curve() -> list[float]:
    """Losses of the first steps."""
    song = generate_song(5, seconds=NUM_STEPS / 2, sample_rate=RATE)
    stems = torch.stack([torch.from_numpy(song[name]) for name in SOURCES])  # [S, C, N]
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
