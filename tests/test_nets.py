"""The three nets: size, shapes, range, gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from auralflow.config import SOURCES
from auralflow.errors import ModelError
from auralflow.models.folder import count_parameters
from auralflow.nets.families import create_model, parse_model_config, settings_of_net
from auralflow.nets.unet import NETS, SpectrogramNetConfig
from auralflow.nets.unet.blocks import BinAffine, Mask, kl_divergence
from auralflow.nets.unet.nets import create_net

REFERENCE = {"num_fft": 2048, "window_size": 2048, "hop_length": 1024}
MILLIONS = {"SpectrogramNetSimple": 7.9, "SpectrogramNetLSTM": 32.3, "SpectrogramNetVAE": 40.0}
MAKES = [1, 2]
"""Values of net_version."""
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
@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("layout", [{"targets": ("vocals",)}, {"targets": SOURCES, "num_channels": 2}])
def test_number_of_parameters_is_within_two_per_cent(net, make, layout):
    config = settings_of_net(net)(
        net=net, net_version=make, normalize_input=True, normalize_output=True, **REFERENCE, **layout
    )
    assert count_parameters(config) / 1e6 == pytest.approx(MILLIONS[net], rel=0.02)


@settings(deadline=None, max_examples=25)
@given(
    kind=st.tuples(st.sampled_from(NETS), st.sampled_from(MAKES)),
    channels=st.integers(1, 3),
    targets=st.integers(2, 4),
    num_fft=st.integers(32, 80).map(lambda half: 2 * half),
    sample_length=st.floats(0.5, 4),
    axis=st.sampled_from([0, 1]),
    activation=st.sampled_from(ACTIVATIONS),
    normalize=st.booleans(),
)
def test_masks_have_the_right_shape_and_range(
    kind, channels, targets, num_fft, sample_length, axis, activation, normalize
):
    net, make = kind
    recurrent = {} if net == "SpectrogramNetSimple" else {"input_axis": axis}
    config = tiny(
        net,
        net_version=make,
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
@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("activation", ["sigmoid", "softmax", "prelu"])
def test_gradients_reach_every_parameter(net, make, activation):
    torch.manual_seed(0)
    more = {"normalize_input": True, "normalize_output": True, "dropout_p": 0.1}
    # So many bins that a recurrence over what is left of them has two steps.
    more |= {"num_fft": 256} if make == 2 else {}
    config = tiny(net, net_version=make, mask_act_fn=activation, **more)
    model = create_net(config)
    estimate = model(torch.rand(4, 1, config.num_bins, config.num_frames))
    loss = (estimate.mask * torch.rand_like(estimate.mask)).sum()
    if estimate.penalty is not None:
        loss = loss + estimate.penalty.mean()
    loss.backward()
    without = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("make", MAKES)
def test_silence_and_loud_input_stay_finite(net, make):
    config = tiny(net, net_version=make)
    model = create_net(config)
    for level in (0.0, 1e-8, 1e4):
        magnitudes = (level * torch.rand(2, 1, config.num_bins, config.num_frames)).requires_grad_()
        mask = model(magnitudes).mask
        mask.sum().backward()
        assert mask.isfinite().all()
        assert magnitudes.grad.isfinite().all()


@pytest.mark.parametrize("make", MAKES)
def test_variational_net_samples_in_training_and_is_deterministic_in_evaluation(make):
    config = tiny("SpectrogramNetVAE", net_version=make, dropout_p=0.0)
    model = create_net(config)
    magnitudes = torch.rand(1, 1, config.num_bins, config.num_frames)
    assert not torch.equal(model(magnitudes).mask, model(magnitudes).mask)
    model.eval()
    assert torch.equal(model(magnitudes).mask, model(magnitudes).mask)


@pytest.mark.parametrize(
    ("net", "values"),
    [("SpectrogramNetSimple", {}), ("SpectrogramNetLSTM", {"input_axis": 0})],
)
@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize("num_frames", [1, 5, 33, 100])
def test_nets_over_time_take_any_number_of_frames(net, make, values, num_frames):
    config = tiny(net, net_version=make, **values)
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
@pytest.mark.parametrize("make", MAKES)
def test_same_seed_makes_the_same_net(net, make):
    config = tiny(net, net_version=make)
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


# The second make


def test_a_file_that_says_no_make_is_of_the_first_and_writes_itself_as_before():
    config = parse_model_config({"net": "SpectrogramNetSimple"})
    assert isinstance(config, SpectrogramNetConfig)
    assert config.net_version == 1
    assert "net_version" not in config.model_dump()
    second = parse_model_config({"net": "SpectrogramNetSimple", "net_version": 2})
    assert second.model_dump()["net_version"] == 2
    assert parse_model_config(second.model_dump()) == second


@pytest.mark.parametrize("num_fft", [64, 126, 128, 150])
def test_folding_and_unfolding_keep_every_bin_in_its_place(num_fft):
    config = tiny("SpectrogramNetSimple", net_version=2, num_fft=num_fft, window_size=64, hop_length=32)
    net = create_net(config).eval()
    # A head that passes what came in: the mask of a bin follows from the magnitude of that bin alone.
    torch.nn.init.zeros_(net.head.bias)
    torch.nn.init.zeros_(net.head.weight)
    width = net.head.weight.shape[1] - 4
    for row in range(net.head.weight.shape[0]):
        net.head.weight.data[row, width + row % 4] = 1
    magnitudes = torch.rand(1, 1, config.num_bins, 40)
    expected = torch.sigmoid(net.standardize(magnitudes.sqrt()))
    if net.used_bins < config.num_bins:
        kept = expected[:, :, : net.used_bins]
        expected = torch.cat((kept, kept[:, :, -1:].expand_as(expected[:, :, net.used_bins :])), dim=2)
    torch.testing.assert_close(net(magnitudes).mask, expected.unsqueeze(1).expand(-1, 2, -1, -1, -1))


@pytest.mark.parametrize("net", NETS)
def test_the_second_make_restricted_or_made_for_inference_computes_the_same(net):
    torch.manual_seed(0)
    config = tiny(net, net_version=2, num_channels=2, targets=SOURCES)
    model = create_model(config)
    audio = torch.randn(2, 2, config.chunk_samples)
    for _ in range(3):
        model(audio)
    model.eval()
    with torch.no_grad():
        whole = model(audio).mask
        torch.testing.assert_close(model.for_inference()(audio).mask, whole, atol=1e-5, rtol=1e-4)
        some = model.restricted(("bass", "vocals"))(audio).mask
    torch.testing.assert_close(some, whole[:, [2, 0]])


@pytest.mark.parametrize("axis", [0, 1])
def test_the_second_make_starts_a_larger_net_from_a_smaller_one(axis):
    torch.manual_seed(0)
    small = create_model(tiny("SpectrogramNetSimple", net_version=2)).eval()
    large = create_model(tiny("SpectrogramNetLSTM", net_version=2, input_axis=axis)).eval()
    start = large.start_from(small)
    assert all("recurrent" in name or "enter" in name or "leave" in name for name in start.fresh)
    audio = torch.randn(1, 1, small.config.chunk_samples)
    with torch.no_grad():
        torch.testing.assert_close(large(audio).mask, small(audio).mask)
    # It can learn from there.
    large.train()(audio).mask.sum().backward()
    assert large.net.leave.weight.grad.abs().sum() > 0


def test_makes_do_not_start_from_one_another():
    first, second = (create_model(tiny("SpectrogramNetSimple", net_version=make)) for make in MAKES)
    with pytest.raises(ModelError, match="a different version: found net_version 1, expected 2"):
        second.start_from(first)


def test_the_recurrent_stack_of_the_second_make_does_not_grow_with_the_chunk():
    sizes = []
    for seconds in (2.5, 20):
        config = tiny("SpectrogramNetLSTM", net_version=2, sample_length=seconds, num_hidden_channels=16)
        sizes.append(count_parameters(config))
    assert 0.8 * sizes[0] < sizes[1] <= sizes[0]
