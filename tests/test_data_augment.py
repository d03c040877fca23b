"""Remixing and augmentation: what is drawn, and what it does to the sound."""

import time

import numpy as np
import pytest
import soundfile
import torch
from dataset_makers import RATE, SOURCES, noise, write_dataset, write_track
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import butter, sosfilt, sosfreqz

from auralflow.config import AugmentConfig, PrepareConfig, TrainConfig
from auralflow.datasets import TrainingChunks, training_tracks
from auralflow.datasets.augment import Change, apply_change, draw_change
from auralflow.datasets.prepare import prepare
from auralflow.datasets.remix import Moment
from auralflow.datasets.stems import read_stem
from auralflow.effects.augmentations import (
    AUGMENTATIONS,
    ChannelSwap,
    Equalizer,
    Gain,
    LowPass,
    SignFlip,
)
from auralflow.effects.filters import Band, low_pass_sections, peak_section
from auralflow.errors import DatasetError
from auralflow.nets.unet import SpectrogramNetConfig

OFF = AugmentConfig(
    gain=0, channel_swap=0, sign_flip=0, time_shift=0, equalizer=0, low_pass=0, repitch=0, keep_silence=0
)
CONFIG = SpectrogramNetConfig(
    targets=SOURCES,
    sample_rate=RATE,
    sample_length=0.5,
    num_channels=2,
    num_fft=512,
    window_size=512,
    hop_length=256,
)


def only(**values):
    return OFF.model_copy(update=values)


def level(audio):
    return 10 * np.log10(np.mean(np.square(np.asarray(audio, dtype=np.float64))) + 1e-12)


def response(sections, frequencies, rate):
    _, values = sosfreqz(np.atleast_2d(sections), worN=frequencies, fs=rate)
    return 20 * np.log10(np.abs(values))


# Changes


@given(
    frequency=st.floats(60, 15000),
    gain=st.floats(-12, 12),
    quality=st.floats(0.5, 2),
    rate=st.sampled_from([44100, 48000]),
)
@settings(max_examples=50, deadline=None)
def test_a_bell_has_its_gain_at_its_centre_and_none_far_away(frequency, gain, quality, rate):
    section = peak_section(Band(frequency, gain, quality), rate)
    centre, bottom, top = response(section, [frequency, 0.0, rate / 2], rate)
    assert centre == pytest.approx(gain, abs=1e-6)
    assert bottom == pytest.approx(0, abs=1e-6)
    assert top == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("frequency", [500, 5000, 15000])
def test_the_low_pass_is_the_butterworth_filter_of_scipy(frequency):
    sound = noise(0.2, channels=1, rate=44100).T
    ours = sosfilt(np.array(low_pass_sections(frequency, 44100)), sound)
    np.testing.assert_allclose(ours, sosfilt(butter(4, frequency, fs=44100, output="sos"), sound), atol=1e-9)


@given(st.integers(0, 2**32), st.floats(8000, 96000))
@settings(max_examples=50, deadline=None)
def test_every_filter_that_can_be_drawn_is_stable_and_clean(seed, rate):
    everything = AugmentConfig(equalizer=1, low_pass=1, equalizer_range=24, equalizer_bands=8)
    change = draw_change(everything, np.random.default_rng(seed), round(rate))
    sections = [peak_section(band, round(rate)) for band in change.part(Equalizer).bands]
    sections += low_pass_sections(change.part(LowPass).frequency, round(rate))
    for section in sections:
        assert np.abs(np.roots(section[3:])).max() < 1
    sound = noise(0.5, seed=seed % 1000, rate=8000).T
    exact = sosfilt(np.array(sections), sound) * 10 ** (change.part(Gain).decibels / 20)
    exact *= -1 if change.part(SignFlip) else 1
    found = apply_change(sound.astype(np.float32), change, round(rate))
    if change.part(ChannelSwap):
        found = found[::-1]
    assert np.mean((found - exact) ** 2) < 1e-10 * np.mean(exact**2)


def test_a_change_of_nothing_returns_the_sound_itself():
    sound = noise(0.1).T.astype(np.float32)
    assert apply_change(sound, Change(), RATE) is sound


def every_change(gain, bands, cut_off):
    return Change((Gain(gain), ChannelSwap(), SignFlip(), Equalizer(bands), LowPass(cut_off)))


def test_a_change_leaves_its_input_alone():
    sound = noise(0.1).T.astype(np.float32)
    before = sound.copy()
    apply_change(sound, every_change(3, (Band(500, 6, 1),), 2000), RATE)
    np.testing.assert_array_equal(sound, before)


def test_the_silence_after_a_sound_costs_no_more_than_the_sound():
    sound = noise(3.0, rate=44100).T.astype(np.float32)
    silence = sound.copy()
    silence[:, 100:] = 0
    change = Change((Equalizer((Band(8000, 6, 0.5), Band(12000, 6, 0.5))),))

    def seconds(audio):
        times = []
        for _ in range(5):
            start = time.process_time()
            apply_change(audio, change, 44100)
            times.append(time.process_time() - start)
        return min(times)

    # Without care the processor's way with tiny numbers makes it sixty times as long.
    assert seconds(silence) < 5 * seconds(sound)


def test_changes_are_linear_so_that_a_sum_stays_a_sum():
    change = every_change(-3, (Band(500, 6, 1), Band(2000, -6, 2)), 3000)
    one, two = (noise(0.2, seed=seed).T.astype(np.float32) for seed in (1, 2))
    together = apply_change(one + two, change, RATE)
    np.testing.assert_allclose(
        together, apply_change(one, change, RATE) + apply_change(two, change, RATE), atol=1e-6
    )


def drawn(augment, count=3000):
    generator = np.random.default_rng(1)
    return [draw_change(augment, generator, 44100) for _ in range(count)]


@pytest.mark.parametrize("kind", AUGMENTATIONS)
@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_each_change_happens_as_often_as_its_probability_says(kind, probability):
    share = np.mean([change.part(kind) is not None for change in drawn(only(**{kind.name: probability}))])
    assert share == pytest.approx(probability, abs=0.03 if 0 < probability < 1 else 0)


def test_one_probability_does_not_change_what_the_others_draw():
    without = drawn(only(gain=1, low_pass=0.5), 50)
    together = drawn(only(gain=1, low_pass=0.5, equalizer=0.7, channel_swap=0.2), 50)
    assert [(change.part(Gain), change.part(LowPass)) for change in without] == [
        (change.part(Gain), change.part(LowPass)) for change in together
    ]


def test_what_is_drawn_fills_its_range_and_stays_inside():
    augment = only(
        gain=1,
        gain_range=5,
        equalizer=1,
        equalizer_range=4,
        equalizer_bands=2,
        low_pass=1,
        low_pass_from=2000,
    )
    changes = drawn(augment)
    gains = [change.part(Gain).decibels for change in changes]
    bands = [band for change in changes for band in change.part(Equalizer).bands]
    cut_offs = [change.part(LowPass).frequency for change in changes]
    assert {len(change.part(Equalizer).bands) for change in changes} == {2}
    for values, low, high in (
        (gains, -5, 5),
        ([band.gain for band in bands], -4, 4),
        ([band.frequency for band in bands], 60, 0.4 * 44100),
        (cut_offs, 2000, 0.4 * 44100),
    ):
        assert low <= min(values) < low + 0.05 * (high - low)
        assert high - 0.05 * (high - low) < max(values) <= high


# Remixes


@pytest.fixture
def dataset(tmp_path):
    return write_dataset(tmp_path / "data", train=4, mixture=True)


def make_chunks(dataset, augment=OFF, config=CONFIG, seed=0):
    return TrainingChunks(training_tracks(dataset)[0], config, augment, seed=seed)


def test_the_defaults_of_a_training_remix_and_change():
    settings = TrainConfig()
    assert settings.remix == 1
    assert all(
        getattr(settings, name) > 0 for name in ("gain", "channel_swap", "sign_flip", "equalizer", "low_pass")
    )


def test_drawing_reads_no_file_and_rendering_draws_nothing(dataset):
    chunks = make_chunks(dataset, AugmentConfig())
    first, again = chunks.draw(5), chunks.draw(5)
    assert first == again
    rendered = chunks.render(first)
    for stem in dataset.rglob("*.wav"):
        stem.unlink()
    assert chunks.draw(5) == first
    assert rendered[0].shape == (2, 4000)


@pytest.mark.parametrize("remix", [0.0, 1.0])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("targets", [("vocals",), ("bass", "drums"), SOURCES])
def test_chunks_are_contiguous_tensors_whatever_the_model_wants(dataset, remix, channels, targets):
    config = CONFIG.model_copy(update={"num_channels": channels, "targets": targets})
    always = {"channel_swap": 1, "sign_flip": 1, "equalizer": 1, "low_pass": 1}
    for augment in (AugmentConfig(remix=remix, **always), AugmentConfig(remix=remix, time_shift=0, **always)):
        mixture, stems, _ = make_chunks(dataset, augment, config)[0]
        assert mixture.shape == (channels, 4000)
        assert stems.shape == (len(targets), channels, 4000)
        assert mixture.is_contiguous()
        assert stems.is_contiguous()
        assert mixture.dtype == stems.dtype == torch.float32


@pytest.mark.parametrize("remix", [0.0, 0.5, 1.0])
def test_the_mixture_is_the_sum_of_its_stems(dataset, remix):
    for path in dataset.rglob("mixture.wav"):
        path.unlink()
    chunks = make_chunks(dataset, AugmentConfig(remix=remix))
    for number in range(8):
        draw = chunks.draw(number)
        mixture, targets, _ = chunks.render(draw)
        np.testing.assert_allclose(mixture, targets.sum(0), atol=1e-5)


def test_a_produced_voice_changes_no_other_stem_and_the_mixture_is_still_the_sum(dataset):
    plain, produced = (make_chunks(dataset, only(remix=1, produce=share)) for share in (0, 1))
    changed = 0
    for number in range(12):
        before, after = plain[number], produced[number]
        # The order of the draws is that of the sources, and the voice comes first.
        vocals = plain.draw(number).stems["vocals"]
        assert produced.draw(number).stems["vocals"].places == vocals.places
        np.testing.assert_allclose(after.mixture, after.targets.sum(0), atol=1e-5)
        changed += not np.allclose(before.targets[0], after.targets[0], atol=1e-4)
        assert torch.equal(produced[number].targets, after.targets)
    assert changed > 8
    draws = [make_chunks(dataset, only(remix=1, produce=0.3)).draw(number) for number in range(400)]
    assert np.mean([bool(draw.stems["vocals"].production) for draw in draws]) == pytest.approx(0.3, abs=0.1)
    assert not any(draw.stems[name].production for draw in draws for name in ("drums", "bass", "other"))


def test_a_mastered_remix_is_compressed_by_one_gain_for_all_its_stems(dataset):
    plain, mastered = (make_chunks(dataset, only(remix=1, master=share)) for share in (0, 1))
    for number in range(4):
        before, after = plain[number], mastered[number]
        np.testing.assert_allclose(after.mixture, after.targets.sum(0), atol=1e-5)
        gains = (after.targets / before.targets)[before.targets.abs() > 1e-3]
        assert 0 < gains.min() <= gains.max() <= 1 + 1e-5
        expected = before.targets * (after.mixture / before.mixture)
        loud = before.mixture.abs() > 1e-2
        np.testing.assert_allclose(after.targets[0][loud], expected[0][loud], atol=1e-4)


def test_the_stems_of_a_remix_come_from_different_tracks(dataset):
    chunks = make_chunks(dataset)
    tracks = {
        tuple(stem.places[0].track for stem in chunks.draw(number).stems.values()) for number in range(200)
    }
    assert len(tracks) > 100
    share = np.mean([len(set(combination)) > 1 for combination in tracks])
    assert share > 0.9


def test_the_share_of_remixes_is_the_setting(dataset):
    chunks = make_chunks(dataset, only(remix=0.3))
    share = np.mean([not isinstance(chunks.draw(number), Moment) for number in range(2000)])
    assert share == pytest.approx(0.3, abs=0.03)


def test_stems_of_a_remix_are_brought_to_one_level_within_limits(tmp_path):
    levels = {"vocals": 0.05, "drums": 0.1, "bass": 0.2, "other": 0.005}
    for split in ("train", "valid"):
        folder = tmp_path / split / "A"
        folder.mkdir(parents=True)
        for number, (stem, size) in enumerate(levels.items()):
            audio = noise(2.0, seed=number, level=size)
            soundfile.write(folder / f"{stem}.wav", audio, RATE, subtype="FLOAT")
    _, targets, _ = make_chunks(tmp_path, only(remix_level=-25, silence_threshold=-60))[0]
    assert [level(stem) for stem in targets[:3]] == pytest.approx([-25, -25, -25], abs=0.05)
    # Brought up from -46 dBFS by no more than 12 dB.
    assert level(targets[3]) == pytest.approx(-34, abs=0.3)
    _, louder, _ = make_chunks(tmp_path, only(remix_level=-20, silence_threshold=-60))[0]
    assert level(louder[0]) == pytest.approx(-20, abs=0.05)


def test_channels_are_swapped_and_signs_flipped(dataset):
    plain = make_chunks(dataset, only(remix=0))[0]
    swapped = make_chunks(dataset, only(remix=0, channel_swap=1))[0]
    flipped = make_chunks(dataset, only(remix=0, sign_flip=1))[0]
    for part in (0, 1):
        np.testing.assert_array_equal(swapped[part], plain[part].flip(-2))
        np.testing.assert_array_equal(flipped[part], -plain[part])


def test_stems_are_moved_against_one_another_within_the_range(dataset):
    apart = make_chunks(dataset, only(remix=0, time_shift=1, time_shift_range=0.01))
    together = make_chunks(dataset, only(remix=0))
    moves = []
    for number in range(12):
        truth, found = together[number][1].numpy(), apart[number][1].numpy()
        for before, after in zip(truth, found, strict=True):
            score = np.correlate(after[0], before[0, 200:-200], mode="valid")
            moves.append(200 - int(score.argmax()))
            assert score.max() > 0.9 * float((before[0, 200:-200] ** 2).sum())
    assert max(map(abs, moves)) <= 80
    assert max(moves) - min(moves) > 80


def test_a_moment_whose_other_stems_are_unknown_is_changed_as_a_whole(tmp_path):
    data = write_dataset(tmp_path, train=2, sources=("vocals", "drums"), mixture=True)
    config = CONFIG.model_copy(update={"targets": ("vocals",)})
    settings = AugmentConfig(time_shift=1, gain=1, channel_swap=0, sign_flip=0, equalizer=0, low_pass=0)
    changed, plain = make_chunks(data, settings, config), make_chunks(data, only(remix=0), config)
    assert changed.remix == 0
    for number in range(4):
        before, after = plain[number], changed[number]
        factor = float(after[0].abs().max() / before[0].abs().max())
        np.testing.assert_allclose(after[0], factor * before[0], atol=1e-5)
        np.testing.assert_allclose(after[1], factor * before[1], atol=1e-5)


def test_a_track_without_a_stem_gives_the_others_and_is_never_silence(tmp_path):
    data = tmp_path / "data"
    for number in range(3):
        write_track(
            data / "train" / f"No bass {number}",
            seed=number,
            sources=("vocals", "drums", "other"),
            mixture=True,
        )
    write_track(data / "train" / "With bass", seed=7)
    write_track(data / "valid" / "V", seed=8)
    chunks = make_chunks(data)
    used = {source: set() for source in SOURCES}
    for number in range(60):
        draws = chunks.draw(number)
        for source, stem in draws.stems.items():
            used[source] |= {chunks.pools[source].tracks[place.track].name for place in stem.places}
        assert level(chunks.render(draws)[1][2]) > -40
    assert used["bass"] == {"With bass"}
    assert len(used["vocals"]) == 4
    # As they are, the others know bass and other by their sum only: the bass may hide there.
    moments = make_chunks(data, only(remix=0, time_shift=0))
    assert len(moments.whole.tracks) == 4
    for number in range(20):
        track = moments.whole.tracks[moments.draw(number).places[0].track]
        expected = [True, True, "bass" in track.stems, "bass" in track.stems]
        assert moments[number].known.tolist() == expected


def test_without_any_track_that_has_the_target_training_is_refused(tmp_path):
    data = write_dataset(tmp_path, sources=("vocals", "drums", "other"))
    with pytest.raises(DatasetError, match="no training track has a file for bass"):
        make_chunks(data)


def test_variants_are_used_as_often_as_the_setting_says(tmp_path):
    data = write_dataset(tmp_path / "data", train=2)
    prepare(data, tmp_path / "cache", PrepareConfig(sample_rate=RATE, variants=3))
    chunks = make_chunks(tmp_path / "cache", only(repitch=0.4))
    stems = [stem for number in range(300) for stem in chunks.draw(number).stems.values()]
    assert np.mean([stem.variant is not None for stem in stems]) == pytest.approx(0.4, abs=0.05)
    always = make_chunks(tmp_path / "cache", only(repitch=1, remix_level=-20))
    draw = always.draw(0)
    _, targets, _ = always.render(draw)
    stem = draw.stems["bass"]
    track = always.pools["bass"].tracks[stem.places[0].track]
    variant = track.variants[int(stem.variant * 3)]
    start = int(stem.places[0].position * (variant.num_samples - 4000))
    expected = read_stem(variant, "bass", start, 4000)
    np.testing.assert_allclose(targets[2] / targets[2].std(), expected / expected.std(ddof=1), atol=1e-3)
