"""Starting from another net: what comes over computes what it computed there."""

import numpy as np
import pytest
import torch
from conftest import tiny_config
from torch import nn

from auralflow.errors import ModelError
from auralflow.nets.families import settings_of_net
from auralflow.nets.unet import selu_transfer
from auralflow.nets.unet.blocks import VariationalBottleneck
from auralflow.nets.unet.model import SpectrogramMaskModel
from auralflow.nets.unet.warm_start import warm_start

TARGETS = ("vocals", "drums", "bass")


def make(net="SpectrogramNetSimple", **settings):
    values = tiny_config(**settings).model_dump() | {"net": net}
    return SpectrogramMaskModel(settings_of_net(net)(**values)).eval()


def trained(**settings):
    """A model whose weights and statistics are nothing like those of a fresh one."""
    torch.manual_seed(1)
    model = make(**settings)
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.mul_(1 + 0.2 * torch.rand_like(tensor))
    return model


def masks(model, channels=1):
    torch.manual_seed(2)
    audio = torch.randn(2, channels, model.config.chunk_samples)
    with torch.no_grad():
        return model.eval()(audio).mask


@pytest.mark.parametrize("net", ["SpectrogramNetSimple", "SpectrogramNetLSTM", "SpectrogramNetVAE"])
def test_the_same_net_takes_all(net):
    source, model = trained(net=net), make(net=net)
    assert warm_start(model, source) == (1.0, ())
    assert torch.equal(masks(model), masks(source))


def test_a_recurrent_net_begins_as_the_plain_one():
    source = trained()
    model = make(net="SpectrogramNetLSTM")
    start = warm_start(model, source)
    assert {name.split(".")[1] for name in start.fresh} == {"recurrent"}
    assert torch.allclose(masks(model), masks(source), atol=1e-6)


def lift(source_net, net, *, recurrent_passes):
    """A larger net of the second make that starts from a smaller one: the start, its masks, the smaller's."""
    source = trained(net=source_net, net_version=2)
    model = make(net=net, net_version=2)
    before = masks(model)
    start = warm_start(model, source)
    if recurrent_passes:
        assert not model.net.leave.weight.any()
    return start, before, masks(model), masks(source)


@pytest.mark.parametrize("source_net", ["SpectrogramNetSimple", "SpectrogramNetLSTM"])
def test_in_the_second_make_a_latent_begins_near_what_the_smaller_net_estimates(source_net):
    simple = source_net == "SpectrogramNetSimple"
    start, before, after, wanted = lift(source_net, "SpectrogramNetVAE", recurrent_passes=simple)
    parts = {"recurrent", "variational", "enter", "leave"} if simple else {"variational"}
    assert {name.split(".")[1] for name in start.fresh} == parts
    # What comes to the latent is positive but for what the dense layers over all take away.
    assert (after - wanted).abs().mean() < 0.02 * (before - wanted).abs().mean()


def test_in_the_second_make_a_recurrent_net_begins_as_the_plain_one():
    start, _, after, wanted = lift("SpectrogramNetSimple", "SpectrogramNetLSTM", recurrent_passes=True)
    assert {name.split(".")[1] for name in start.fresh} == {"recurrent", "enter", "leave"}
    assert torch.allclose(after, wanted, atol=1e-6)


@pytest.mark.parametrize("net", ["SpectrogramNetSimple", "SpectrogramNetLSTM"])
def test_the_steeper_its_activations_the_more_a_net_without_normalisation_begins_as_the_plain_one(
    net, monkeypatch
):
    source = trained(net=net)
    if net == "SpectrogramNetLSTM":
        source.net.recurrent.pass_through()
    errors = []
    for steepness in (1.0, 10.0, 100.0, 1000.0):
        monkeypatch.setattr("auralflow.nets.unet.selu_transfer.STEEPNESS", steepness)
        model = make(net="SpectrogramNetVAE")
        start = warm_start(model, source)
        assert {name.split(".")[1] for name in start.fresh} == {"recurrent", "variational"}
        errors.append((masks(model) - masks(source)).abs().mean().item())
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.01 * errors[0]


@pytest.mark.parametrize("bias", [-1.0, 0.0, 0.7])
def test_the_line_to_other_activations_is_that_of_a_regression(bias):
    normalization = nn.BatchNorm2d(3)
    with torch.no_grad():
        normalization.bias.fill_(bias)
        normalization.weight.copy_(torch.tensor([0.2, -0.5, 1.0]))
    slopes, offsets = selu_transfer._line(normalization)
    generator = np.random.default_rng(0)
    for weight, slope, offset in zip((0.2, -0.5, 1.0), slopes.tolist(), offsets.tolist(), strict=True):
        inputs = torch.from_numpy(bias + weight * generator.standard_normal(10**6))
        given = nn.functional.selu(selu_transfer.STEEPNESS * inputs)
        assert (slope, offset) == pytest.approx(np.polyfit(given, inputs.relu(), 1), abs=2e-3)


def test_a_channel_without_variance_has_a_line_too():
    normalization = nn.BatchNorm2d(1)
    nn.init.zeros_(normalization.weight)
    nn.init.constant_(normalization.bias, 0.5)
    slope, offset = selu_transfer._line(normalization)
    assert slope.isfinite().all()
    level = nn.functional.selu(torch.tensor(selu_transfer.STEEPNESS * 0.5))
    assert (slope * level + offset).item() == pytest.approx(0.5)


def test_a_latent_that_begins_as_the_identity_passes_what_is_positive():
    part = VariationalBottleneck(3).eval()
    part.pass_through()
    features = nn.functional.selu(3 * torch.randn(2, 3, 4, 4))
    with torch.no_grad():
        decoded, mu, _ = part(features)
    assert torch.equal(mu, features)
    positive = features > 0
    assert torch.allclose(decoded[positive], features[positive], rtol=1e-5)
    assert (decoded[~positive] - features[~positive]).abs().max() < 0.4
    # Taught, it is no longer the identity: no parameter is held.
    assert all(parameter.requires_grad for parameter in part.parameters())


@pytest.mark.parametrize("channels", [1, 2])
def test_targets_go_over_by_name(channels):
    source = trained(targets=TARGETS, num_channels=channels)
    model = make(targets=("bass", "other", "vocals"), num_channels=channels)
    start = warm_start(model, source)
    assert start.fresh == ("net.head.weight of other", "net.head.bias of other")
    before, after = masks(source, channels), masks(model, channels)
    assert torch.allclose(after[:, 0], before[:, 2], atol=1e-6)
    assert torch.allclose(after[:, 2], before[:, 0], atol=1e-6)
    assert 0 < start.taken < 1


def test_what_depends_on_the_transform_and_the_channels_begins_anew():
    source = trained(targets=TARGETS, num_channels=2, normalize_input=True)
    model = make(targets=TARGETS, num_channels=1, normalize_input=True, num_fft=512, window_size=512)
    fresh = set(warm_start(model, source).fresh)
    assert {"net.input_affine.scale", "net.down.0.0.weight", "net.head.weight of drums"} <= fresh
    assert torch.equal(model.net.down[1][0].weight, source.net.down[1][0].weight)


def test_the_source_stays_as_it_is():
    source = trained()
    before = {name: tensor.clone() for name, tensor in source.state_dict().items()}
    model = make(net="SpectrogramNetVAE")
    warm_start(model, source)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert all(torch.equal(tensor, before[name]) for name, tensor in source.state_dict().items())


def test_a_net_of_another_size_is_refused():
    with pytest.raises(ModelError, match="a different size"):
        warm_start(make(num_hidden_channels=3), trained())
