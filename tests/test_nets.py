"""The three nets: size, shapes, range, gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from auralflow.config import SOURCES
from auralflow.models.folder import count_parameters
from auralflow.nets.families import settings_of_net
from auralflow.nets.unet import NETS
from auralflow.nets.unet.blocks import BinAffine, Mask, kl_divergence
from auralflow.nets.unet.nets import create_net

REFERENCE = {"num_fft": 2048, "window_size": 2048, "hop_length": 1024}
MILLIONS = {"SpectrogramNetSimple": 7.9, "SpectrogramNetLSTM": 32.3, "SpectrogramNetVAE": 40.0}
ACTIVATIONS = ["sigmoid", "relu", "leaky_relu", "hardtanh", "tanh", "softmax", "prelu", "selu", "elu"]


def tiny(net, **values):
    defaults = {
        "num_hidden_channels": 2,
        "num_fft": 128,
        "window_size": 128,
        "hop_length": 64,
        "sample_rate": 1000,
        "sample_length": 2.5,
        "targets": ("vocals", "drums"),
    }
    if net != "SpectrogramNetSimple":
        defaults |= {"hidden_size": 8, "recurrent_depth": 2}
    return settings_of_net(net)(net=net, **(defaults | values))


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("layout", [{"targets": ("vocals",)}, {"targets": SOURCES, "num_channels": 2}])
def test_number_of_parameters_is_within_two_per_cent(net, layout):
    config = settings_of_net(net)(net=net, normalize_input=True, normalize_output=True, **REFERENCE, **layout)
    assert count_parameters(config) / 1e6 == pytest.approx(MILLIONS[net], rel=0.02)


@settings(deadline=None, max_examples=25)
@given(
    net=st.sampled_from(NETS),
    channels=st.integers(1, 3),
    targets=st.integers(2, 4),
    num_fft=st.integers(32, 80).map(lambda half: 2 * half),
    sample_length=st.floats(0.5, 4),
    axis=st.sampled_from([0, 1]),
    activation=st.sampled_from(ACTIVATIONS),
    normalize=st.booleans(),
)
def test_masks_have_the_right_shape_and_range(
    net, channels, targets, num_fft, sample_length, axis, activation, normalize
):
    recurrent = {} if net == "SpectrogramNetSimple" else {"input_axis": axis}
    config = tiny(
        net,
        num_channels=channels,
        targets=SOURCES[:targets],
        num_fft=num_fft,
        window_size=64,
        hop_length=32,
        sample_length=sample_length,
        mask_act_fn=activation,
        normalize_input=normalize,
        normalize_output=normalize,
        **recurrent,
    )
    magnitudes = 10 * torch.rand(2, channels, config.num_bins, config.num_frames)
    estimate = create_net(config)(magnitudes)
    assert estimate.mask.shape == (2, targets, channels, config.num_bins, config.num_frames)
    assert estimate.mask.min() >= 0
    assert estimate.mask.max() <= 1
    assert (estimate.penalty is not None) == (net == "SpectrogramNetVAE")
    assert estimate.mask.isfinite().all()


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("activation", ["sigmoid", "softmax", "prelu"])
def test_gradients_reach_every_parameter(net, activation):
    torch.manual_seed(0)
    config = tiny(net, normalize_input=True, normalize_output=True, mask_act_fn=activation, dropout_p=0.1)
    model = create_net(config)
    estimate = model(torch.rand(4, 1, config.num_bins, config.num_frames))
    loss = (estimate.mask * torch.rand_like(estimate.mask)).sum()
    if estimate.penalty is not None:
        loss = loss + estimate.penalty.mean()
    loss.backward()
    without = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []


@pytest.mark.parametrize("net", NETS)
def test_silence_and_loud_input_stay_finite(net):
    config = tiny(net)
    model = create_net(config)
    for level in (0.0, 1e-8, 1e4):
        magnitudes = (level * torch.rand(2, 1, config.num_bins, config.num_frames)).requires_grad_()
        mask = model(magnitudes).mask
        mask.sum().backward()
        assert mask.isfinite().all()
        assert magnitudes.grad.isfinite().all()


def test_variational_net_samples_in_training_and_is_deterministic_in_evaluation():
    config = tiny("SpectrogramNetVAE", dropout_p=0.0)
    model = create_net(config)
    magnitudes = torch.rand(1, 1, config.num_bins, config.num_frames)
    assert not torch.equal(model(magnitudes).mask, model(magnitudes).mask)
    model.eval()
    assert torch.equal(model(magnitudes).mask, model(magnitudes).mask)


@pytest.mark.parametrize(
    ("net", "values"),
    [("SpectrogramNetSimple", {}), ("SpectrogramNetLSTM", {"input_axis": 0})],
)
@pytest.mark.parametrize("num_frames", [1, 5, 33, 100])
def test_nets_over_time_take_any_number_of_frames(net, values, num_frames):
    config = tiny(net, **values)
    mask = create_net(config).eval()(torch.rand(1, 1, config.num_bins, num_frames)).mask
    assert mask.shape[-1] == num_frames


def test_softmax_masks_sum_to_one_over_the_targets():
    config = tiny("SpectrogramNetSimple", mask_act_fn="softmax")
    mask = create_net(config)(torch.rand(2, 1, config.num_bins, 40)).mask
    assert torch.allclose(mask.sum(dim=1), torch.ones_like(mask[:, 0]), atol=1e-6)


def test_leak_factor_is_the_slope_of_leaky_relu_and_of_nothing_else():
    logits = torch.tensor([-1.0, -0.5, 0.5]).reshape(1, 3, 1, 1, 1)
    # A negative mask is clamped to zero, so the slope shows in the gradient's way through the activation.
    assert Mask("leaky_relu", 0.25).activation(logits).flatten().tolist() == [-0.25, -0.125, 0.5]
    for name in ACTIVATIONS:
        if name != "leaky_relu":
            assert torch.equal(Mask(name, 0.25)(logits), Mask(name, 0.0)(logits))


def test_bin_affine_centres_and_scales_each_bin():
    layer = BinAffine(2)
    layer.centre.data = torch.tensor([[1.0], [2.0]])
    layer.scale.data = torch.tensor([[10.0], [0.5]])
    assert layer(torch.tensor([[3.0], [3.0]])).flatten().tolist() == [20.0, 0.5]


def test_level_of_the_input_matters_little_once_the_statistics_are_known():
    """A mask is a ratio: at evaluation a net must not be thrown off by a quiet song."""
    torch.manual_seed(0)
    config = tiny("SpectrogramNetSimple", dropout_p=0.0)
    model = create_net(config)
    magnitudes = torch.rand(8, 1, config.num_bins, 64)
    for _ in range(20):
        model(magnitudes * torch.rand(8, 1, 1, 1))
    model.eval()
    quiet, loud = model(0.25 * magnitudes).mask, model(magnitudes).mask
    assert (quiet - loud).abs().mean() < 0.2


@pytest.mark.parametrize("net", NETS)
def test_same_seed_makes_the_same_net(net):
    config = tiny(net)
    states = []
    for _ in range(2):
        torch.manual_seed(7)
        states.append(create_net(config).state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_kl_divergence_equals_that_of_torch_distributions():
    torch.manual_seed(0)
    mu, log_var = torch.randn(2, 3, 7)
    posterior = torch.distributions.Normal(mu, (0.5 * log_var).exp())
    prior = torch.distributions.Normal(torch.zeros_like(mu), torch.ones_like(mu))
    expected = torch.distributions.kl_divergence(posterior, prior)
    torch.testing.assert_close(kl_divergence(mu, log_var), expected)


def test_kl_divergence_is_zero_for_the_prior_only():
    zero = torch.zeros(2, 5)
    assert (kl_divergence(zero, zero) == 0).all()
    for mu, log_var in ((zero + 0.1, zero), (zero, zero + 0.1), (zero, zero - 0.1)):
        assert (kl_divergence(mu, log_var) > 0).all()


@given(value=st.floats(-1000, 1000, width=32))
@settings(deadline=None, max_examples=40)
def test_kl_divergence_of_any_log_variance_is_finite_and_pulls_it_back(value):
    mu, log_var = torch.zeros(3, requires_grad=True), torch.full((3,), value, requires_grad=True)
    divergence = kl_divergence(mu, log_var).mean()
    divergence.backward()
    assert divergence.isfinite()
    assert log_var.grad.isfinite().all()
    if abs(value) > 1e-3:
        assert (log_var.grad * value > 0).all()
