"""The order of chunks: in proportion to duration, without silence, a function of seed, epoch and place."""

import numpy as np
import pytest
import soundfile
import torch
from dataset_makers import RATE, SOURCES, noise, write_dataset, write_track
from hypothesis import given
from hypothesis import strategies as st

from auralflow.config import AugmentConfig, TrainConfig
from auralflow.datasets import (
    EpochSampler,
    TrainingChunks,
    ValidationChunks,
    train_loader,
    training_tracks,
    valid_loader,
)
from auralflow.nets.unet import SpectrogramNetConfig

CONFIG = SpectrogramNetConfig(
    targets=SOURCES,
    sample_rate=RATE,
    sample_length=0.5,
    num_channels=2,
    num_fft=512,
    window_size=512,
    hop_length=256,
)
PLAIN = AugmentConfig(
    remix=0, gain=0, channel_swap=0, sign_flip=0, time_shift=0, equalizer=0, low_pass=0, keep_silence=0
)


@pytest.fixture
def dataset(tmp_path):
    return write_dataset(tmp_path / "data")


def make_chunks(dataset, augment=None, **options):
    return TrainingChunks(training_tracks(dataset)[0], CONFIG, augment, **options)


def settings(**values):
    return TrainConfig(batch_size=4, num_workers=0, **values)


def batches(chunks, *, epoch=0, start=0, rank=0, world_size=1, workers=0, count=32):
    sampler = EpochSampler(count, rank=rank, world_size=world_size)
    sampler.epoch, sampler.start = epoch, start
    options = TrainConfig(batch_size=4, num_workers=workers)
    return list(train_loader(chunks, sampler, options))


def same(one, other):
    return len(one) == len(other) and all(
        torch.equal(a, b)
        for first, second in zip(one, other, strict=True)
        for a, b in zip(first, second, strict=True)
    )


@pytest.mark.parametrize("remix", [0, 1])
def test_tracks_are_drawn_in_proportion_to_their_length(tmp_path, remix):
    for number, seconds in enumerate((1.0, 3.0, 6.0)):
        write_track(tmp_path / "train" / f"{number}", seconds=seconds, seed=number)
    write_track(tmp_path / "valid" / "V", seed=9)
    chunks = make_chunks(tmp_path, PLAIN.model_copy(update={"remix": remix}))
    draws = [chunks.draw(number) for number in range(3000)]
    places = [draw.stems["bass"].places[0] if remix else draw.places[0] for draw in draws]
    share = np.bincount([place.track for place in places]) / len(places)
    # Four standard deviations of a binomial share.
    np.testing.assert_allclose(share, [0.1, 0.3, 0.6], atol=4 * 0.5 / np.sqrt(3000))
    positions = np.array([place.position for place in places])
    assert positions.min() < 0.01
    assert positions.max() > 0.99
    assert positions.mean() == pytest.approx(0.5, abs=0.03)


def write_half_silent(folder, seed):
    """Every stem sounds in the second half only."""
    folder.mkdir(parents=True)
    for number, stem in enumerate(SOURCES):
        audio = noise(20.0, seed=10 * seed + number)
        audio[: len(audio) // 2] *= 1e-4
        soundfile.write(folder / f"{stem}.wav", audio, RATE, subtype="FLOAT")


def silent_share(chunks, count=150):
    levels = [10 * np.log10(float(chunks[number][1][2].square().mean()) + 1e-12) for number in range(count)]
    return np.mean(np.array(levels) < -60)


@pytest.mark.parametrize("remix", [0, 1])
def test_silent_targets_are_skipped_as_far_as_the_settings_say(tmp_path, remix):
    write_half_silent(tmp_path / "train" / "A", 1)
    write_half_silent(tmp_path / "valid" / "V", 2)
    base = PLAIN.model_copy(update={"remix": remix})
    # All four candidates are silent in one case out of sixteen.
    assert silent_share(make_chunks(tmp_path, base)) < 0.15
    always = base.model_copy(update={"keep_silence": 1})
    assert silent_share(make_chunks(tmp_path, always)) == pytest.approx(0.5, abs=0.13)
    # Noise at -100 dBFS is not silence to a threshold below it.
    low = base.model_copy(update={"silence_threshold": -115, "remix_level": -60})
    assert silent_share(make_chunks(tmp_path, low)) == pytest.approx(0.5, abs=0.13)


def test_a_chunk_is_a_function_of_seed_and_number_alone(dataset):
    one, other = make_chunks(dataset, seed=4), make_chunks(dataset, seed=4)
    backwards = {number: other[number] for number in reversed(range(12))}
    for number in range(12):
        assert same([one[number]], [backwards[number]])
    assert not same([one[3]], [make_chunks(dataset, seed=5)[3]])


def test_epochs_differ_and_each_can_be_repeated(dataset):
    chunks = make_chunks(dataset)
    first, second = batches(chunks, epoch=0), batches(chunks, epoch=1)
    assert not same(first, second)
    assert same(batches(chunks, epoch=1), second)


@pytest.mark.parametrize("workers", [1, 2])
def test_the_number_of_workers_changes_nothing(dataset, workers):
    chunks = make_chunks(dataset)
    assert same(batches(chunks, workers=workers), batches(chunks))


@given(st.integers(1, 60), st.integers(1, 7), st.integers(0, 3))
def test_the_processes_share_an_epoch_between_them(count, world_size, epoch):
    def numbers(rank, size):
        sampler = EpochSampler(count, rank=rank, world_size=size)
        sampler.epoch = epoch
        return list(sampler)

    whole = numbers(0, 1)
    parts = [numbers(rank, world_size) for rank in range(world_size)]
    usable = count - count % world_size
    for rank, part in enumerate(parts):
        assert part == whole[rank:usable:world_size]
    assert sorted(number for part in parts for number in part) == whole[:usable]


def test_two_processes_see_together_what_one_sees(dataset):
    chunks = make_chunks(dataset)
    alone = [chunk for batch in batches(chunks) for chunk in zip(*batch, strict=True)]
    for rank in range(2):
        part = [
            chunk for batch in batches(chunks, rank=rank, world_size=2) for chunk in zip(*batch, strict=True)
        ]
        assert same(part, alone[rank::2])


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("done", [1, 3, 8])
def test_an_epoch_goes_on_in_its_middle_as_if_nothing_had_happened(dataset, done, workers):
    chunks = make_chunks(dataset)
    whole = batches(chunks, epoch=2)
    assert same(batches(chunks, epoch=2, start=4 * done, workers=workers), whole[done:])


def test_the_global_random_state_is_neither_used_nor_moved(dataset):
    chunks = make_chunks(dataset)
    torch.manual_seed(1)
    np.random.seed(1)
    first = batches(chunks, workers=1)
    torch_after, numpy_after = torch.rand(1), np.random.random()
    torch.manual_seed(1)
    np.random.seed(1)
    assert torch.rand(1) == torch_after
    assert np.random.random() == numpy_after
    torch.manual_seed(2)
    np.random.seed(2)
    assert same(batches(chunks, workers=1), first)


def test_validation_chunks_are_fixed_and_unchanged(dataset):
    valid = training_tracks(dataset)[1]
    one, other = (ValidationChunks(valid, CONFIG) for _ in range(2))
    options = settings(), TrainConfig(batch_size=4, num_workers=2, seed=99)
    assert same(
        *(list(valid_loader(chunks, option)) for chunks, option in zip((one, other), options, strict=True))
    )
    audio, _ = soundfile.read(valid[0].stems["vocals"], dtype="float32")
    np.testing.assert_array_equal(one[0][1][0], audio[:4000].T)
    np.testing.assert_array_equal(one[len(one) - 1][1][0], audio[-4000:].T)


def test_validation_chunks_cover_a_track_and_are_thinned_evenly(tmp_path):
    write_dataset(tmp_path, valid=2, seconds=10.0)
    valid = training_tracks(tmp_path)[1]
    everything = ValidationChunks(valid, CONFIG, max_chunks=1000)
    assert len(everything) == 40
    few = ValidationChunks(valid, CONFIG, max_chunks=10)
    assert len(few) == 10
    assert {track.name for track, _ in few.places} == {"Song 0", "Song 1"}


def test_a_track_shorter_than_a_chunk_is_filled_with_silence(tmp_path):
    write_dataset(tmp_path, seconds=0.2)
    mixture, _, _ = make_chunks(tmp_path)[0]
    assert mixture.shape == (2, 4000)
    assert mixture[:, 2400:].abs().max() < 1e-5
    assert mixture[:, :1600].any()
