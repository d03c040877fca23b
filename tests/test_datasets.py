"""Datasets: the index, chunks and their order."""

import numpy as np
import pytest
import torch
from conftest import RATE, tiny_config, write_track
from hypothesis import given, settings
from hypothesis import strategies as st

from auralflow.audio import write_audio
from auralflow.config import SOURCES, AugmentConfig, TrainConfig
from auralflow.cores import usable_workers
from auralflow.datasets import (
    EpochSampler,
    TrainingChunks,
    ValidationChunks,
    index_split,
    read_track,
    sources_of,
    train_loader,
    training_tracks,
)
from auralflow.errors import AudioError, DatasetError, NotFoundError


def level(audio):
    return 10 * np.log10(np.mean(np.square(audio)) + 1e-12)


def test_the_index_lists_tracks_by_name(dataset):
    tracks = index_split(dataset, "train")
    assert [track.name for track in tracks] == ["a", "b", "c"]
    assert set(tracks[0].stems) == set(SOURCES)
    assert tracks[0].mixture is None
    assert tracks[0].seconds == 2.0


def test_hidden_files_and_stray_things_are_left_out(dataset):
    (dataset / "train" / ".hidden").mkdir()
    (dataset / "train" / "notes").mkdir()
    (dataset / "train" / "notes" / "readme.txt").write_text("x")
    (dataset / "train" / "a" / ".DS_Store").write_text("x")
    (dataset / "train" / "a" / "cover.jpg").write_text("x")
    (dataset / "train" / "loose.wav").write_text("x")
    assert [track.name for track in index_split(dataset, "train")] == ["a", "b", "c"]


def test_upper_case_endings_and_other_alphabets_are_read(dataset):
    folder = dataset / "train" / "Ä 音楽"
    write_track(folder)
    (folder / "vocals.wav").rename(folder / "Vocals.WAV")
    track = next(track for track in index_split(dataset, "train") if track.name == "Ä 音楽")
    assert "vocals" in track.stems


def test_val_is_accepted_for_valid(dataset):
    (dataset / "valid").rename(dataset / "val")
    assert [track.name for track in training_tracks(dataset)[1]] == ["d"]


def test_without_a_validation_folder_the_same_track_is_always_held_out(dataset):
    (dataset / "valid" / "d").rename(dataset / "train" / "d")
    (dataset / "valid").rmdir()
    train, valid = training_tracks(dataset)
    assert [track.name for track in valid] == ["a"]
    assert [track.name for track in train] == ["b", "c", "d"]


def test_a_dataset_without_tracks_says_what_was_found(tmp_path):
    (tmp_path / "music").mkdir()
    with pytest.raises(DatasetError, match=r"no training track: found music, expected train/<track>"):
        training_tracks(tmp_path)
    with pytest.raises(NotFoundError, match="no dataset"):
        training_tracks(tmp_path / "missing")


def test_stems_of_different_length_are_refused(dataset):
    path = dataset / "train" / "a" / "bass.wav"
    write_audio(path, np.zeros((2, 100), dtype=np.float32), RATE)
    with pytest.raises(DatasetError, match=r"differ in length: found bass with 0\.01 s, drums with 2\.00 s"):
        index_split(dataset, "train")
    write_audio(path, np.zeros((2, 16000), dtype=np.float32), 2 * RATE)
    with pytest.raises(DatasetError, match=r"bass with 1\.00 s"):
        index_split(dataset, "train")


def test_two_files_for_one_stem_are_refused(dataset):
    write_audio(dataset / "train" / "a" / "bass.flac", np.zeros((2, 16000), np.float32), RATE, "PCM_16")
    with pytest.raises(DatasetError, match=r"two files for bass: found bass\.flac and bass\.wav"):
        read_track(dataset / "train" / "a")


def test_a_file_that_is_no_audio_is_named(dataset):
    (dataset / "train" / "a" / "bass.wav").write_text("no audio")
    with pytest.raises(AudioError, match=r"bass\.wav"):
        index_split(dataset, "train")


def test_a_missing_stem_is_unknown_and_the_track_only_feeds_remixes(dataset):
    (dataset / "train" / "a" / "bass.wav").unlink()
    tracks = index_split(dataset, "train")
    assert not tracks[0].knows(("vocals",), SOURCES)
    chunks = TrainingChunks(tracks, tiny_config())
    assert [track.name for track in chunks.pools["bass"]] == ["b", "c"]
    assert [track.name for track in chunks.pools["vocals"]] == ["a", "b", "c"]
    assert [track.name for track in chunks.whole] == ["b", "c"]


def test_a_mixture_file_makes_up_for_stems_that_are_no_targets(dataset):
    folder = dataset / "train" / "a"
    (folder / "bass.wav").rename(folder / "mixture.wav")
    track = read_track(folder)
    assert track.knows(("vocals",), SOURCES)
    assert not track.knows(("bass",), SOURCES)


def test_nothing_to_train_on_is_said(dataset):
    for name in "abc":
        (dataset / "train" / name / "bass.wav").unlink()
    with pytest.raises(DatasetError, match="no track with bass, and none whose mixture"):
        TrainingChunks(index_split(dataset, "train"), tiny_config())


def test_other_targets_take_every_stem_as_a_source(tmp_path):
    write_track(tmp_path / "train" / "a", stems=("piano", "guitar"))
    tracks = index_split(tmp_path, "train")
    assert sources_of(tracks, ("piano",)) == ("guitar", "piano")
    chunks = TrainingChunks(tracks, tiny_config(targets=("piano",)))
    assert chunks[0][1].shape == (1, 1, 4000)


@pytest.mark.parametrize("remix", [0.0, 1.0])
@pytest.mark.parametrize("channels", [1, 2])
def test_the_mixture_is_the_sum_of_all_sources(dataset, remix, channels):
    config = tiny_config(targets=SOURCES, num_channels=channels)
    chunks = TrainingChunks(index_split(dataset, "train"), config, AugmentConfig(remix=remix))
    for position in range(5):
        mixture, targets, _ = chunks[position]
        assert mixture.shape == (channels, config.chunk_samples)
        assert targets.shape == (4, channels, config.chunk_samples)
        assert mixture.dtype == targets.dtype == torch.float32
        assert torch.allclose(targets.sum(0), mixture, atol=1e-5)


def test_chunks_are_a_pure_function_of_seed_and_position(dataset):
    tracks = index_split(dataset, "train")
    first, second = (TrainingChunks(tracks, tiny_config(), seed=3) for _ in range(2))
    other = TrainingChunks(tracks, tiny_config(), seed=4)
    expected = [first[position] for position in range(6)]
    for position in reversed(range(6)):
        assert torch.equal(second[position][0], expected[position][0])
        assert torch.equal(second[position][1], expected[position][1])
        assert not torch.equal(other[position][0], expected[position][0])
    assert not torch.equal(expected[0][0], expected[1][0])


def test_whole_chunks_come_from_one_moment_of_one_track(dataset):
    """Each stem carries its own ramp, so that a chunk tells where it was cut."""
    ramp = np.linspace(0, 0.5, 16000, dtype=np.float32)
    for name in "abc":
        for factor, stem in enumerate(SOURCES, start=1):
            write_audio(dataset / "train" / name / f"{stem}.wav", np.tile(ramp / factor, (2, 1)), RATE)
    moments = AugmentConfig(remix=0, time_shift=0)
    chunks = TrainingChunks(index_split(dataset, "train"), tiny_config(targets=SOURCES), moments)
    for position in range(5):
        _, targets, _ = chunks[position]
        for index in range(1, 4):
            assert torch.allclose(targets[0] / (index + 1), targets[index], atol=1e-6)


def test_remixed_stems_come_from_several_tracks(dataset):
    for value, name in enumerate("abc", start=1):
        for stem in SOURCES:
            audio = np.full((2, 16000), 0.1 * value, dtype=np.float32)
            audio[:, ::2] *= -1
            write_audio(dataset / "train" / name / f"{stem}.wav", audio, RATE)
    chunks = TrainingChunks(index_split(dataset, "train"), tiny_config(targets=SOURCES))
    drawn = [
        {stem.places[0].track for stem in chunks.draw(position).stems.values()} for position in range(20)
    ]
    assert set().union(*drawn) == {0, 1, 2}


def test_remixed_stems_are_brought_to_a_plausible_level(dataset):
    for stem, gain in zip(SOURCES, (0.01, 0.03, 0.1, 0.5), strict=True):
        for name in "abc":
            noise = gain * np.random.default_rng(1).standard_normal((2, 16000)).astype(np.float32)
            write_audio(dataset / "train" / name / f"{stem}.wav", noise, RATE)
    chunks = TrainingChunks(index_split(dataset, "train"), tiny_config(targets=SOURCES))
    levels = np.array([[level(stem.numpy()) for stem in chunks[position][1]] for position in range(30)])
    # Half of the power of independent channels is lost in mono: 3 dB.
    before = 20 * np.log10([0.01, 0.03, 0.1, 0.5])
    # 34 dB apart in the files; matched as far as 12 dB each way, around one common level.
    assert levels.mean(axis=0).max() - levels.mean(axis=0).min() < 20
    assert (np.abs(levels.mean(axis=0) - before) <= 15.1).all()
    assert levels[:, 1].std() > 1


def test_silence_is_mostly_passed_over(dataset):
    for name in "abc":
        audio = 0.1 * np.random.default_rng(0).standard_normal((2, 16000)).astype(np.float32)
        audio[:, 6000:] = 0
        write_audio(dataset / "train" / name / "vocals.wav", audio, RATE)
    chunks = TrainingChunks(index_split(dataset, "train"), tiny_config())
    silent = sum(level(chunks[position][1][0].numpy()) < -50 for position in range(60))
    # Half of the moments are silent; by chance alone half of the chunks would be.
    assert 0 < silent < 20


def test_short_tracks_are_padded(tmp_path):
    write_track(tmp_path / "train" / "a", seconds=0.1)
    unfiltered = AugmentConfig(equalizer=0, low_pass=0)
    mixture, _, _ = TrainingChunks(index_split(tmp_path, "train"), tiny_config(), unfiltered)[0]
    assert mixture.shape == (1, 4000)
    assert mixture[:, 800:].abs().max() == 0


def test_other_sample_rates_are_resampled_in_place(tmp_path):
    """A tone stays the tone it is when the files have twice the model's rate."""
    time = np.arange(32000) / (2 * RATE)
    tone = np.tile(0.3 * np.sin(2 * np.pi * 440 * time), (1, 1)).astype(np.float32)
    for stem in SOURCES:
        write_audio(tmp_path / "train" / "a" / f"{stem}.wav", tone, 2 * RATE)
    moments = AugmentConfig(remix=0, time_shift=0)
    _, targets, _ = TrainingChunks(index_split(tmp_path, "train"), tiny_config(), moments)[0]
    spectrum = torch.fft.rfft(targets[0, 0] * torch.hann_window(4000)).abs()
    assert spectrum.argmax().item() == 440 * 4000 // RATE


def test_channels_that_do_not_fit_are_refused_with_the_file(tmp_path):
    write_track(tmp_path / "train" / "a", channels=3)
    chunks = TrainingChunks(index_split(tmp_path, "train"), tiny_config(num_channels=2))
    with pytest.raises(DatasetError, match=r"cannot train on .*: found 3 channels, expected 1 or 2"):
        chunks[0]


def test_validation_chunks_are_fixed_and_spread_over_the_tracks(dataset):
    write_track(dataset / "valid" / "z", seconds=4)
    tracks = index_split(dataset, "valid")
    everything = ValidationChunks(tracks, tiny_config())
    assert len(everything) == 4 + 8
    few = ValidationChunks(tracks, tiny_config(), max_chunks=4)
    assert len(few) == 4
    assert {place[0].name for place in few.places} == {"d", "z"}
    assert torch.equal(few[2][0], ValidationChunks(tracks, tiny_config(), max_chunks=4)[2][0])


def test_validation_without_a_complete_track_is_refused(dataset):
    (dataset / "valid" / "d" / "vocals.wav").unlink()
    with pytest.raises(DatasetError, match="no validation track has all that is needed"):
        ValidationChunks(index_split(dataset, "valid"), tiny_config())


@settings(max_examples=60)
@given(
    num_chunks=st.integers(1, 200),
    world_size=st.integers(1, 5),
    epoch=st.integers(0, 3),
    start=st.integers(0, 10),
)
def test_ranks_share_an_epoch_without_overlap(num_chunks, world_size, epoch, start):
    parts = []
    for rank in range(world_size):
        sampler = EpochSampler(num_chunks, rank=rank, world_size=world_size)
        sampler.epoch = epoch
        whole = list(sampler)
        sampler.start = start
        assert list(sampler) == whole[start:]
        assert len(sampler) == len(whole[start:])
        parts.append(whole)
    drawn = sorted(position for part in parts for position in part)
    assert len({len(part) for part in parts}) == 1
    assert drawn == list(range(epoch * num_chunks, epoch * num_chunks + len(drawn)))
    assert num_chunks - len(drawn) < world_size


@pytest.mark.parametrize("num_workers", [0, 2])
def test_batches_do_not_depend_on_the_workers(dataset, num_workers):
    chunks = TrainingChunks(index_split(dataset, "train"), tiny_config())
    loader = train_loader(chunks, EpochSampler(5), TrainConfig(batch_size=2, num_workers=num_workers))
    batches = list(loader)
    assert [len(mixture) for mixture, *_ in batches] == [2, 2, 1]
    expected = torch.stack([chunks[position][0] for position in range(5)])
    assert torch.equal(torch.cat([mixture for mixture, *_ in batches]), expected)


def test_workers_never_exceed_the_cores():
    assert usable_workers(0) == 0
    assert 1 <= usable_workers(10_000) <= 1024
