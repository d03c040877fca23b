"""Every net of the published families: small ones, made, trained, saved and run like our own."""

import subprocess
import sys
import textwrap

import pytest
import torch
from torch import nn

from auralflow.nets.families import create_model, find_net
from auralflow.nets.shapes import shapes_only
from auralflow.separation import Separator

SMALL = {
    "Spleeter": {
        "num_hidden_channels": 4,
        "num_fft": 256,
        "num_bins_read": 64,
        "segment_frames": 64,
        "sample_length": 0.25,
    },
    "OpenUnmix": {
        "num_fft": 256,
        "hop_length": 64,
        "bandwidth": 3000,
        "hidden_size": 32,
        "sample_length": 0.25,
        "separation_length": 0.24,
        "separation_context": 0.08,
    },
    "SCNet": {
        "stage_channels": (4, 8),
        "num_dual_paths": 2,
        "num_fft": 256,
        "hop_length": 64,
        "sample_length": 0.25,
    },
    "BSRoformer": {
        "num_fft": 256,
        "window_size": 256,
        "hop_length": 64,
        "band_sizes": (2,) * 8 + (16,) * 7 + (1,),
        "dim": 16,
        "depth": 1,
        "heads": 2,
        "dim_head": 8,
        "mask_hidden": 32,
        "sample_length": 0.25,
    },
    "MelBandRoformer": {
        "num_fft": 256,
        "window_size": 256,
        "hop_length": 64,
        "num_bands": 12,
        "dim": 16,
        "depth": 1,
        "heads": 2,
        "dim_head": 8,
        "mask_hidden": 32,
        "sample_length": 0.25,
    },
    "MDX23C": {
        "num_fft": 256,
        "hop_length": 64,
        "num_bins": 128,
        "num_scales": 2,
        "num_hidden_channels": 8,
        "growth": 8,
        "sample_length": 0.25,
    },
    "MDXNet": {
        "num_fft": 256,
        "hop_length": 64,
        "num_bins": 128,
        "num_stages": 2,
        "growth": 8,
        "sample_length": 0.25,
    },
    "HTDemucs": {
        "num_hidden_channels": 8,
        "branch_compress": 2,
        "transformer_depth": 2,
        "transformer_channels": 32,
        "transformer_heads": 2,
        "sample_length": 0.6,
    },
    "HDemucs": {"num_hidden_channels": 4, "branch_compress": 2, "sample_length": 0.6},
    "Demucs": {
        "num_hidden_channels": 4,
        "depth": 3,
        "branch_compress": 2,
        "norm_from": 2,
        "recurrent_from": 2,
        "attentive_from": 2,
        "recurrence_depth": 1,
        "sample_length": 0.5,
    },
}
RATE = 8000


def small(name):
    _, net = find_net(name)
    targets = ("vocals",) if name == "MDXNet" else ("vocals", "drums")
    values = dict(net.presets) | SMALL[name] | {"net": name, "targets": targets, "sample_rate": RATE}
    return create_model(net.settings(**values))


def tone_and_noise(num_samples):
    generator = torch.Generator().manual_seed(0)
    tone = torch.sin(torch.arange(num_samples) * 0.2).expand(1, 2, -1)
    noise = 0.3 * torch.randn(1, 2, num_samples, generator=generator)
    return torch.stack((tone, noise), dim=1)


@pytest.mark.parametrize("name", SMALL)
def test_any_length_is_separated(name):
    torch.manual_seed(0)
    model = small(name).eval()
    with torch.inference_mode():
        for num_samples in (1, 500, model.config.chunk_samples):
            audio = torch.randn(2, 2, num_samples)
            estimate = model(audio)
            assert estimate.audio.shape == (2, len(model.targets), 2, num_samples)
            assert estimate.audio.isfinite().all()
            assert estimate.spectrogram.shape[:3] == estimate.audio.shape[:3]
            assert estimate.mixture.shape[-2:] == estimate.spectrogram.shape[-2:]


# Relative energy of the difference, a quarter above what was measured with this seed. Those at 1e-6 are
# published with the same fades, or with context in their place.
FADES_CHANGE = {
    "Spleeter": 0.018,
    "OpenUnmix": 1e-6,
    "SCNet": 0.25,
    "BSRoformer": 0.08,
    "MelBandRoformer": 0.044,
    "MDX23C": 0.036,
    "MDXNet": 0.00085,
    "HTDemucs": 1e-6,
    "HDemucs": 1e-6,
    "Demucs": 1e-6,
}


@pytest.mark.parametrize("name", SMALL)
def test_our_own_fades_change_the_estimates_by_no_more_than_measured(name):
    torch.manual_seed(0)
    model = small(name).eval()
    audio = torch.randn(2, round(3.3 * model.config.chunk_samples))
    published, faded = (
        Separator(model, window=window).separate(audio) for window in ("published", "cross_fade")
    )
    assert faded.shape == published.shape
    # At the ends of a song there may be nothing to fade to.
    inner = slice(model.config.chunk_samples, 2 * model.config.chunk_samples)
    difference = (faded - published)[..., inner].square().mean()
    assert difference < FADES_CHANGE[name] * published[..., inner].square().mean()


@pytest.mark.parametrize("name", SMALL)
def test_gradients_reach_every_parameter(name):
    torch.manual_seed(0)
    model = small(name).train()
    targets = tone_and_noise(model.config.chunk_samples)[:, : len(model.targets)]
    estimate = model(targets.sum(1)).audio
    (estimate - targets).square().mean().backward()
    silent = [
        parameter_name
        for parameter_name, parameter in model.named_parameters()
        if parameter.grad is None or not parameter.grad.abs().sum() > 0
    ]
    assert not silent


@pytest.mark.parametrize("name", SMALL)
def test_a_net_learns_one_chunk_by_heart(name):
    torch.manual_seed(0)
    model = small(name).train()
    stems = tone_and_noise(model.config.chunk_samples)
    mixture, targets = stems.sum(1), stems[:, : len(model.targets)]
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    losses = []
    for _ in range(30):
        loss = (model(mixture).audio - targets).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert min(losses[-5:]) < 0.75 * losses[0]


@pytest.mark.parametrize("name", ["OpenUnmix", "BSRoformer", "MelBandRoformer"])
def test_the_mask_estimators_of_some_targets_alone_estimate_the_same(name):
    torch.manual_seed(0)
    model = small(name).eval()
    audio = torch.randn(1, 2, model.config.chunk_samples)
    with torch.inference_mode():
        alone = model.restricted(("drums",))
        assert torch.allclose(alone(audio).audio[:, 0], model(audio).audio[:, 1], atol=1e-6)


@pytest.mark.parametrize("name", SMALL)
def test_the_size_of_a_net_is_known_without_its_numbers(name):
    with torch.device("meta"):
        parameters = list(small(name).parameters())
    assert all(parameter.is_meta for parameter in parameters)


@pytest.mark.parametrize("name", ["Spleeter", "OpenUnmix"])
def test_onnx_runtime_computes_the_same(name):
    pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    model = small(name).eval()
    # Whole chunks: what fills the last one tells a recurrent net something.
    audio = torch.randn(2, round(8 * 0.24 * RATE))
    separated = Separator(model, backend="onnx", overlap=0).separate(audio, RATE)
    assert torch.allclose(separated, Separator(model, overlap=0).separate(audio, RATE), atol=1e-5)


class _Windowed(nn.Module):
    """Has buffers that are computed from several others."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(8, 8)
        self.register_buffer("steps", torch.arange(8) * torch.ones(8))
        self.register_buffer("window", torch.hann_window(8) / torch.linspace(1, 2, 8))


def test_a_net_whose_buffers_are_computed_from_each_other_has_shapes_too():
    net = shapes_only(_Windowed)
    assert all(tensor.is_meta for tensor in net.state_dict().values())
    assert net.window.shape == (8,)


def test_shapes_are_known_without_loading_a_compiler():
    script = textwrap.dedent(
        """
        import sys

        from auralflow.models.folder import count_parameters
        from auralflow.nets.families import all_nets, create_model
        from auralflow.nets.shapes import shapes_only

        for _, net in all_nets():
            config = net.settings(net=net.name, **net.presets)
            counted = count_parameters(config)
            weights = list(shapes_only(lambda: create_model(config)).parameters())
            made = sum(weight.numel() for weight in weights if not weight.is_meta)
            assert made < 0.001 * counted, net.name
            assert counted == sum(weight.numel() for weight in weights if weight.requires_grad)
            assert "torch._dynamo" not in sys.modules, net.name
        """
    )
    subprocess.run([sys.executable, "-c", script], check=True)
