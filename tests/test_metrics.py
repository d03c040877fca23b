"""The metrics against naive loops, outside references and the laws they must obey."""

import subprocess
import sys

import mir_eval
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional import audio as torchmetrics_audio

from auralflow.errors import UsageError
from auralflow.metrics import framewise_sdr, pool_channels, sdr, si_sdr, si_snr, snr

PER_SIGNAL = (si_sdr, si_snr, snr)
LEVELS = st.floats(1e-6, 1e6)
SEEDS = st.integers(0, 2**16)


def noise(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def pair(*shape, seed=0, error=0.5, dtype=torch.float64):
    reference = noise(*shape, seed=seed)
    return (0.8 * reference + error * noise(*shape, seed=seed + 1)).to(dtype), reference.to(dtype)


def decibels(signal, distortion):
    return 10 * np.log10(signal / distortion)


def naive_si_sdr(estimate, reference):
    gain = sum(e * s for e, s in zip(estimate, reference, strict=True)) / sum(s * s for s in reference)
    signal = sum((gain * s) ** 2 for s in reference)
    return decibels(signal, sum((e - gain * s) ** 2 for e, s in zip(estimate, reference, strict=True)))


def naive_si_snr(estimate, reference):
    return naive_si_sdr(estimate - estimate.mean(), reference - reference.mean())


def naive_snr(estimate, reference):
    errors = sum((s - e) ** 2 for e, s in zip(estimate, reference, strict=True))
    return decibels(sum(s * s for s in reference), errors)


def naive_framewise_sdr(estimates, references, window):
    """museval version 4 for unfiltered SDR, frame by frame on (S, C, N)."""
    length = references.shape[-1]
    count = (length - window + window) // window if window < length else 1
    scores = np.full((len(references), count), np.nan)
    for frame in range(count):
        span = slice(frame * window, frame * window + window)
        truth, guess = references[..., span], estimates[..., span]
        if any((np.sum(source, axis=0) == 0).all() for source in (*truth, *guess)):
            continue
        for source in range(len(references)):
            with np.errstate(divide="ignore"):
                energy = np.sum((guess[source] - truth[source]) ** 2)
                scores[source, frame] = 10 * np.log10(np.sum(truth[source] ** 2) / energy)
    return scores


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("metric", "naive"), [(si_sdr, naive_si_sdr), (si_snr, naive_si_snr), (snr, naive_snr)]
)
def test_metric_equals_a_naive_loop_on_every_signal_of_a_batch(metric, naive, dtype):
    estimate, reference = pair(2, 3, 200, dtype=dtype)
    estimate = estimate + 0.3
    scores = metric(estimate, reference)
    assert scores.dtype == torch.float64
    assert scores.shape == (2, 3)
    for row in range(2):
        for column in range(3):
            expected = naive(estimate[row, column].double().numpy(), reference[row, column].double().numpy())
            assert scores[row, column].item() == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sdr_equals_a_naive_loop_and_pools_both_channels(dtype):
    estimate, reference = pair(3, 2, 100, dtype=dtype)
    estimate[:, 1] *= 4
    scores = sdr(estimate, reference)
    assert scores.dtype == torch.float64
    for item in range(3):
        guess, truth = estimate[item].double().numpy().ravel(), reference[item].double().numpy().ravel()
        signal, distortion = (truth**2).sum() + 1e-7, ((truth - guess) ** 2).sum() + 1e-7
        assert scores[item].item() == pytest.approx(decibels(signal, distortion), abs=1e-9)


def test_sdr_adds_the_challenge_constant_to_both_energies():
    reference = torch.full((1, 1), 1e-3)
    assert sdr(reference, reference).item() == pytest.approx(10 * np.log10((1e-6 + 1e-7) / 1e-7), abs=1e-4)


@pytest.mark.parametrize(
    ("metric", "outside"),
    [
        (si_sdr, torchmetrics_audio.scale_invariant_signal_distortion_ratio),
        (si_snr, torchmetrics_audio.scale_invariant_signal_noise_ratio),
        (snr, torchmetrics_audio.signal_noise_ratio),
    ],
)
def test_metric_equals_torchmetrics_called_with_estimate_then_reference(metric, outside):
    estimate, reference = pair(4, 500, seed=7)
    torch.testing.assert_close(metric(estimate, reference), outside(estimate, reference))


@pytest.mark.filterwarnings("ignore:mir_eval.separation:FutureWarning")
def test_framewise_sdr_equals_mir_eval_with_its_filters_on_the_whole_signal():
    estimates, references = pair(2, 1, 1500, seed=3)
    expected, *_ = mir_eval.separation.bss_eval_images(
        references.transpose(1, 2).numpy(), estimates.transpose(1, 2).numpy(), compute_permutation=False
    )
    assert framewise_sdr(estimates, references, 1500)[:, 0].numpy() == pytest.approx(expected)


@given(
    seed=SEEDS,
    window=st.integers(1, 12),
    length=st.integers(1, 30),
    channels=st.integers(1, 2),
    data=st.data(),
)
@settings(deadline=None, max_examples=60)
def test_framewise_sdr_equals_museval_with_silent_and_antiphase_stretches(
    seed, window, length, channels, data
):
    estimates, references = pair(2, channels, length, seed=seed)
    for audio in (estimates, references):
        start, stop = sorted((data.draw(st.integers(0, length)), data.draw(st.integers(0, length))))
        audio[data.draw(st.integers(0, 1)), :, start:stop] = 0
        if channels == 2 and data.draw(st.booleans()):
            audio[0, 1] = -audio[0, 0]
    scores = framewise_sdr(estimates, references, window).numpy()
    np.testing.assert_allclose(
        scores, naive_framewise_sdr(estimates.numpy(), references.numpy(), window), atol=1e-9
    )


def test_framewise_sdr_leaves_a_frame_out_for_all_sources_when_one_is_silent_in_it():
    estimates, references = pair(3, 2, 40)
    references[1, :, 10:20] = 0
    estimates[2, 0, 30:] = -estimates[2, 1, 30:]
    missing = framewise_sdr(estimates, references, 10).isnan()
    assert missing.tolist() == [[False, True, False, True]] * 3


def test_framewise_sdr_is_infinite_where_the_estimate_is_exact():
    estimates, references = pair(2, 1, 20)
    estimates[0, :, :10] = references[0, :, :10]
    scores = framewise_sdr(estimates, references, 10)
    assert scores[0, 0] == torch.inf
    assert scores.isfinite().sum() == 3


def test_framewise_sdr_ignores_an_incomplete_tail():
    estimates, references = pair(2, 2, 39)
    scores = framewise_sdr(estimates, references, 10)
    assert scores.shape == (2, 3)
    estimates[..., 30:] = 99.0
    assert torch.equal(framewise_sdr(estimates, references, 10), scores)


def test_framewise_sdr_scores_a_batch_like_its_entries():
    estimates, references = pair(4, 2, 2, 30)
    one_by_one = [framewise_sdr(*both, 8) for both in zip(estimates, references, strict=True)]
    torch.testing.assert_close(framewise_sdr(estimates, references, 8), torch.stack(one_by_one))


@given(seed=SEEDS, gain=LEVELS, level=LEVELS, sign=st.sampled_from([-1, 1]))
@settings(deadline=None, max_examples=40)
def test_scale_invariant_metrics_ignore_the_level_of_either_signal(seed, gain, level, sign):
    estimate, reference = pair(50, seed=seed)
    for metric in (si_sdr, si_snr):
        expected = metric(estimate, reference)
        torch.testing.assert_close(
            metric(sign * gain * estimate, level * reference), expected, atol=1e-6, rtol=0
        )


@given(seed=SEEDS, level=LEVELS)
@settings(deadline=None, max_examples=40)
def test_snr_ignores_a_common_level_only(seed, level):
    estimate, reference = pair(50, seed=seed)
    expected = snr(estimate, reference)
    torch.testing.assert_close(snr(level * estimate, level * reference), expected, atol=1e-6, rtol=0)
    assert snr(2 * estimate, reference) < expected


@given(seed=SEEDS, offset=st.floats(-100, 100))
@settings(deadline=None, max_examples=40)
def test_si_snr_ignores_an_offset_and_si_sdr_does_not(seed, offset):
    estimate, reference = pair(50, seed=seed)
    torch.testing.assert_close(
        si_snr(estimate + offset, reference - offset), si_snr(estimate, reference), atol=1e-6, rtol=0
    )
    assert not torch.allclose(si_sdr(estimate + 5, reference - 5), si_sdr(estimate, reference))


@given(seed=SEEDS, wanted=st.floats(-60, 100), level=LEVELS)
@settings(deadline=None, max_examples=60)
def test_metrics_find_the_ratio_that_a_mixture_was_built_with(seed, wanted, level):
    reference, error = noise(300, seed=seed), noise(300, seed=seed + 1)
    reference = reference - reference.mean()
    error = error - error.mean()
    error = error - reference * (error @ reference) / (reference @ reference)
    error = error * (reference.norm() / error.norm()) * 10 ** (-wanted / 20)
    estimate = reference + error
    for metric in PER_SIGNAL:
        assert metric(level * estimate, level * reference).item() == pytest.approx(wanted, abs=1e-3)
    framed = framewise_sdr(estimate.reshape(1, 1, -1), reference.reshape(1, 1, -1), 300)
    assert framed.item() == pytest.approx(wanted, abs=1e-6)


@given(order=st.permutations(range(5)), seed=SEEDS)
@settings(deadline=None, max_examples=20)
def test_permuting_a_batch_permutes_its_scores(order, seed):
    estimate, reference = pair(5, 2, 40, seed=seed)
    for metric in (*PER_SIGNAL, sdr):
        shuffled = metric(estimate[order], reference[order])
        torch.testing.assert_close(shuffled, metric(estimate, reference)[order])


@given(level=st.floats(1e-9, 1.0), samples=st.integers(1, 40), silent_estimate=st.booleans())
@settings(deadline=None, max_examples=40)
def test_silent_reference_scores_nan_and_leaves_the_rest_of_the_batch_alone(level, samples, silent_estimate):
    estimate, reference = pair(2, 2, samples + 2)
    expected = {metric: metric(estimate[1], reference[1]) for metric in (*PER_SIGNAL, sdr)}
    reference[0] = 0
    estimate[0] *= 0 if silent_estimate else level
    for metric, score in expected.items():
        scores = metric(estimate, reference)
        assert scores[0].isnan().all()
        torch.testing.assert_close(scores[1], score)


def test_silent_estimate_has_no_scale_but_a_noise_of_its_own_size():
    _, reference = pair(2, 50)
    silence = torch.zeros_like(reference)
    assert si_sdr(silence, reference).isnan().all()
    assert si_snr(silence, reference).isnan().all()
    torch.testing.assert_close(snr(silence, reference), torch.zeros(2, dtype=torch.float64))
    assert sdr(silence, reference).item() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("value", [0.1, 1e-7, 3.7e5])
def test_si_snr_of_a_constant_is_nan_whatever_rounding_leaves_of_it(value):
    estimate, _ = pair(1001)
    constant = torch.full((1001,), value, dtype=torch.float64)
    assert si_snr(estimate, constant).isnan()
    assert si_snr(constant, estimate).isnan()


@given(seed=SEEDS, level=LEVELS, samples=st.integers(2, 60))
@settings(deadline=None, max_examples=30)
def test_perfect_estimate_scores_very_high_and_is_never_nan(seed, level, samples):
    reference = level * noise(1, samples, seed=seed)
    for metric in PER_SIGNAL:
        assert metric(reference, reference).item() > 140
    assert sdr(reference, reference).item() >= 0
    assert framewise_sdr(reference[None], reference[None], samples).item() == torch.inf


def test_pooled_channels_share_one_scale():
    reference = noise(2, 300)
    estimate = reference * torch.tensor([[1.0], [0.25]])
    assert (si_sdr(estimate, reference) > 140).all()
    pooled = si_sdr(pool_channels(estimate), pool_channels(reference))
    assert pooled.item() == pytest.approx(naive_si_sdr(estimate.numpy().ravel(), reference.numpy().ravel()))
    assert pooled < 20


def test_metrics_leave_their_inputs_as_they_were():
    estimate, reference = pair(2, 2, 30)
    reference[0] = 0
    copies = estimate.clone(), reference.clone()
    for metric in (*PER_SIGNAL, sdr):
        metric(estimate, reference)
    framewise_sdr(estimate[None], reference[None], 7)
    assert torch.equal(estimate, copies[0])
    assert torch.equal(reference, copies[1])


@pytest.mark.parametrize("metric", [*PER_SIGNAL, sdr, lambda *both: framewise_sdr(*both, 4)])
def test_shapes_that_differ_are_refused_by_name(metric):
    with pytest.raises(UsageError, match=r"\(1, 2, 8\) and \(1, 2, 9\)"):
        metric(torch.ones(1, 2, 8), torch.ones(1, 2, 9))
    # What broadcasting would let through is refused as well.
    with pytest.raises(UsageError, match=r"\(1, 1, 8\) and \(1, 2, 8\)"):
        metric(torch.ones(1, 1, 8), torch.ones(1, 2, 8))
    with pytest.raises(UsageError, match="not empty"):
        metric(torch.ones(1, 2, 0), torch.ones(1, 2, 0))


def test_missing_dimensions_and_windows_are_refused():
    with pytest.raises(UsageError, match="C, N"):
        sdr(torch.ones(8), torch.ones(8))
    with pytest.raises(UsageError, match="S, C, N"):
        framewise_sdr(torch.ones(2, 8), torch.ones(2, 8), 4)
    with pytest.raises(UsageError, match="pool channels"):
        pool_channels(torch.ones(8))
    with pytest.raises(UsageError, match="window 0"):
        framewise_sdr(torch.ones(1, 1, 8), torch.ones(1, 1, 8), 0)


def test_importing_the_metrics_does_not_load_torchmetrics():
    code = "import sys, auralflow.metrics; sys.exit('torchmetrics' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.gpu
def test_metrics_on_a_gpu_equal_those_on_the_cpu():
    estimate, reference = pair(2, 2, 400, dtype=torch.float32)
    for metric in (*PER_SIGNAL, sdr, lambda *both: framewise_sdr(*both, 100)):
        score = metric(estimate.cuda(), reference.cuda())
        assert score.is_cuda
        torch.testing.assert_close(score.cpu(), metric(estimate, reference))
