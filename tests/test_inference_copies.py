"""The copies that separate are faster, equal, and leave the model as it was."""

import pytest
import torch

from auralflow.nets.families import create_model, find_net
from auralflow.nets.roformer import net as net_module
from auralflow.nets.roformer.net import Rotary, Transformer

NETS = {
    "BSRoformer": {"dim": 16, "depth": 1, "heads": 2, "dim_head": 8, "mask_hidden": 16},
    "MelBandRoformer": {"dim": 16, "depth": 1, "heads": 2, "dim_head": 8, "mask_hidden": 16},
    "MDXNet": {"num_fft": 512, "hop_length": 128, "num_bins": 256, "num_stages": 2, "growth": 4},
}


@pytest.mark.parametrize("at_once", [1, 50])
def test_a_transformer_that_reads_sequences_one_after_the_other_computes_the_same(monkeypatch, at_once):
    torch.manual_seed(0)
    transformer = Transformer(16, 2, heads=2, dim_head=8, dropout=0.1, normalized=True).eval()
    sequences, turns = torch.randn(7, 20, 16), Rotary(8).turns(20)
    calls = []
    transformer.attention[0].register_forward_hook(lambda *_: calls.append(1))
    with torch.inference_mode():
        expected = transformer(sequences, turns)
        monkeypatch.setattr(net_module, "VECTORS_AT_ONCE", at_once)
        torch.testing.assert_close(transformer(sequences, turns), expected)
    assert len(calls) == 1 + (7 if at_once == 1 else 4)


def folded(net):
    """What the copy must have left out."""
    return [name for name in net.state_dict() if name.endswith(("norm.gain", "running_mean"))]


@pytest.mark.parametrize("net", NETS)
def test_a_copy_for_inference_folds_its_norms_and_computes_the_same(net):
    torch.manual_seed(0)
    _, found = find_net(net)
    model = create_model(found.settings(**{**found.presets, "net": net, **NETS[net]})).eval()
    for name, tensor in model.state_dict().items():
        # Away from 0 and 1, at which a gain that is forgotten or counted twice would not show.
        if name.endswith(("gain", "running_var", "running_mean")):
            tensor.uniform_(0.5, 2)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    audio = torch.randn(1, 2, 8192)
    with torch.inference_mode():
        expected = model(audio).audio
        copy = model.for_inference()
        error = (copy(audio).audio - expected).abs().max() / expected.abs().max()
    assert error < 1e-5
    assert len(folded(copy.net)) < len(folded(model.net))
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not any(parameter.requires_grad for parameter in copy.parameters())
