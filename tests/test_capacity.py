"""The capacity check: a net that learns a song by heart is scored as one that does."""

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from auralflow.config import SOURCES, TrainConfig
from auralflow.nets.families import create_model
from auralflow.nets.unet import SpectrogramNetConfig

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

import capacity

RATE = 8000
EDGES = {"bass": (0, 300), "other": (300, 1000), "vocals": (1000, 2200), "drums": (2200, 4000)}


@pytest.mark.parametrize(("optimizer", "lr"), [("adamw", 0.001), ("muon", 0.01)])
def test_a_small_net_learns_by_heart_what_lies_in_bands_of_its_own(tmp_path, optimizer, lr):
    rng = np.random.default_rng(0)
    frequency = np.fft.rfftfreq(3 * RATE, 1 / RATE)
    for name, (low, high) in EDGES.items():
        spectrum = np.fft.rfft(rng.standard_normal(3 * RATE))
        spectrum[(frequency < low) | (frequency >= high)] = 0
        sound = np.fft.irfft(spectrum)
        soundfile.write(tmp_path / f"{name}.wav", 0.1 * sound / sound.std(), RATE)
    torch.manual_seed(0)
    config = SpectrogramNetConfig(
        net_version=2,
        targets=SOURCES,
        num_hidden_channels=4,
        sample_rate=RATE,
        sample_length=1,
        num_fft=256,
        window_size=256,
        hop_length=128,
        normalize_output=True,
        dropout_p=0,
    )
    model = create_model(config)
    stems = capacity.read_song(tmp_path, RATE, 1)
    before = capacity.score(model, stems)
    settings = TrainConfig(optimizer=optimizer, lr=lr, lr_lstm=lr)
    chunks = capacity.learn(model, stems, lambda steps: steps / 60, settings=settings)
    assert chunks == 60 * capacity.BATCH
    after = capacity.score(model, stems)
    assert np.mean(after) > np.mean(before) + 5, after
