"""Training on data that is broken, or breaks while it is used: one line that names the file, nothing lost."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile
import torch
from dataset_makers import RATE, SOURCES, noise, write_dataset

from auralflow.cli import main
from auralflow.config import AugmentConfig, TrainConfig
from auralflow.datasets import EpochSampler, TrainingChunks, ValidationChunks, train_loader, training_tracks
from auralflow.datasets.stems import read_stem
from auralflow.errors import AudioError, DatasetError, NotFoundError
from auralflow.models import create_model_folder
from auralflow.nets.unet import SpectrogramNetConfig
from auralflow.trainer import Callback, train

CONFIG = SpectrogramNetConfig(
    targets=("vocals",),
    sample_rate=RATE,
    sample_length=0.5,
    num_fft=512,
    window_size=512,
    hop_length=256,
    num_hidden_channels=1,
)
SETTINGS = TrainConfig(max_epochs=2, max_samples=16, batch_size=2, num_workers=0, remix=1)


@pytest.fixture
def dataset(tmp_path):
    return write_dataset(tmp_path / "data")


@pytest.fixture
def model(tmp_path):
    create_model_folder(tmp_path / "model", CONFIG)
    return tmp_path / "model"


def cut(path):
    path.write_bytes(path.read_bytes()[:-1000])


def empty(path):
    path.write_bytes(b"")


def promise_more(path):
    content = bytearray(path.read_bytes())
    place = content.index(b"data") + 4
    content[place : place + 4] = (10**6).to_bytes(4, "little")
    path.write_bytes(content)


def write_text(path):
    path.write_text("not audio")


@pytest.mark.parametrize("fault", [cut, empty, promise_more, write_text])
def test_a_broken_file_stops_the_start_with_its_name_in_one_line(dataset, model, fault, capsys):
    fault(dataset / "train" / "Song 1" / "drums.wav")
    assert main(["train", str(model), str(dataset)]) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert "Song 1/drums.wav" in lines[0]
    assert not (model / "checkpoint").exists()


@pytest.mark.parametrize("workers", [0, 2])
def test_nan_samples_are_found_when_they_are_read_also_in_a_worker(dataset, workers):
    for path in dataset.rglob("bass.wav"):
        audio = noise(2.0)
        audio[::500] = np.nan
        soundfile.write(path, audio, RATE, subtype="FLOAT")
    chunks = TrainingChunks(training_tracks(dataset)[0], CONFIG)
    loader = train_loader(chunks, EpochSampler(8), SETTINGS.model_copy(update={"num_workers": workers}))
    with pytest.raises(AudioError, match=r"bass\.wav.*NaN") as caught:
        list(loader)
    assert "\n" not in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_another_rate_is_resampled_with_one_warning(tmp_path, caplog):
    write_dataset(tmp_path, rates={"bass": 12000})
    for _ in range(2):
        track = training_tracks(tmp_path)[0][0]
    assert sum("bass.wav' has 12000 Hz" in line for line in caplog.messages) == 4
    assert track.sample_rate == RATE
    whole, rate = soundfile.read(track.stems["bass"], dtype="float32")
    assert rate == 12000
    part = read_stem(track, "bass", 4000, 8000)
    assert part.shape == (2, 8000)
    # Noise resampled keeps what lies below half of the lower rate; its level tells.
    expected = np.std(whole[6000:18000])
    assert np.std(part) == pytest.approx(expected * np.sqrt(2 / 3), rel=0.05)


@pytest.mark.parametrize("channels", [1, 2])
def test_mono_and_stereo_stems_fit_either_model(tmp_path, channels):
    write_dataset(tmp_path)
    for path in tmp_path.rglob("bass.wav"):
        soundfile.write(path, noise(2.0, channels=1), RATE)
    config = CONFIG.model_copy(update={"num_channels": channels})
    mixture, targets, _ = TrainingChunks(training_tracks(tmp_path)[0], config)[0]
    assert mixture.shape == (channels, 4000)
    assert targets.shape == (1, channels, 4000)


def test_more_channels_than_the_model_has_are_refused_with_the_file(tmp_path):
    write_dataset(tmp_path)
    for path in tmp_path.rglob("bass.wav"):
        soundfile.write(path, noise(2.0, channels=6), RATE)
    chunks = TrainingChunks(training_tracks(tmp_path)[0], CONFIG.model_copy(update={"num_channels": 2}))
    with pytest.raises(DatasetError, match=r"bass\.wav.*6 channels"):
        chunks[0]


@pytest.mark.skipif(os.name == "nt", reason="permissions are another matter there")
def test_a_folder_that_may_not_be_read_is_named():
    root = Path(tempfile.mkdtemp())
    try:
        root.chmod(0o755)
        data = write_dataset(root / "data")
        (data / "train" / "Song 1").chmod(0)
        if os.geteuid() == 0:
            os.seteuid(65534)
        with pytest.raises(DatasetError, match=r"Song 1.*permissions"):
            training_tracks(data)
    finally:
        if os.getuid() == 0:
            os.seteuid(0)
        (root / "data" / "train" / "Song 1").chmod(0o755)
        shutil.rmtree(root)


class Delete(Callback):
    """Deletes the dataset after some batches."""

    def __init__(self, dataset, after):
        self.dataset = dataset
        self.left = after

    def on_batch_end(self, state, loss, num_chunks):
        self.left -= 1
        if self.left == 0:
            shutil.rmtree(self.dataset)


def test_a_dataset_deleted_while_training_costs_nothing_that_was_learned(dataset, model, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(dataset, copy)
    with pytest.raises(NotFoundError, match=r"data/train/.*\.wav"):
        train(model, dataset, SETTINGS, callbacks=[Delete(dataset, 5)])
    assert (model / "checkpoint" / "last").is_file()
    shutil.copytree(copy, dataset)
    resumed = train(model, dataset, SETTINGS, resume=True)
    assert resumed.state.epoch == 2
    create_model_folder(tmp_path / "other", CONFIG)
    whole = train(tmp_path / "other", dataset, SETTINGS)
    for ours, theirs in zip(
        resumed.model.state_dict().values(), whole.model.state_dict().values(), strict=True
    ):
        assert torch.equal(ours, theirs)


def write_sparse(path: Path, seconds: int) -> None:
    """A stereo WAV file of silence that takes no space on the disk."""
    soundfile.write(path, np.zeros((1, 2)), 44100)
    header = bytearray(path.read_bytes())
    size = seconds * 44100 * 4
    place = header.index(b"data") + 4
    header[place : place + 4] = size.to_bytes(4, "little")
    header[4:8] = (place + 4 + size - 8).to_bytes(4, "little")
    path.write_bytes(header)
    os.truncate(path, place + 4 + size)


@pytest.mark.skipif(sys.platform != "linux", reason="needs sparse files")
def test_a_large_dataset_takes_no_more_memory_than_a_small_one(tmp_path):
    for split, count in (("train", 40), ("valid", 1)):
        for number in range(count):
            folder = tmp_path / split / f"{number}"
            folder.mkdir(parents=True)
            for source in SOURCES:
                write_sparse(folder / f"{source}.wav", 900)
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.wav")) > 25 * 10**9
    config = CONFIG.model_copy(update={"sample_rate": 44100})
    train_tracks, valid_tracks = training_tracks(tmp_path)
    chunks = TrainingChunks(train_tracks, config, AugmentConfig())
    validation = ValidationChunks(valid_tracks, config)
    chunks[0]
    before = psutil.Process().memory_info().rss
    for number in range(200):
        chunks[number]
    for number in range(20):
        validation[number]
    assert psutil.Process().memory_info().rss - before < 30e6
