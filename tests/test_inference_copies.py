"""The copies that separate are faster, equal, and leave the model as it was."""

import pytest
import torch

from auralflow.nets.families import create_model, find_net

NETS = {
    "BSRoformer": {"dim": 16, "depth": 1, "heads": 2, "dim_head": 8, "mask_hidden": 16},
    "MelBandRoformer": {"dim": 16, "depth": 1, "heads": 2, "dim_head": 8, "mask_hidden": 16},
    "MDXNet": {"num_fft": 512, "hop_length": 128, "num_bins": 256, "num_stages": 2, "growth": 4},
}


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
