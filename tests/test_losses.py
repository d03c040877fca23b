"""The losses against naive loops, and the laws that make them safe to train with."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio

from auralflow import losses
from auralflow.errors import SettingsError, UsageError

SEEDS = st.integers(0, 2**16)
SIZES = st.tuples(*[st.integers(1, 3)] * 5)
MAGNITUDE_LOSSES = {
    "l1": losses.l1_loss,
    "l2": losses.l2_loss,
    "rmse": losses.rmse_loss,
    "mask": losses.mask_loss,
    "component": lambda *tensors, **options: losses.component_loss(*tensors, 0.3, 0.5, 7.0, **options),
}
NAMES = ["component", "kl_div", "l1", "l2", "mask", "si_sdr", "rmse", "complex_l1", "snr"]


def random(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def magnitudes(sizes=(2, 3, 2, 4, 5), seed=0):
    batch, _, *rest = sizes
    mixture = 2 * random(batch, *rest, seed=seed + 1)
    return random(*sizes, seed=seed), mixture, random(*sizes, seed=seed + 2)


def audio(*shape, seed=0, level=0.1):
    generator = torch.Generator().manual_seed(seed)
    return level * torch.randn(*shape, generator=generator, dtype=torch.float64)


def naive_items(name, mask, mixture, target):
    """Sum over each item [B, S] and how many numbers it was taken over, cell by cell."""
    for batch, source in np.ndindex(*target.shape[:2]):
        m, x, y = mask[batch, source].ravel(), mixture[batch].ravel(), target[batch, source].ravel()
        cells = list(zip(m, x, y, strict=True))
        if name == "l1":
            yield sum(abs(m * x - y) for m, x, y in cells), len(cells)
        elif name == "l2":
            yield sum((m * x - y) ** 2 for m, x, y in cells), len(cells)
        elif name == "rmse":
            yield math.sqrt(sum((m * x - y) ** 2 for m, x, y in cells) / len(cells)), 1
        elif name == "mask":
            yield sum(abs(m - min(1.0, y / x if x else float(y > 0))) for m, x, y in cells), len(cells)
        else:
            norm = math.sqrt(sum((x - y) ** 2 for _, x, y in cells))
            filtered_norm = math.sqrt(sum((m * (x - y)) ** 2 for m, x, y in cells))
            kept = sum((m * y - y) ** 2 for m, _, y in cells)
            power = sum((m * (x - y)) ** 2 for m, x, y in cells)
            shape = sum((m * (x - y) / filtered_norm - (x - y) / norm) ** 2 for m, x, y in cells)
            yield 0.3 * kept + 0.5 * power + 7.0 * shape, len(cells)


def naive_si_sdr(estimate, target):
    gain = sum(e * s for e, s in zip(estimate, target, strict=True)) / sum(s * s for s in target)
    signal = sum((gain * s) ** 2 for s in target)
    distortion = sum((e - gain * s) ** 2 for e, s in zip(estimate, target, strict=True))
    return 10 * math.log10(signal / distortion)


def assert_trains(loss, *leaves):
    assert loss.shape == ()
    assert loss.isfinite()
    loss.backward()
    for leaf in leaves:
        assert leaf.grad.isfinite().all()


@pytest.mark.parametrize("name", MAGNITUDE_LOSSES)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_magnitude_loss_equals_a_naive_loop(name, reduction):
    tensors = magnitudes()
    sums, counts = zip(*naive_items(name, *(tensor.numpy() for tensor in tensors)), strict=True)
    expected = sum(sums) / (sum(counts) if reduction == "mean" else 1)
    assert MAGNITUDE_LOSSES[name](*tensors, reduction=reduction).item() == pytest.approx(expected, rel=1e-6)


def test_component_loss_has_the_documented_default_weights():
    mask, mixture, target = magnitudes()
    residual = mixture.unsqueeze(1) - target
    kept, power = ((mask * target - target) ** 2).mean(), ((mask * residual) ** 2).mean()
    torch.testing.assert_close(losses.component_loss(mask, mixture, target), 0.2 * kept + 0.8 * power)


def test_shape_term_of_component_loss_ignores_levels_and_vanishes_for_a_flat_mask():
    mask, mixture, target = magnitudes()

    def shape(mask, level=1.0):
        return losses.component_loss(mask, level * mixture, level * target, alpha=0, beta=0, gamma=1)

    assert shape(0.3 * torch.ones_like(mask)).item() == pytest.approx(0, abs=1e-12)
    torch.testing.assert_close(shape(mask, 50.0), shape(mask), rtol=1e-6, atol=0)
    torch.testing.assert_close(shape(0.2 * mask), shape(mask), rtol=1e-5, atol=0)


def test_gradient_of_the_shape_term_at_a_zero_mask_does_not_grow_with_the_level():
    mask, mixture, target = magnitudes()
    gradients = []
    for level in (1.0, 1e3):
        zero = torch.zeros_like(mask, requires_grad=True)
        losses.component_loss(zero, level * mixture, level * target, alpha=0, beta=0, gamma=1).backward()
        gradients.append(zero.grad)
    assert gradients[0].abs().max() > 0
    torch.testing.assert_close(*gradients, rtol=1e-2, atol=0)


def test_shape_term_of_an_item_does_not_depend_on_its_neighbours():
    mask, mixture, target = magnitudes((2, 1, 1, 3, 4))
    whole = losses.component_loss(mask, mixture, target, 0, 0, 1, "sum")
    parts = [
        losses.component_loss(mask[i, None], mixture[i, None], target[i, None], 0, 0, 1, "sum")
        for i in (0, 1)
    ]
    torch.testing.assert_close(whole, sum(parts))


def test_mask_loss_defines_the_ratio_where_mixture_or_target_is_zero():
    mixture = torch.tensor([0.0, 0.0, 2.0, 2.0, 2.0]).reshape(1, 1, 1, 5)
    target = torch.tensor([0.0, 3.0, 0.0, 1.0, 9.0]).reshape(1, 1, 1, 1, 5)
    ideal = torch.tensor([0.0, 1.0, 0.0, 0.5, 1.0]).reshape(1, 1, 1, 1, 5)
    assert losses.mask_loss(ideal, mixture, target) == 0
    assert losses.mask_loss(ideal + 0.25, mixture, target) == 0.25


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_complex_l1_loss_equals_a_naive_loop(reduction):
    estimate = torch.complex(audio(2, 3, 1, 4, 5), audio(2, 3, 1, 4, 5, seed=1))
    target = torch.complex(audio(2, 3, 1, 4, 5, seed=2), audio(2, 3, 1, 4, 5, seed=3))
    cells = (estimate - target).flatten().tolist()
    expected = sum(abs(cell.real) + abs(cell.imag) for cell in cells)
    expected /= 2 * len(cells) if reduction == "mean" else 1
    assert losses.complex_l1_loss(estimate, target, reduction).item() == pytest.approx(expected)


def spectrogram(*sizes, seed=0, level=1.0):
    return torch.complex(audio(*sizes, seed=seed, level=level), audio(*sizes, seed=seed + 1, level=level))


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_snr_loss_equals_a_naive_loop(reduction):
    estimate, target = spectrogram(2, 3, 2, 4, 5), spectrogram(2, 3, 2, 4, 5, seed=2, level=0.3)
    mixture = spectrogram(2, 2, 4, 5, seed=4, level=2.0)
    ratios = []
    floor = 0.001 * sum(abs(cell) ** 2 for cell in mixture.flatten().tolist())
    for source in range(3):
        wrong = (estimate - target)[:, source].flatten().tolist()
        right = target[:, source].flatten().tolist()
        error = sum(abs(cell) ** 2 for cell in wrong) + floor
        ratios.append(10 * math.log10(error / (sum(abs(cell) ** 2 for cell in right) + floor)))
    expected = sum(ratios) / (len(ratios) if reduction == "mean" else 1)
    assert losses.snr_loss(estimate, target, mixture, reduction).item() == pytest.approx(expected)


@given(gain=st.floats(1e-3, 1e3))
def test_snr_loss_weighs_a_quiet_source_like_a_loud_one(gain):
    target = spectrogram(1, 1, 1, 4, 5)
    mixture = target[:, 0]
    cost = losses.snr_loss(0.7 * target, target, mixture)
    louder = losses.snr_loss(0.7 * gain * target, gain * target, gain * mixture)
    assert louder.item() == pytest.approx(cost.item(), abs=1e-6)
    assert cost.item() == pytest.approx(20 * math.log10(0.3), abs=0.05)


@pytest.mark.parametrize("mixture_level", [0.0, 1.0])
def test_snr_loss_of_a_silent_source_is_lowest_for_a_silent_estimate(mixture_level):
    silence = torch.zeros(1, 1, 1, 4, 5, dtype=torch.complex128)
    mixture = spectrogram(1, 1, 4, 5, level=mixture_level)
    costs = []
    for level in (0.0, 0.01, 0.1, 1.0):
        estimate = spectrogram(1, 1, 1, 4, 5, seed=7, level=level).requires_grad_()
        cost = losses.snr_loss(estimate, silence, mixture)
        assert_trains(cost, estimate)
        costs.append(cost.item())
    assert costs == sorted(set(costs))
    assert costs[0] == 0


def test_snr_loss_does_not_close_the_mask_of_a_source_that_is_silent_half_of_the_time():
    target = spectrogram(2, 1, 1, 4, 5)
    target[1] = 0
    mixture = target[:, 0] + spectrogram(2, 1, 4, 5, seed=5)
    costs = [losses.snr_loss(gain * mixture.unsqueeze(1), target, mixture).item() for gain in (0.0, 0.1, 0.2)]
    assert costs[0] == pytest.approx(0, abs=1e-9)
    assert costs[0] > costs[1] > costs[2]


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_si_sdr_loss_equals_a_naive_loop_with_channels_pooled(reduction):
    target = audio(2, 3, 2, 60)
    estimate = 2 * target + audio(2, 3, 2, 60, seed=1)
    estimate[:, :, 1] *= 3
    items = [
        naive_si_sdr(estimate[item].flatten().tolist(), target[item].flatten().tolist())
        for item in np.ndindex(2, 3)
    ]
    expected = -sum(items) / (6 if reduction == "mean" else 1)
    assert losses.si_sdr_loss(estimate, target, reduction=reduction).item() == pytest.approx(
        expected, abs=1e-3
    )


@given(seed=SEEDS, error=st.floats(0.01, 3.0), level=st.floats(0.01, 1.0))
@settings(deadline=None, max_examples=40)
def test_si_sdr_loss_is_minus_the_metric_of_torchmetrics_on_music_levels(seed, error, level):
    target = audio(1, 2, 1, 400, seed=seed, level=level)
    estimate = target + error * audio(1, 2, 1, 400, seed=seed + 1, level=level)
    expected = -scale_invariant_signal_distortion_ratio(estimate.flatten(2), target.flatten(2)).mean()
    # The silence floor, 1e-8, against a distortion that is 1e-8 here at the least possible level and error.
    tolerance = 10 * math.log10(1 + 2e-8 / (error * level) ** 2) + 1e-2
    assert losses.si_sdr_loss(estimate, target).item() == pytest.approx(expected.item(), abs=tolerance)


def test_si_sdr_loss_never_rewards_turning_a_poor_estimate_down():
    target = audio(1, 1, 1, 500)
    poor = audio(1, 1, 1, 500, seed=1) + 0.1 * target
    heard, silent = losses.si_sdr_loss(poor, target), losses.si_sdr_loss(0 * poor, target)
    assert 10 < heard < silent
    quieter = [losses.si_sdr_loss(gain * poor, target).item() for gain in (1e-3, 1e-4, 1e-5, 1e-6, 0)]
    assert quieter == sorted(quieter)


def test_si_sdr_loss_asks_for_silence_where_the_target_is_silent():
    silence = torch.zeros(1, 1, 2, 100, dtype=torch.float64)
    scores = [losses.si_sdr_loss(audio(1, 1, 2, 100, level=level), silence) for level in (0.1, 0.01, 1e-6)]
    assert scores == sorted(scores, reverse=True)
    assert losses.si_sdr_loss(silence, silence) == 0
    estimate = audio(1, 1, 2, 100).requires_grad_()
    losses.si_sdr_loss(estimate, silence).backward()
    assert (estimate.grad * estimate).sum() > 0


@given(seed=SEEDS, sources=st.integers(1, 4))
@settings(deadline=None, max_examples=30)
def test_best_permutation_equals_the_least_loss_over_all_orders(seed, sources):
    target = audio(2, sources, 2, 30, seed=seed)
    estimate = audio(2, sources, 2, 30, seed=seed + 1) + target.flip(1)
    expected = [
        min(
            losses.si_sdr_loss(estimate[item : item + 1, list(order)], target[item : item + 1]).item()
            for order in itertools.permutations(range(sources))
        )
        for item in range(2)
    ]
    found = losses.si_sdr_loss(estimate, target, best_permutation=True)
    assert found.item() == pytest.approx(sum(expected) / 2, abs=1e-9)


@given(order=st.permutations(range(4)), seed=SEEDS)
@settings(deadline=None, max_examples=20)
def test_best_permutation_undoes_any_order_and_leaves_the_right_one(order, seed):
    target = audio(1, 4, 1, 200, seed=seed)
    estimate = (target + audio(1, 4, 1, 200, seed=seed + 1, level=0.03)).requires_grad_()
    ordered = losses.si_sdr_loss(estimate, target)
    gradient = torch.autograd.grad(ordered, estimate)[0]
    for picked in (list(range(4)), order):
        best = losses.si_sdr_loss(estimate[:, picked], target, best_permutation=True)
        torch.testing.assert_close(best, ordered)
        torch.testing.assert_close(torch.autograd.grad(best, estimate)[0], gradient)


@pytest.mark.parametrize("name", MAGNITUDE_LOSSES)
@given(
    seed=SEEDS,
    sizes=SIZES,
    mask_level=st.sampled_from([0.0, 1e-30, 1.0]),
    mixture_level=st.sampled_from([0.0, 1e-20, 1.0, 1e3]),
    target_level=st.sampled_from([0.0, 1e-20, 1.0, 1e3]),
)
@settings(deadline=None, max_examples=30)
def test_magnitude_loss_and_its_gradient_are_finite(
    name, seed, sizes, mask_level, mixture_level, target_level
):
    mask, mixture, target = (tensor.float() for tensor in magnitudes(sizes, seed))
    mask = (mask_level * mask).requires_grad_()
    assert_trains(MAGNITUDE_LOSSES[name](mask, mixture_level * mixture, target_level * target), mask)


@given(
    seed=SEEDS,
    sizes=st.tuples(*[st.integers(1, 3)] * 4),
    estimate_level=st.sampled_from([0.0, 1e-30, 1e-5, 1.0, 100.0]),
    target_level=st.sampled_from([0.0, 1e-30, 1e-5, 1.0, 100.0]),
    same=st.booleans(),
    best=st.booleans(),
)
@settings(deadline=None, max_examples=80)
def test_si_sdr_loss_and_its_gradient_are_finite(seed, sizes, estimate_level, target_level, same, best):
    target = audio(*sizes, seed=seed, level=target_level).float()
    estimate = audio(*sizes, seed=seed if same else seed + 1, level=estimate_level).float().requires_grad_()
    assert_trains(losses.si_sdr_loss(estimate, target, best_permutation=best), estimate)


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_complex_l1_loss_has_a_finite_gradient_where_estimate_and_target_meet(level):
    target = level * torch.complex(audio(1, 1, 1, 2, 3), audio(1, 1, 1, 2, 3, seed=1))
    estimate = target.clone().requires_grad_()
    assert_trains(losses.complex_l1_loss(estimate, target), estimate)


@pytest.mark.parametrize("name", ["l1", "l2", "rmse", "mask"])
def test_perfect_mask_costs_nothing_and_any_other_costs_more(name):
    mask, mixture, _ = magnitudes()
    target = mask * mixture.unsqueeze(1)
    assert MAGNITUDE_LOSSES[name](mask, mixture, target).item() == pytest.approx(0, abs=2e-6)
    costs = [MAGNITUDE_LOSSES[name](mask + error, mixture, target).item() for error in (0.0, 0.1, 0.2, 0.4)]
    assert costs == sorted(set(costs))


def test_component_loss_of_a_mask_of_one_on_the_target_alone_is_zero():
    _, mixture, _ = magnitudes((2, 1, 2, 4, 5))
    target = mixture.unsqueeze(1)
    assert losses.component_loss(torch.ones_like(target), mixture, target, gamma=1.0) == 0
    assert losses.component_loss(0.9 * torch.ones_like(target), mixture, target) > 0


def test_perfect_spectrogram_and_audio_cost_nothing_or_very_little():
    target = audio(1, 2, 1, 100)
    masked = torch.complex(target, target)
    assert losses.complex_l1_loss(masked, masked) == 0
    assert losses.si_sdr_loss(target, target) < -50


@pytest.mark.parametrize("name", MAGNITUDE_LOSSES)
def test_sum_is_the_mean_times_the_number_of_terms(name):
    tensors = magnitudes()
    terms = 2 * 3 if name == "rmse" else tensors[0].numel()
    loss = MAGNITUDE_LOSSES[name]
    torch.testing.assert_close(loss(*tensors, reduction="sum"), terms * loss(*tensors, reduction="mean"))


@pytest.mark.parametrize("name", MAGNITUDE_LOSSES)
def test_mixture_may_carry_the_source_dimension_and_masks_may_share_one(name):
    mask, mixture, target = magnitudes()
    loss = MAGNITUDE_LOSSES[name]
    torch.testing.assert_close(loss(mask, mixture.unsqueeze(1), target), loss(mask, mixture, target))
    shared = mask[:, :1]
    torch.testing.assert_close(loss(shared, mixture, target), loss(shared.expand_as(target), mixture, target))


@pytest.mark.parametrize("name", MAGNITUDE_LOSSES)
def test_shapes_that_do_not_fit_are_refused_by_name(name):
    mask, mixture, target = magnitudes()
    with pytest.raises(UsageError, match=r"\(2, 3, 2, 4, 4\), \(2, 2, 4, 5\) and \(2, 3, 2, 4, 5\)"):
        MAGNITUDE_LOSSES[name](mask[..., :4], mixture, target)
    with pytest.raises(UsageError, match="do not fit"):
        MAGNITUDE_LOSSES[name](mask[0], mixture, target)


def test_audio_and_spectrograms_of_other_shapes_are_refused():
    with pytest.raises(UsageError, match=r"\(1, 1, 1, 8\) and \(1, 2, 1, 8\)"):
        losses.si_sdr_loss(torch.ones(1, 1, 1, 8), torch.ones(1, 2, 1, 8))
    with pytest.raises(UsageError, match="B, S, C, N"):
        losses.si_sdr_loss(torch.ones(1, 8), torch.ones(1, 8))
    with pytest.raises(UsageError, match="compare"):
        losses.complex_l1_loss(torch.ones(1, 8) + 0j, torch.ones(2, 8) + 0j)
    with pytest.raises(UsageError, match="do not fit"):
        losses.snr_loss(*[torch.ones(1, 2, 1, 3, 4) + 0j] * 2, torch.ones(1, 1, 3, 5) + 0j)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("name", NAMES)
def test_criterion_equals_its_function_and_says_which_tensors_it_needs(name, reduction):
    criterion = losses.create_criterion(
        name,
        reduction=reduction,
        construction_loss="l1",
        alpha=0.3,
        beta=0.5,
        gamma=7.0,
        best_permutation=True,
    )
    if name == "si_sdr":
        assert isinstance(criterion, losses.AudioCriterion)
        tensors = audio(2, 3, 1, 50), audio(2, 3, 1, 50, seed=1)
        expected = losses.si_sdr_loss(*tensors, best_permutation=True, reduction=reduction)
    elif name == "complex_l1":
        assert isinstance(criterion, losses.SpectrogramCriterion)
        tensors = audio(1, 1, 1, 3, 4) + 1j, audio(1, 1, 1, 3, 4, seed=1) + 0j
        expected = losses.complex_l1_loss(*tensors, reduction=reduction)
    elif name == "snr":
        assert isinstance(criterion, losses.MixtureCriterion)
        tensors = (
            spectrogram(1, 2, 1, 3, 4),
            spectrogram(1, 2, 1, 3, 4, seed=2),
            spectrogram(1, 1, 3, 4, seed=4),
        )
        expected = losses.snr_loss(*tensors, reduction=reduction)
    else:
        assert isinstance(criterion, losses.MagnitudeCriterion)
        tensors = magnitudes()
        expected = MAGNITUDE_LOSSES["l1" if name == "kl_div" else name](*tensors, reduction=reduction)
    assert torch.equal(criterion(*tensors), expected)
    assert criterion.requires_latent == (name == "kl_div")


def test_criterion_defaults_are_those_of_the_settings():
    assert losses.create_criterion("component") == losses.ComponentLoss(alpha=0.2, beta=0.8, gamma=0.0)
    assert losses.create_criterion("kl_div") == losses.ConstructionLoss(construction_loss="l2")
    assert losses.create_criterion("si-sdr") == losses.SiSDRLoss(best_permutation=False)
    assert losses.create_criterion("complex-l1") == losses.ComplexL1Loss(reduction="mean")
    assert losses.L1Loss() != losses.L2Loss()
    tensors = magnitudes()
    torch.testing.assert_close(losses.ConstructionLoss()(*tensors), losses.l2_loss(*tensors))


def test_unknown_names_and_choices_are_refused_with_the_known_ones():
    with pytest.raises(SettingsError, match="l3") as caught:
        losses.create_criterion("l3")
    assert all(name in str(caught.value) for name in NAMES)
    with pytest.raises(SettingsError, match="mean, sum"):
        losses.create_criterion("l1", reduction="none")
    with pytest.raises(SettingsError, match="l1, l2"):
        losses.create_criterion("kl_div", construction_loss="l3")
    with pytest.raises(SettingsError, match="mean, sum"):
        losses.l1_loss(*magnitudes(), reduction="median")
