"""Starting from another net: what comes over computes what it computed there."""

import pytest
import torch
from conftest import tiny_config
from torch import nn

from auralflow.config import model_config_type
from auralflow.errors import ModelError
from auralflow.models import SpectrogramMaskModel
from auralflow.models.blocks import ConvBlock
from auralflow.models.warm_start import warm_start

TARGETS = ("vocals", "drums", "bass")


def make(net="SpectrogramNetSimple", **settings):
    values = tiny_config(**settings).model_dump() | {"net": net}
    return SpectrogramMaskModel(model_config_type(net)(**values)).eval()


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
    # What the bottleneck adds is taken away; the rest is the plain net.
    nn.init.zeros_(model.net.recurrent.affine[-1].weight)
    nn.init.zeros_(model.net.recurrent.affine[-1].bias)
    assert torch.allclose(masks(model), masks(source), atol=1e-6)


def test_a_net_without_normalisation_takes_convolutions_that_have_it_in_them():
    source = trained()
    model = make(net="SpectrogramNetVAE")
    start = warm_start(model, source)
    assert {name.split(".")[1] for name in start.fresh} == {"recurrent", "variational"}
    for theirs, ours in zip(conv_blocks(source), conv_blocks(model), strict=True):
        features = torch.randn(2, theirs[0].in_channels, 8, 8)
        with torch.no_grad():
            assert torch.allclose(ours[0](features), theirs[1](theirs[0](features)), atol=1e-5)
            features = torch.randn(2, theirs[3].in_channels, 8, 8)
            assert torch.allclose(ours[2](features), theirs[4](theirs[3](features)), atol=1e-5)


def conv_blocks(model):
    return [module for module in model.modules() if isinstance(module, ConvBlock)]


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
    with pytest.raises(ModelError, match="another size"):
        warm_start(make(num_hidden_channels=3), trained())
