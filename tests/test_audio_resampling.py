"""Resampling: nothing moves in time, lengths are exact, and a stream equals the whole."""

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import resample as fourier_resample

from auralflow.audio import StreamResampler, resample, resampled_length
from auralflow.errors import AudioError

RATES = st.sampled_from([8000, 11025, 16000, 22050, 32000, 44100, 48000, 88200, 96000, 192000])
PAIRS = [
    (44100, 48000),
    (48000, 44100),
    (44100, 22050),
    (22050, 44100),
    (192000, 44100),
    (8000, 48000),
    (44100, 44101),
]


@settings(max_examples=60, deadline=None)
@given(source=RATES, target=RATES, channels=st.integers(1, 8), frames=st.integers(0, 3000))
def test_length_is_the_exact_ratio_rounded_half_up(source, target, channels, frames):
    changed = resample(np.ones((channels, frames), np.float32), source, target)
    assert changed.shape == (channels, floor(Fraction(frames * target, source) + Fraction(1, 2)))
    assert changed.dtype == np.float32
    assert resampled_length(frames, source, target) == changed.shape[1]


@settings(max_examples=40, deadline=None)
@given(
    source=RATES,
    target=RATES,
    cuts=st.lists(st.integers(0, 4000), max_size=8),
    channels=st.integers(1, 3),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_stream_equals_whole_for_any_blocks(source, target, cuts, channels, dtype):
    audio = np.random.default_rng(1).uniform(-1, 1, (channels, sum(cuts))).astype(dtype)
    stream = StreamResampler(source, target, channels, dtype=dtype)
    blocks = [stream.push(block) for block in np.split(audio, np.cumsum(cuts), axis=1)]
    joined = np.concatenate([*blocks, stream.finish()], axis=1)
    whole = resample(audio, source, target)
    assert joined.dtype == whole.dtype == dtype
    assert joined.shape == whole.shape
    assert np.abs(joined - whole).max(initial=0) <= 1e-5


def test_length_does_not_drift_over_a_long_stream():
    stream = StreamResampler(44100, 48000, 1)
    block = np.zeros((1, 44100 * 10 + 7), np.float32)
    given_out = sum(stream.push(block).shape[1] for _ in range(60))
    assert given_out + stream.finish().shape[1] == resampled_length(60 * block.shape[1], 44100, 48000)


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_an_impulse_stays_at_its_time(source, target):
    audio = np.zeros((1, source), np.float32)
    audio[0, source // 4] = 1
    changed = resample(audio, source, target)[0].astype(np.float64)
    # The response is symmetric: its centre of energy is the time of the impulse.
    centre = np.sum(np.arange(target) * changed**2) / np.sum(changed**2)
    assert centre == pytest.approx(source // 4 * target / source, abs=0.01)


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_a_tone_that_both_rates_hold_is_unchanged(source, target):
    def tone(rate):
        return (0.5 * np.sin(2 * np.pi * 1000 * np.arange(rate) / rate)).astype(np.float32)

    changed = resample(tone(source)[None], source, target)[0]
    middle = slice(target // 10, -target // 10)
    assert np.abs(changed - tone(target))[middle].max() < 2e-6


def test_a_tone_above_the_new_nyquist_frequency_vanishes():
    audio = np.sin(2 * np.pi * 15000 * np.arange(44100) / 44100).astype(np.float32)[None]
    changed = resample(audio, 44100, 22050)[0, 2000:-2000]
    # 120 dB down.
    assert np.abs(changed).max() < 1e-6


def test_band_limited_noise_agrees_with_fourier_resampling():
    spectrum = np.zeros(22051, complex)
    spectrum[200:8000] = np.exp(1j * np.random.default_rng(0).uniform(0, 6.28, 7800))
    audio = np.fft.irfft(spectrum)
    audio = (audio / np.abs(audio).max()).astype(np.float64)
    expected = fourier_resample(audio, 48000)
    found = resample(audio[None], 44100, 48000)[0]
    assert np.abs(found - expected)[2000:-2000].max() < 1e-5


def test_equal_rates_pass_through():
    audio = np.random.default_rng(0).uniform(-1, 1, (2, 100)).astype(np.float32)
    stream = StreamResampler(44100, 44100, 2)
    assert np.array_equal(resample(audio, 44100, 44100), audio)
    assert np.array_equal(stream.push(audio), audio)
    assert stream.finish().shape == (2, 0)


def test_channels_do_not_mix():
    audio = np.zeros((3, 5000), np.float32)
    audio[1] = np.random.default_rng(0).uniform(-1, 1, 5000)
    changed = resample(audio, 44100, 48000)
    assert not changed[0].any()
    assert not changed[2].any()
    assert np.allclose(changed[1:2], resample(audio[1:2], 44100, 48000), atol=1e-6)


@pytest.mark.parametrize(("source", "target"), [(0, 44100), (44100, 0), (-1, 44100)])
def test_impossible_rates_are_refused(source, target):
    with pytest.raises(AudioError, match="Hz"):
        resample(np.zeros((1, 10), np.float32), source, target)
    with pytest.raises(AudioError, match="Hz"):
        StreamResampler(source, target, 1)
