"""Memory does not grow with the length of a song."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from separating import RATE, small_config

import auralflow
from auralflow.models import create_model_folder, save_weights
from auralflow.nets.unet import SpectrogramNetConfig
from auralflow.nets.unet.model import SpectrogramMaskModel

# As the command does it, which keeps memory and so has a higher peak than the library by itself.
SCRIPT = """
import resource, sys
from pathlib import Path
from auralflow.allocator import share_one_heap
share_one_heap()
import torch
torch.set_num_threads(int(sys.argv.pop(1)))
from auralflow.allocator import memory_kept
from auralflow.models import load
from auralflow.separation import Separator, separate_file
model, song, folder, *options = sys.argv[1:]
separator = Separator(load(model))
options = dict(option.split("=") for option in options)
with memory_kept():
    separate_file(separator, Path(song), Path(folder), residual=True, **options)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def _model_folder(folder, config):
    create_model_folder(folder, config)
    save_weights(SpectrogramMaskModel(config), folder / "model.safetensors")
    return folder


def _noise_file(path, seconds, rate):
    generator = np.random.default_rng(0)
    with soundfile.SoundFile(path, "w", rate, 2, "PCM_16", format="WAV") as file:
        for _ in range(seconds):
            file.write(0.1 * generator.standard_normal((rate, 2)))
    return path


def _peak_megabytes(model, song, folder, *options, threads=1):
    source = Path(auralflow.__file__).parents[1]
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(threads), model, song, folder, *options],
        env={**os.environ, "PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(result.stdout) / 1024


@pytest.mark.parametrize("options", [[], ["subtype=FLOAT"]])
def test_ten_minutes_take_the_memory_of_half_a_one(tmp_path, options):
    model = _model_folder(tmp_path / "model", small_config())
    peaks = [
        _peak_megabytes(
            model, _noise_file(tmp_path / f"{seconds}.wav", seconds, RATE), tmp_path / str(seconds), *options
        )
        for seconds in (30, 600)
    ]
    # Ten minutes of this are 37 MB as floats, and 185 MB with their stems.
    assert peaks[1] < peaks[0] + 12


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_two_hours_take_the_memory_of_ten_minutes(tmp_path):
    settings = {"num_channels": 2, "num_fft": 2048, "window_size": 2048, "hop_length": 1024}
    config = SpectrogramNetConfig(
        targets=("vocals", "drums", "bass", "other"), num_hidden_channels=16, **settings
    )
    model = _model_folder(tmp_path / "model", config)
    peaks = []
    for seconds in (600, 7200):
        song = _noise_file(tmp_path / "song.wav", seconds, 44100)
        peaks.append(_peak_megabytes(model, song, tmp_path / "out", threads=2))
    assert peaks[1] < peaks[0] + 60
    assert peaks[1] < 900
