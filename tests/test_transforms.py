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
    cross_fade_window,
    decibel,
    istft,
    magnitude,
    mel_filters,
    mel_scale,
    overlap_add,
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


@QUICK
@given(
    num_samples=st.integers(1, 400),
    chunk_length=st.integers(1, 120),
    overlap=st.floats(0, 0.95),
    batch_size=st.integers(1, 5),
    block=st.integers(1, 300),
)
def test_chunks_add_up_to_the_signal(num_samples, chunk_length, overlap, batch_size, block):
    step = max(1, round(chunk_length * (1 - overlap)))
    signal = torch.randn(2, num_samples)
    parts = overlap_add(
        signal.split(block, dim=-1), lambda c: c, chunk_length=chunk_length, step=step, batch_size=batch_size
    )
    assert torch.allclose(torch.cat(list(parts), dim=-1), signal, atol=1e-5)


def test_result_does_not_depend_on_blocks_or_batches():
    signal = torch.randn(1, 1000)

    def run(block, batch_size):
        blocks = signal.split(block, dim=-1)
        parts = overlap_add(blocks, double, chunk_length=90, step=60, batch_size=batch_size)
        return torch.cat(list(parts), dim=-1)

    expected = run(1000, 1)
    for block, batch_size in ((1, 1), (7, 3), (333, 2), (90, 8)):
        assert torch.equal(run(block, batch_size), expected)


def double(chunks):
    return 2 * chunks * torch.linspace(0, 1, chunks.shape[-1])


def test_batches_are_no_larger_than_asked_and_chunks_all_of_one_length():
    shapes = []

    def watch(chunks):
        shapes.append(tuple(chunks.shape))
        return chunks

    list(overlap_add([torch.zeros(2, 1000)], watch, chunk_length=100, step=75, batch_size=4))
    assert {shape[1:] for shape in shapes} == {(2, 100)}
    assert max(shape[0] for shape in shapes) == 4
    assert sum(shape[0] for shape in shapes) == 1 + math.ceil((1000 - 100) / 75)


def test_no_signal_gives_no_output():
    assert list(overlap_add([], lambda c: c, chunk_length=10, step=5)) == []


def test_input_is_read_only_as_far_as_needed():
    read = []

    def blocks():
        for index in range(100):
            read.append(index)
            yield torch.zeros(1, 10)

    stream = overlap_add(blocks(), lambda c: c, chunk_length=50, step=25, batch_size=2)
    next(stream)
    # One batch spans 75 samples, and one more block tells that it is not the last.
    assert len(read) == 8


@pytest.mark.parametrize("step", [0, -1, 11])
def test_impossible_steps_are_refused(step):
    with pytest.raises(ValueError, match=r"step is .*: it must be from 1 to chunk_length"):
        list(overlap_add([torch.zeros(1, 10)], lambda c: c, chunk_length=10, step=step))


@QUICK
@given(length=st.integers(1, 500), share=st.floats(0.01, 1))
def test_the_window_is_symmetric_positive_and_at_most_one(length, share):
    window = cross_fade_window(length, max(1, round(length * share)))
    assert window.min() > 0
    assert window.max() <= 1
    assert torch.equal(window, window.flip(0))
