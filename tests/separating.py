"""Shared by the tests of separation: small models, songs, and a process to kill."""

import sys
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import nn

from auralflow.models import create_model_folder, load, save_weights
from auralflow.nets.unet import SpectrogramNetConfig
from auralflow.nets.unet.blocks import MaskEstimate
from auralflow.nets.unet.model import SpectrogramMaskModel
from auralflow.separation import Separator, find_songs, precision, separate_files

RATE = 8000

# Nets this small gain nothing from threads, and on a busy machine threads wait for each other.
torch.set_num_threads(1)

# Whether bfloat16 is faster is measured, and two processes may find otherwise; tests of it say so themselves.
precision.bfloat16_speedup = lambda _device: 0.0  # type: ignore[attr-defined]


def small_config(**changes):
    settings = {
        "targets": ("vocals", "drums"),
        "num_channels": 2,
        "num_hidden_channels": 1,
        "sample_rate": RATE,
        "sample_length": 0.5,
        "num_fft": 256,
        "window_size": 256,
        "hop_length": 128,
    }
    return SpectrogramNetConfig(**(settings | changes))


class FixedMasks(nn.Module):
    """A net with fixed masks: one number per target."""

    def __init__(self, values):
        super().__init__()
        self.register_buffer("values", torch.tensor(values).reshape(1, -1, 1, 1, 1))

    def forward(self, magnitudes):
        return MaskEstimate(self.values * torch.ones_like(magnitudes).unsqueeze(1))


def fixed_model(*masks, **changes):
    names = ("vocals", "drums", "bass", "other")[: len(masks)]
    model = SpectrogramMaskModel(small_config(targets=names, **changes)).eval()
    model.net = FixedMasks(list(masks))
    return model


def small_model(seed=0, **changes):
    """A net with non-trivial weights."""
    torch.manual_seed(seed)
    return SpectrogramMaskModel(small_config(**changes)).eval()


def small_model_folder(folder):
    model = small_model()
    create_model_folder(folder, model.config)
    save_weights(model, folder / "model.safetensors")
    return folder


def noise(channels=2, frames=RATE, seed=0, level=0.1):
    generator = np.random.default_rng(seed)
    return level * generator.standard_normal((channels, frames)).astype(np.float32)


def write_song(path, audio=None, rate=RATE, subtype="PCM_16", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, (noise() if audio is None else audio).T, rate, subtype=subtype, **options)
    return path


def outputs(folder):
    """The bytes of every file below a folder, except the journal and its locks."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in files
        if not path.name.startswith(".auralflow-") and ".auralflow-claims" not in path.parts
    }


def main():
    """Separate a folder, after signalling the start, so that a test can kill it."""
    model, songs, save, *options = sys.argv[1:]
    separator = Separator(load(Path(model)))
    found = find_songs([Path(songs)])
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for outcome in separate_files(separator, found, Path(save), residual=True, force="force" in options):
        sys.stdout.write(f"{outcome.status} {outcome.song.path.name}\n")


if __name__ == "__main__":
    main()
