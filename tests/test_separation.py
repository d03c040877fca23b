"""Separation: faithful to rate, channels and length; sums that hold; folders in which one file is bad."""

import shutil

import numpy as np
import pytest
import torch
from conftest import RATE, constant_model, tiny_config
from hypothesis import given, settings
from hypothesis import strategies as st

from auralflow.audio import probe, read_audio, write_audio
from auralflow.errors import AudioError, NotFoundError, UsageError
from auralflow.machine import check_device
from auralflow.nets.unet.model import SpectrogramMaskModel
from auralflow.separation import Separator, find_songs, separate_file, separate_files


def noise(channels, samples, seed=0):
    generator = np.random.default_rng(seed)
    return (0.2 * generator.standard_normal((channels, samples))).astype(np.float32)


def random_model(**values):
    torch.manual_seed(0)
    return SpectrogramMaskModel(tiny_config(**values)).eval()


@settings(deadline=None, max_examples=40)
@given(
    samples=st.integers(1, 15000),
    channels=st.integers(1, 5),
    model_channels=st.integers(1, 3),
    overlap=st.floats(0, 0.9),
    batch_size=st.integers(1, 4),
    block=st.integers(1, 9000),
)
def test_a_mask_of_ones_returns_any_input(samples, channels, model_channels, overlap, batch_size, block):
    separator = Separator(
        constant_model(1.0, num_channels=model_channels), overlap=overlap, batch_size=batch_size, device="cpu"
    )
    audio = noise(channels, samples)
    blocks = [audio[:, i : i + block] for i in range(0, samples, block)]
    parts = list(separator.stream(blocks, RATE, channels))
    np.testing.assert_array_equal(np.concatenate([part.original for part in parts], axis=-1), audio)
    estimate = np.concatenate([part.targets for part in parts], axis=-1)
    assert estimate.shape == (1, channels, samples)
    np.testing.assert_allclose(estimate[0], audio, atol=1e-5)


@pytest.mark.parametrize("rate", [4000, 11025, 16000, 44100, 96000])
@pytest.mark.parametrize("samples", [1, 2, 127, 5000, 20011])
def test_other_sample_rates_come_back_at_their_own_rate_and_length(rate, samples):
    separator = Separator(constant_model(1.0, 0.5), device="cpu")
    assert separator.separate(noise(2, samples), rate).shape == (2, 2, samples)


@pytest.mark.parametrize("rate", [0, -1, True, 999, 10**9, 44100.5, float("nan"), "48000", [48000]])
def test_a_sample_rate_that_no_audio_has_is_refused(rate):
    with pytest.raises(UsageError, match="a whole number of hertz from 1000 to 768000"):
        Separator(constant_model(1.0), device="cpu").separate(noise(1, 100), rate)


@pytest.mark.parametrize("rate", [16000.0, np.int64(16000), np.float32(16000)])
def test_a_sample_rate_may_be_any_kind_of_whole_number(rate):
    separated = Separator(constant_model(1.0), device="cpu").separate(noise(1, 100), rate)
    assert separated.shape == (1, 1, 100)


def test_what_is_no_model_is_refused():
    for thing in (None, 3):
        with pytest.raises(UsageError, match=f"found {type(thing).__name__}, expected a model"):
            Separator(thing)


def test_a_tone_keeps_its_pitch_level_and_place_through_resampling():
    rate = 22050
    time = np.arange(2 * rate) / rate
    tone = (0.5 * np.sin(2 * np.pi * 1000 * time) * np.hanning(2 * rate))[None].astype(np.float32)
    estimate = Separator(constant_model(1.0), device="cpu").separate(tone, rate)[0]
    np.testing.assert_allclose(estimate, tone, atol=2e-3)


def test_streaming_in_blocks_equals_separating_at_once():
    separator = Separator(random_model(), device="cpu")
    audio = noise(2, 30000)
    whole = separator.separate(audio, 11025)
    blocks = [audio[:, i : i + 777] for i in range(0, 30000, 777)]
    parts = [part.targets for part in separator.stream(blocks, 11025, 2)]
    np.testing.assert_allclose(np.concatenate(parts, axis=-1), whole, atol=1e-6)


def test_a_mono_model_treats_each_channel_on_its_own():
    separator = Separator(random_model(), device="cpu")
    audio = noise(2, 9000)
    both = separator.separate(audio, RATE)
    for channel in range(2):
        alone = separator.separate(audio[channel : channel + 1], RATE)
        np.testing.assert_allclose(both[:, channel], alone[:, 0], atol=1e-6)


def test_a_stereo_model_hears_mono_on_both_sides():
    separator = Separator(random_model(num_channels=2), device="cpu")
    audio = noise(1, 9000)
    mono = separator.separate(audio, RATE)
    stereo = separator.separate(np.repeat(audio, 2, axis=0), RATE)
    np.testing.assert_allclose(mono[:, 0], stereo.mean(axis=1), atol=1e-6)


def test_no_samples_give_no_samples():
    assert Separator(constant_model(1.0), device="cpu").separate(noise(2, 0), RATE).shape == (1, 2, 0)


def test_a_device_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert check_device("cuda:0").type == "cuda"
    with pytest.raises(UsageError, match="`device` is cuda:7: this machine has no such device"):
        check_device("cuda:7")


# --- files ---


@pytest.mark.parametrize("channels", [1, 2])
def test_stems_have_the_files_rate_channels_and_length(tmp_path, channels):
    write_audio(tmp_path / "song.wav", noise(channels, 12345), 11025)
    separator = Separator(random_model(), device="cpu")
    report = separate_file(separator, tmp_path / "song.wav", tmp_path / "out", residual=True)
    assert report.seconds == 12345 / 11025
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "drums.wav",
        "original.wav",
        "residual.wav",
        "vocals.wav",
    ]
    for path in (tmp_path / "out").iterdir():
        info = probe(path)
        assert (info.sample_rate, info.channels, info.frames) == (11025, channels, 12345)


def test_the_original_is_kept_and_the_residual_is_exact_to_the_last_bit(tmp_path):
    audio = noise(2, 9999)
    write_audio(tmp_path / "song.wav", audio, RATE)
    separate_file(Separator(random_model(), device="cpu"), tmp_path / "song.wav", tmp_path, residual=True)
    stems = {
        name: read_audio(tmp_path / f"{name}.wav")[0] for name in ("original", "vocals", "drums", "residual")
    }
    np.testing.assert_array_equal(stems["original"], audio)
    rest = audio - (stems["vocals"].astype(np.float64) + stems["drums"])
    np.testing.assert_array_equal(stems["residual"], rest.astype(np.float32))


def test_duration_takes_the_first_seconds_of_every_file_written(tmp_path):
    audio = noise(2, 9000)
    write_audio(tmp_path / "song.wav", audio, RATE)
    separate_file(Separator(constant_model(1.0), device="cpu"), tmp_path / "song.wav", tmp_path, duration=0.5)
    np.testing.assert_array_equal(read_audio(tmp_path / "original.wav")[0], audio[:, :4000])
    assert probe(tmp_path / "vocals.wav").frames == 4000


def test_progress_rises_to_one(tmp_path):
    write_audio(tmp_path / "song.wav", noise(1, 90000), RATE)
    shares: list[float] = []
    separator = Separator(constant_model(1.0), device="cpu", batch_size=1)
    separate_file(separator, tmp_path / "song.wav", tmp_path, on_progress=shares.append)
    assert shares == sorted(shares)
    assert len(shares) > 3
    assert shares[-1] == 1.0


def test_a_file_without_samples_gives_stems_without_samples(tmp_path):
    write_audio(tmp_path / "empty.wav", noise(2, 0), RATE)
    separate_file(Separator(constant_model(1.0), device="cpu"), tmp_path / "empty.wav", tmp_path / "out")
    assert probe(tmp_path / "out" / "vocals.wav").frames == 0


def test_a_file_without_samples_is_refused_where_the_format_cannot_hold_none(tmp_path):
    write_audio(tmp_path / "empty.wav", noise(2, 0), RATE)
    separator = Separator(constant_model(1.0), device="cpu")
    with pytest.raises(AudioError, match="contains no samples"):
        separate_file(separator, tmp_path / "empty.wav", tmp_path / "out", format="flac")
    assert not (tmp_path / "out").exists()


def test_a_failure_half_way_leaves_no_file(tmp_path):
    write_audio(tmp_path / "song.wav", noise(1, 50000), RATE)

    def fail(share):
        raise AudioError("the disk is full")

    separator = Separator(constant_model(1.0), device="cpu")
    with pytest.raises(AudioError, match="disk is full"):
        separate_file(separator, tmp_path / "song.wav", tmp_path / "out", on_progress=fail)
    assert list((tmp_path / "out").iterdir()) == []


def test_one_bad_file_does_not_stop_the_others(tmp_path):
    for name in ("a", "c"):
        write_audio(tmp_path / "in" / f"{name}.wav", noise(1, 5000), RATE)
    (tmp_path / "in" / "b.wav").write_text("not audio")
    songs = find_songs([tmp_path / "in"])
    separator = Separator(constant_model(1.0), device="cpu")
    outcomes = list(separate_files(separator, songs, tmp_path))
    assert [outcome.error is None for outcome in outcomes] == [True, False, True]
    assert "b.wav" in str(outcomes[1].error)
    for name in ("a", "c"):
        assert (tmp_path / "separated_audio" / name / "vocals.wav").is_file()


# --- names ---


def names(*paths):
    return [str(song.name) for song in find_songs(paths)]


def test_a_folder_of_tracks_is_understood(tmp_path):
    for track in ("Artist - One", "Artist - Two"):
        for stem in ("mixture", "vocals"):
            write_audio(tmp_path / "test" / track / f"{stem}.wav", noise(1, 10), RATE)
    assert names(tmp_path / "test") == ["Artist - One", "Artist - Two"]
    assert names(tmp_path / "test" / "Artist - One") == ["Artist - One"]
    assert names(tmp_path / "test" / "Artist - One" / "mixture.wav") == ["Artist - One"]
    assert names(tmp_path) == ["test/Artist - One", "test/Artist - Two"]


def test_trees_are_mirrored_and_results_of_earlier_runs_left_out(tmp_path):
    for path in ("x.wav", "deep/er/y.WAV", "separated_audio/x/vocals.wav", ".hidden/z.wav", "notes.txt"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    assert names(tmp_path) == ["x", "deep/er/y"]


def test_two_inputs_never_share_an_output(tmp_path):
    for path in ("one/a.wav", "one/a.flac", "two/a.wav", "one/b.wav"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).touch()
    assert names(tmp_path / "one", tmp_path / "two") == ["a.flac", "a.wav", "b", "a.wav (2)"]


def test_a_song_that_is_named_twice_is_one_song(tmp_path):
    (tmp_path / "b.wav").touch()
    assert names(tmp_path, tmp_path / "b.wav", tmp_path / "." / "b.wav") == ["b"]


def test_a_link_in_a_circle_does_not_trap_the_search(tmp_path):
    (tmp_path / "a.wav").touch()
    (tmp_path / "loop").symlink_to(tmp_path)
    assert names(tmp_path) == ["a"]


def test_missing_paths_and_folders_without_audio_are_refused(tmp_path):
    with pytest.raises(NotFoundError, match="no such file or folder"):
        find_songs([tmp_path / "nothing"])
    (tmp_path / "notes.txt").touch()
    with pytest.raises(NotFoundError, match="nothing to separate"):
        find_songs([tmp_path])


def test_names_that_are_hard_to_type_work(tmp_path):
    separator = Separator(constant_model(1.0), device="cpu")
    source = tmp_path / "source.wav"
    write_audio(source, noise(1, 500), RATE)
    for name in ("-dash.wav", "音楽 é.wav", "a" * 240 + ".wav", "two  spaces 'quoted'.wav"):
        shutil.copy(source, tmp_path / name)
        (song,) = find_songs([tmp_path / name])
        (outcome,) = separate_files(separator, [song], tmp_path / "out")
        assert outcome.error is None
        assert (outcome.folder / "vocals.wav").is_file()
