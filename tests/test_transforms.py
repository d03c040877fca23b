"""Transforms: round trips, physics, and chunks that add up to the signal."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import get_window

from auralflow.transforms import (
    STFT,
    MelScale,
    decibel,
    istft,
    magnitude,
    mel_filters,
    mel_scale,
    phase,
    reconstruct,
    stft,
)

QUICK = settings(deadline=None, max_examples=40)


@QUICK
@given(
    num_samples=st.integers(1, 3000),
    num_fft=st.sampled_from([64, 100, 256]),
    window_share=st.sampled_from([1.0, 0.75, 0.5]),
    hop_share=st.sampled_from([0.5, 0.25, 0.2]),
)
def test_inverse_gives_the_signal_back_for_any_length(num_samples, num_fft, window_share, hop_share):
    window = int(num_fft * window_share)
    transform = STFT(num_fft, window, max(1, int(window * hop_share)))
    audio = torch.randn(2, 1, num_samples)
    spectrogram = transform(audio)
    assert spectrogram.shape == (2, 1, num_fft // 2 + 1, transform.num_frames(num_samples))
    assert torch.allclose(transform.inverse(spectrogram, num_samples), audio, atol=1e-5)


def test_spectrogram_equals_a_plain_transform_of_windowed_frames():
    audio = np.random.default_rng(0).standard_normal(1000)
    ours = stft(torch.from_numpy(audio), 256, 200, 50).numpy()
    window = np.zeros(256)
    window[28:228] = get_window("hann", 200)
    padded = np.pad(audio, (128, 128 + 256))
    frames = np.stack([padded[50 * i : 50 * i + 256] * window for i in range(21)], axis=1)
    np.testing.assert_allclose(ours, np.fft.rfft(frames, axis=0), atol=1e-5)


def test_a_tone_lands_in_its_bin():
    rate, bins = 8000, 257
    tone = torch.sin(2 * math.pi * 1000 * torch.arange(rate) / rate)
    spectrum = magnitude(stft(tone, 512))[:, 5:-5].mean(dim=1)
    assert spectrum.argmax().item() == round(1000 / (rate / 2) * (bins - 1))


def test_functional_twins_agree_with_the_modules():
    audio = torch.randn(3, 2000)
    module = STFT(256, 200, 50)
    spectrogram = module(audio)
    assert torch.equal(stft(audio, 256, 200, 50), spectrogram)
    assert torch.equal(istft(spectrogram, 2000, 200, 50), module.inverse(spectrogram, 2000))
    magnitudes = magnitude(spectrogram)
    assert torch.equal(mel_scale(magnitudes, 20, 8000), MelScale(129, 20, 8000)(magnitudes))


def test_windows_are_buffers_that_stay_out_of_the_weights():
    module = STFT(256)
    assert module.state_dict() == {}
    assert module.to(torch.float64).window.dtype == torch.float64


def test_magnitude_and_phase_make_the_spectrogram_again():
    spectrogram = stft(torch.randn(1000), 256)
    polar = torch.polar(magnitude(spectrogram), phase(spectrogram))
    assert torch.allclose(polar, spectrogram, atol=1e-5)


def test_reconstruction_has_the_given_magnitude_and_the_mixtures_phase():
    mixture = stft(torch.randn(2, 1, 1000), 256)  # [B, C, F, T]
    magnitudes = torch.rand(2, 3, 1, *mixture.shape[-2:])
    result = reconstruct(magnitudes, mixture)
    assert torch.allclose(result.abs(), magnitudes, atol=1e-5)
    expected = magnitudes * torch.exp(1j * mixture.angle().unsqueeze(1))
    assert torch.allclose(result, expected, atol=1e-5)


def test_reconstruction_of_silence_is_finite():
    assert reconstruct(torch.ones(1), torch.zeros(1, dtype=torch.complex64)).tolist() == [1 + 0j]


def test_decibel_of_known_levels():
    levels = decibel(torch.tensor([10.0, 1.0, 0.5, 0.0]), floor=-100)
    assert levels.tolist() == pytest.approx([20.0, 0.0, -6.0206, -100.0], abs=1e-4)


def test_mel_filters_cover_the_band_once():
    filters = mel_filters(1025, 64, 44100)
    assert filters.shape == (64, 1025)
    assert filters.min() >= 0
    assert filters.max() <= 1
    # Neighbouring triangles overlap so that they sum to one between the first and the last peak.
    first, last = filters[0].argmax(), filters[-1].argmax()
    assert torch.allclose(filters.sum(0)[first : last + 1], torch.ones(last + 1 - first), atol=1e-5)
    assert (filters.argmax(1).diff() > 0).all()
