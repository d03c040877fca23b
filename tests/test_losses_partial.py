"""Losses of chunks that know some of their targets, and of the others the sum."""

import pytest
import torch

from auralflow.errors import SettingsError
from auralflow.losses import (
    AudioCriterion,
    MagnitudeCriterion,
    MixtureCriterion,
    SiSDRLoss,
    create_criterion,
    join_unknown,
)
from auralflow.nets.door import Estimate
from auralflow.trainer.objective import compute_loss
from auralflow.transforms import STFT

NAMES = ("component", "kl_div", "l1", "l2", "mask", "si_sdr", "rmse", "complex_l1", "snr")
KNOWN = torch.tensor([[True, False, False, False], [True, True, True, True], [False, True, False, True]])


def positive(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(shape[-1]))


class Case:
    """Tensors of a batch of three chunks with four targets, as a criterion needs them.

    For magnitudes each bin belongs to one source: only then do magnitudes add up as audio does, and only then
    is there a mask that separates without an error.
    """

    def __init__(self, criterion):
        self.criterion = criterion
        if isinstance(criterion, AudioCriterion):
            self.truth = positive(3, 4, 1, 50) - 0.5
        elif isinstance(criterion, MagnitudeCriterion):
            owner = positive(3, 1, 1, 5, 6).mul(4).long() == torch.arange(4).reshape(1, 4, 1, 1, 1)
            self.truth = owner * (0.5 + positive(3, 4, 1, 5, 6))
        else:
            self.truth = torch.complex(positive(3, 4, 1, 5, 6), positive(3, 4, 1, 5, 7)[..., :6] - 0.5)
        self.mixture = self.truth.sum(1)
        self.targets = join_unknown(self.truth, KNOWN)
        # In the criterion's own terms: masks for magnitudes.
        is_mask = isinstance(criterion, MagnitudeCriterion)
        self.perfect = self.truth / self.mixture.unsqueeze(1) if is_mask else self.truth

    def loss(self, estimate, targets=None, known=KNOWN):
        targets = self.targets if targets is None else targets
        if isinstance(self.criterion, MagnitudeCriterion):
            return self.criterion(estimate, self.mixture, targets, known=known)
        extra = (self.mixture,) if isinstance(self.criterion, MixtureCriterion) else ()
        return self.criterion(estimate, targets, *extra, known=known)

    def moved(self, estimate):
        """Something of one unknown estimate given to another, differently in every place."""
        moved = estimate.clone()
        part = 0.3 * estimate[0, 1].roll(1, -1)
        moved[0, 1] -= part
        moved[0, 3] += part
        moved[2, 0] += 0.5
        moved[2, 2] -= 0.5
        return moved


@pytest.mark.parametrize("name", NAMES)
def test_the_loss_is_least_exactly_at_the_truth(name):
    case = Case(create_criterion(name))
    least = case.loss(case.perfect)
    # Ratios have a floor in dB that depends on levels; all others are zero.
    if name in ("si_sdr", "snr"):
        assert least < -20
    else:
        assert least.item() == pytest.approx(0, abs=2e-6)
    torch.manual_seed(1)
    for row in range(4):
        for item in range(3):
            wrong = case.perfect.clone()
            wrong[item, row] = wrong[item, row] + 0.2 * torch.rand_like(case.perfect.real[item, row])
            assert case.loss(wrong) > least + 1e-4, (item, row)


@pytest.mark.parametrize("name", NAMES)
def test_the_split_of_an_unknown_sum_changes_nothing(name):
    case = Case(create_criterion(name))
    estimate = 0.7 * case.perfect + 0.1
    torch.testing.assert_close(case.loss(case.moved(estimate)), case.loss(estimate))
    # And a wrong split of the truth is as good as the truth.
    moved = case.loss(case.moved(case.perfect))
    torch.testing.assert_close(moved, case.loss(case.perfect), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_no_gradient_leads_towards_a_split(name):
    case = Case(create_criterion(name))
    estimate = (0.7 * case.perfect + 0.1).detach().requires_grad_()
    case.loss(estimate).backward()
    for item, rows in ((0, (1, 2, 3)), (2, (0, 2))):
        first, *others = (estimate.grad[item, row] for row in rows)
        assert first.abs().max() > 0
        for other in others:
            torch.testing.assert_close(other, first)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_complete_chunks_are_scored_as_ever(name, reduction):
    case = Case(create_criterion(name, reduction=reduction))
    estimate = 0.7 * case.perfect + 0.1
    everything = torch.ones(3, 4, dtype=torch.bool)
    assert torch.equal(case.loss(estimate, case.truth, everything), case.loss(estimate, case.truth, None))


@pytest.mark.parametrize("name", ["l1", "l2", "complex_l1", "si_sdr", "rmse"])
def test_the_sum_weighs_as_much_as_the_targets_in_it(name):
    """Each item alone: known rows count once, the sum as often as it has targets."""
    criterion = create_criterion(name, reduction="sum")
    case = Case(criterion)
    estimate = 0.7 * case.perfect + 0.1
    expected = 0.0
    for item, flags in enumerate(KNOWN):
        mixture, rest = case.mixture[item, None], estimate[item, ~flags].sum(0)
        for row in range(4):
            one = estimate[item, row] if flags[row] else rest
            pair = one[None, None], case.targets[item, row][None, None]
            is_mask = isinstance(criterion, MagnitudeCriterion)
            expected += criterion(pair[0], mixture, pair[1]) if is_mask else criterion(*pair)
    torch.testing.assert_close(case.loss(estimate), expected)


def test_the_louder_sum_does_not_hide_a_known_target_from_snr():
    """The ratio of a known target has only its own energies: louder unknown ones leave its gradient."""
    case = Case(create_criterion("snr"))
    known = torch.tensor([[True, False, False, False], [True, True, True, True], [True, False, False, False]])
    gradients = []
    for factor in (1, 10):
        targets = join_unknown(case.truth, known)
        estimate = 0.5 * case.truth
        quiet = known[..., None, None, None]
        targets, estimate = (torch.where(quiet, tensor, factor * tensor) for tensor in (targets, estimate))
        estimate = estimate.detach().requires_grad_()
        case.loss(estimate, targets, known).backward()
        gradients.append(estimate.grad[1, 1])
    torch.testing.assert_close(gradients[0], gradients[1])


def test_a_free_order_of_partly_known_targets_is_refused():
    case = Case(SiSDRLoss(best_permutation=True))
    with pytest.raises(SettingsError, match="`best_perm`"):
        case.loss(case.truth)
    assert torch.isfinite(case.loss(case.truth, case.truth, torch.ones(3, 4, dtype=torch.bool)))


@pytest.mark.parametrize("name", ["l1", "complex_l1", "snr", "si_sdr"])
def test_a_net_without_masks_is_scored_by_the_sum_of_its_spectrograms(name):
    """Opposite phases cancel in the sum of unknown estimates; their magnitudes alone would not."""
    transform = STFT(256, 256, 128)
    truth = torch.randn(1, 3, 1, 1024, generator=torch.Generator().manual_seed(0))
    known = torch.tensor([[True, False, False]])
    targets = join_unknown(truth, known)
    nonsense = torch.randn(1, 1, 1024, generator=torch.Generator().manual_seed(1))
    split = torch.stack([truth[:, 0], truth[:, 1] + nonsense, truth[:, 2] - nonsense], dim=1)
    losses = [
        compute_loss(
            create_criterion(name), Estimate(truth.sum(1), transform, audio=audio), targets, known=known
        )
        for audio in (truth, split)
    ]
    torch.testing.assert_close(losses[1], losses[0], rtol=1e-3, atol=1e-4)
