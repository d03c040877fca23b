"""Lossy coding of training mixtures: in time, of the mixture alone, and drawn without moving other draws."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import tiny_config

from auralflow.config import AugmentConfig
from auralflow.datasets import TrainingChunks, index_split
from auralflow.effects.coding import LossyCoding
from auralflow.errors import SettingsError


def clicks(rate, channels, *, seconds=0.5):
    """Bursts of noise at uneven distances, in each channel others."""
    rng = np.random.default_rng(0)
    audio = np.zeros((channels, int(seconds * rate)), dtype=np.float32)
    for row in audio:
        for start in rng.integers(0, len(row) - 100, 6):
            row[start : start + 100] += 0.3 * rng.standard_normal(100)
    return audio


@pytest.mark.parametrize("kind", ["MP3", "OGG"])
@pytest.mark.parametrize(
    ("rate", "channels"), [(44100, 2), (48000, 1), (16000, 2), (8000, 1), (96000, 2), (22050, 3)]
)
def test_what_comes_back_has_lost_something_and_not_moved(kind, rate, channels):
    audio = clicks(rate, channels)
    before = audio.copy()
    coded = LossyCoding(kind, 0.5).applied(audio, rate)
    assert np.array_equal(audio, before)
    assert (coded.shape, coded.dtype) == (audio.shape, np.float32)
    spectra = np.fft.rfft(audio, 2 * audio.shape[1]), np.fft.rfft(coded, 2 * audio.shape[1])
    shift = np.argmax(np.fft.irfft(spectra[1] * spectra[0].conj()).sum(axis=0))
    assert shift == 0
    assert 1e-5 < np.square(coded - audio).sum() / np.square(audio).sum() < 0.7


def test_the_more_it_is_compressed_the_more_is_lost():
    audio = clicks(44100, 2)
    for kind in ("MP3", "OGG"):
        errors = [
            np.square(LossyCoding(kind, level).applied(audio, 44100) - audio).sum()
            for level in (0.3, 0.6, 0.95)
        ]
        assert errors == sorted(errors)


@pytest.mark.parametrize("remix", [0.0, 1.0])
def test_only_the_mixture_is_coded_and_all_else_is_drawn_as_before(dataset, remix):
    tracks, config = index_split(dataset, "train"), tiny_config(sample_rate=8000)
    plain = TrainingChunks(tracks, config, AugmentConfig(remix=remix))
    lossy = TrainingChunks(tracks, config, AugmentConfig(remix=remix, lossy=0.5))
    coded = 0
    for position in range(12):
        drawn = lossy.draw(position)
        assert replace(drawn, coding=None) == plain.draw(position)
        chunk, clean = lossy[position], plain[position]
        assert torch.equal(chunk.targets, clean.targets)
        assert torch.equal(chunk.mixture, lossy[position].mixture)
        assert torch.equal(chunk.mixture, clean.mixture) == (drawn.coding is None)
        coded += drawn.coding is not None
    assert 0 < coded < 12


def test_a_rate_that_no_codec_has_is_refused(dataset):
    with pytest.raises(SettingsError, match=r"`lossy` 0\.5 cannot code this sample rate: found 4000 Hz"):
        TrainingChunks(index_split(dataset, "train"), tiny_config(sample_rate=4000), AugmentConfig(lossy=0.5))
