"""The newer metrics against museval, naive loops and the laws they must obey."""

import subprocess
import sys

import numpy as np
import pystoi
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from outside_museval import museval

from auralflow.errors import UsageError
from auralflow.metrics import (
    RatioSums,
    bss_eval,
    framewise_sdr,
    log_spectral_distance,
    pool_channels,
    sd_sdr,
    sdr,
    si_sdr,
    si_snr,
    snr,
    stoi,
)

SEEDS = st.integers(0, 2**16)


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def separated(sources, channels, samples, seed=0):
    """Sources, and estimates with leakage, filtering and noise of their own."""
    references = noise(sources, channels, samples, seed=seed)
    leaked = 0.2 * references.roll(1, 0) + 0.7 * references + 0.2 * references.roll(3, -1)
    return leaked + 0.05 * noise(sources, channels, samples, seed=seed + 1), references


def outside(estimates, references, window, taps):
    result = museval.metrics.bss_eval(
        references.transpose(1, 2).numpy(),
        estimates.transpose(1, 2).numpy(),
        window=window,
        hop=window,
        filters_len=taps,
        framewise_filters=False,
    )
    return result[:4]


@pytest.mark.parametrize(
    ("sources", "channels", "samples", "window", "taps"),
    [(2, 2, 5000, 1000, 32), (3, 1, 2500, 800, 16), (2, 2, 600, 4000, 8), (4, 2, 3000, 1500, 64)],
)
def test_bss_eval_equals_museval(sources, channels, samples, window, taps):
    estimates, references = separated(sources, channels, samples)
    scores = bss_eval(estimates, references, window, num_taps=taps)
    for own, other in zip(scores, outside(estimates, references, window, taps), strict=True):
        np.testing.assert_allclose(own.numpy(), other, atol=1e-6)


def test_bss_eval_equals_museval_at_its_own_filter_length_and_with_silent_windows():
    estimates, references = separated(2, 2, 6000)
    references[1, :, 2000:4000] = 0
    scores = bss_eval(estimates, references, 2000)
    for own, other in zip(scores, outside(estimates, references, 2000, 512), strict=True):
        np.testing.assert_allclose(own.numpy(), other, atol=1e-5)
    assert scores.sir[:, 1].isnan().all()


def test_sdr_of_bss_eval_and_of_museval_equal_framewise_sdr_to_a_billionth():
    estimates, references = separated(2, 2, 5000)
    references[0, 1, 1000:2000] = -references[0, 0, 1000:2000]
    closed = framewise_sdr(estimates, references, 1000)
    np.testing.assert_allclose(bss_eval(estimates, references, 1000, num_taps=32).sdr, closed, atol=1e-9)
    np.testing.assert_allclose(outside(estimates, references, 1000, 32)[0], closed, atol=1e-9)
    assert closed[:, 1].isnan().all()


def test_each_fault_moves_its_own_score():
    references = noise(2, 2, 8000)
    level = bss_eval(0.5 * references, references, 8000, num_taps=16)
    assert (level.isr < 7).all()
    assert (level.sir > 60).all()
    leak = bss_eval(references + 0.3 * references.flip(0), references, 8000, num_taps=16)
    assert (leak.sir < 12).all()
    assert (leak.sar > 60).all()
    hiss = bss_eval(references + 0.3 * noise(2, 2, 8000, seed=9), references, 8000, num_taps=16)
    assert (hiss.sar < 12).all()
    assert (hiss.sir > 20).all()


def test_bss_eval_of_a_silent_or_twofold_source_is_no_exception():
    estimates, references = separated(2, 2, 2000)
    silent = references.clone()
    silent[1] = 0
    assert all(score.isnan().all() for score in bss_eval(estimates, silent, 500, num_taps=8))
    twin = references[:1].repeat(2, 1, 1)
    assert bss_eval(estimates, twin, 500, num_taps=8).sdr.isfinite().all()


def test_bss_eval_holds_with_several_threads():
    code = (
        "import torch; torch.set_num_threads(2); from auralflow.metrics import bss_eval; "
        "r = torch.randn(2, 2, 4000); bss_eval(r + 0.1 * torch.randn(2, 2, 4000), r, 2000)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=300, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert not done.stderr


def test_bss_eval_refuses_other_shapes_and_windows():
    with pytest.raises(UsageError, match="window 0"):
        bss_eval(torch.ones(1, 1, 8), torch.ones(1, 1, 8), 0)
    with pytest.raises(UsageError, match="S, C, N"):
        bss_eval(torch.ones(1, 2, 1, 8), torch.ones(1, 2, 1, 8), 4)


def naive_sd_sdr(estimate, reference):
    gain = (estimate * reference).sum() / (reference**2).sum()
    return 10 * np.log10(((gain * reference) ** 2).sum() / ((reference - estimate) ** 2).sum())


def test_sd_sdr_equals_its_formula_and_never_beats_si_sdr():
    estimate, reference = 0.7 * noise(4, 300) + 0.3 * noise(4, 300, seed=1), noise(4, 300)
    scores = sd_sdr(estimate, reference)
    for index in range(4):
        assert scores[index].item() == pytest.approx(
            naive_sd_sdr(estimate[index].numpy(), reference[index].numpy())
        )
    assert (scores <= si_sdr(estimate, reference) + 1e-9).all()


def test_sd_sdr_of_silence_is_nan_and_of_perfection_is_finite():
    reference = noise(2, 50)
    assert sd_sdr(0 * reference, reference).isnan().all()
    assert sd_sdr(reference, 0 * reference).isnan().all()
    assert (sd_sdr(reference, reference) > 140).all()


@given(
    seed=SEEDS,
    parts=st.lists(st.integers(1, 40), min_size=1, max_size=6),
    window=st.integers(1, 60),
    data=st.data(),
)
@settings(deadline=None, max_examples=40)
def test_sums_of_blocks_give_the_scores_of_the_whole(seed, parts, window, data):
    samples = sum(parts) + 2
    estimates, references = separated(3, 2, samples, seed=seed)
    if data.draw(st.booleans()):
        references[data.draw(st.integers(0, 2)), :, data.draw(st.integers(0, samples)) :] = 0
    estimates[0] *= data.draw(st.sampled_from([0.0, 1.0]))
    sums = RatioSums(window)
    for own, true in zip(estimates.split([*parts, 2], -1), references.split([*parts, 2], -1), strict=True):
        sums.add(own, true)
    pooled = pool_channels(estimates), pool_channels(references)
    for metric in (si_sdr, si_snr, snr, sd_sdr):
        expected = metric(*pooled)
        torch.testing.assert_close(
            getattr(sums, metric.__name__)(), expected, atol=1e-6, rtol=0, equal_nan=True
        )
    torch.testing.assert_close(sums.sdr(), sdr(estimates, references), equal_nan=True)
    torch.testing.assert_close(
        sums.framewise_sdr(), framewise_sdr(estimates, references, window), equal_nan=True
    )


@given(seed=SEEDS, wanted=st.floats(20, 130))
@settings(deadline=None, max_examples=30)
def test_sums_keep_the_digits_of_nearly_perfect_estimates(seed, wanted):
    references = noise(1, 1, 400, seed=seed)
    error = noise(1, 1, 400, seed=seed + 1)
    estimates = references + error * (references.norm() / error.norm()) * 10 ** (-wanted / 20)
    sums = RatioSums(100)
    sums.add(estimates, references)
    assert sums.snr().item() == pytest.approx(wanted, abs=1e-2)
    expected = si_sdr(pool_channels(estimates), pool_channels(references)).item()
    assert sums.si_sdr().item() == pytest.approx(expected, abs=0.1)


def test_sums_of_a_perfect_a_constant_and_no_estimate():
    references = noise(1, 2, 100)
    sums = RatioSums(30)
    sums.add(references, references)
    assert all(score().item() > 140 for score in (sums.si_sdr, sums.si_snr, sums.snr, sums.sd_sdr))
    assert (sums.framewise_sdr() == torch.inf).all()
    constant = RatioSums(30)
    constant.add(references, torch.full_like(references, 0.1))
    assert constant.si_snr().isnan().all()
    with pytest.raises(UsageError, match="no sample"):
        RatioSums(30).si_sdr()
    with pytest.raises(UsageError, match="window 0"):
        RatioSums(0)


def naive_distance(estimate, reference, size, hop):
    window = np.hanning(size + 1)[:-1]
    distances = []
    for start in range(0, len(reference) - size + 1, hop):
        levels = []
        for audio in (estimate, reference):
            power = np.abs(np.fft.rfft(audio[start : start + size] * window) * 2 / window.sum()) ** 2
            levels.append(10 * np.log10(np.maximum(power, 1e-10)))
        distances.append(np.sqrt(np.mean((levels[0] - levels[1]) ** 2)))
    return np.mean(distances)


def test_log_spectral_distance_equals_a_naive_loop():
    estimate, reference = noise(3, 1000, seed=4), noise(3, 1000)
    scores = log_spectral_distance(estimate, reference, num_fft=128, hop_length=50)
    for index in range(3):
        expected = naive_distance(estimate[index].numpy(), reference[index].numpy(), 128, 50)
        assert scores[index].item() == pytest.approx(expected, abs=1e-9)


@given(seed=SEEDS, gain=st.floats(-60, 60))
@settings(deadline=None, max_examples=20)
def test_log_spectral_distance_of_a_gain_is_the_gain(seed, gain):
    reference = noise(500, seed=seed)
    distance = log_spectral_distance(10 ** (gain / 20) * reference, reference, num_fft=64)
    # Noise at full scale lies far above the floor even 60 dB down, but for a few bins.
    assert distance.item() == pytest.approx(abs(gain), abs=2)


def test_log_spectral_distance_of_silence_and_of_short_signals():
    reference = noise(2, 30)
    assert log_spectral_distance(reference, 0 * reference).isnan().all()
    assert (log_spectral_distance(0 * reference, reference) > 20).all()
    assert (log_spectral_distance(reference, reference) == 0).all()


def speech_like(seconds=1.5, rate=10000):
    time = torch.arange(int(seconds * rate), dtype=torch.float64) / rate
    return noise(len(time)) * (0.2 + torch.sin(2 * torch.pi * 4 * time).square())


def test_stoi_falls_with_noise_and_is_that_of_pystoi():
    reference = speech_like()
    clean = stoi(reference, reference, 10000)
    noisy = stoi(reference + noise(len(reference), seed=3), reference, 10000)
    assert clean.item() == pytest.approx(1, abs=1e-6)
    assert noisy < 0.9
    estimate = reference + noise(len(reference), seed=3)
    assert noisy.item() == pytest.approx(pystoi.stoi(reference.numpy(), estimate.numpy(), 10000), abs=1e-6)


def test_stoi_of_silence_and_of_too_little_is_nan_without_a_warning():
    reference = speech_like()
    batch = torch.stack([reference, torch.zeros_like(reference)])
    assert stoi(batch, batch, 10000).isnan().tolist() == [False, True]
    for samples in (100, 1000):
        assert stoi(reference[:samples], reference[:samples], 10000).isnan()


def test_stoi_without_its_extra_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pystoi", None)
    with pytest.raises(UsageError, match=r"auralflow\[metrics\]"):
        stoi(torch.ones(100), torch.ones(100), 10000)


@pytest.mark.gpu
def test_newer_metrics_on_a_gpu_equal_those_on_the_cpu():
    estimates, references = separated(2, 2, 6000)
    on_gpu = bss_eval(estimates.cuda(), references.cuda(), 2000, num_taps=32)
    for own, other in zip(on_gpu, bss_eval(estimates, references, 2000, num_taps=32), strict=True):
        assert own.is_cuda
        torch.testing.assert_close(own.cpu(), other, atol=1e-6, rtol=0)
    for metric in (sd_sdr, log_spectral_distance):
        torch.testing.assert_close(
            metric(estimates.cuda(), references.cuda()).cpu(), metric(estimates, references)
        )
    sums, others = RatioSums(1000), RatioSums(1000)
    sums.add(estimates.cuda(), references.cuda())
    others.add(estimates, references)
    torch.testing.assert_close(sums.si_sdr().cpu(), others.si_sdr())
