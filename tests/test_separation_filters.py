"""The filters behind the net, against independent references and against what must hold of them."""

import warnings

import numpy as np
import pytest
import torch

from auralflow.transforms import STFT, griffin_lim, wiener_filter


def _scene(num_targets=3, channels=2, bins=9, frames=12, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    complex_type = torch.complex128 if dtype == torch.float64 else torch.complex64
    sources = torch.randn(1, num_targets, channels, bins, frames, dtype=complex_type, generator=generator)
    sources = sources * torch.rand(1, num_targets, 1, bins, frames, dtype=dtype, generator=generator)
    return sources, sources.sum(dim=1)


def _norbert(magnitudes, mixture, iterations):
    with warnings.catch_warnings():
        # Its own code is older than the numpy it runs on.
        warnings.simplefilter("ignore")
        import norbert  # noqa: PLC0415

        v = magnitudes[0].permute(3, 2, 1, 0).numpy().copy()  # frames, bins, channels, sources
        x = mixture[0].permute(2, 1, 0).numpy().copy()
        y = norbert.wiener(v, x, iterations=iterations, use_softmask=False)
    return torch.from_numpy(y).permute(3, 2, 1, 0).unsqueeze(0)


@pytest.mark.parametrize("iterations", [0, 1, 2, 4])
@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("level", [1.0, 300.0])
def test_wiener_filter_equals_norbert(iterations, channels, level):
    sources, mixture = _scene(channels=channels)
    magnitudes, mixture = level * sources.abs() * 0.8, level * mixture
    mine = wiener_filter(magnitudes, mixture, iterations=iterations, residual=None)
    reference = _norbert(magnitudes, mixture, iterations)
    assert torch.allclose(mine, reference, rtol=1e-6, atol=1e-8 * level)


def test_residual_of_the_wiener_filter_is_one_more_source():
    sources, mixture = _scene()
    magnitudes = 0.2 * sources.abs()
    rest = (mixture.abs() - magnitudes.sum(dim=1)).clamp_min(0)
    whole = torch.cat((magnitudes, rest.unsqueeze(1)), dim=1)
    mine = wiener_filter(magnitudes, mixture, iterations=2)
    assert torch.allclose(mine, _norbert(whole, mixture, 2)[:, :-1], rtol=1e-6, atol=1e-8)


def test_single_precision_wiener_filter_is_near_double():
    sources, mixture = _scene(channels=2, bins=65, frames=40)
    # Nearly the same on both sides, where the covariance is nearly singular.
    mixture = mixture[:, :1] * torch.tensor([1.0, 0.99]).reshape(1, 2, 1, 1)
    double = wiener_filter(sources.abs(), mixture, iterations=2)
    single = wiener_filter(sources.abs().float(), mixture.to(torch.complex64), iterations=2)
    # The regularisation follows the precision, so the two agree roughly and not to the last bit.
    error = (single - double).abs().square().sum() / double.abs().square().sum()
    assert error < 1e-2


def test_wiener_filter_separates_sources_by_their_place_better_than_masks():
    """Two sources at opposite sides, each known by a rough magnitude: the place tells them apart."""
    generator = torch.Generator().manual_seed(3)
    left = torch.randn(1, 1, 40, 60, dtype=torch.complex128, generator=generator)
    right = torch.randn(1, 1, 40, 60, dtype=torch.complex128, generator=generator)
    truth = torch.stack((torch.cat((left, 0.3 * left), 1), torch.cat((0.3 * right, right), 1)), dim=1)
    rough = (truth.abs() + truth.flip(1).abs() * 0.4).sqrt()
    mixture = truth.sum(dim=1)
    errors = [
        (wiener_filter(rough, mixture, iterations=n, residual=None) - truth).abs().square().mean().item()
        for n in (0, 3)
    ]
    assert errors[1] < 0.5 * errors[0]


def test_wiener_filter_lets_gradients_through():
    sources, mixture = _scene(num_targets=2, channels=2, bins=2, frames=3)
    magnitudes = (0.4 * sources.abs()).requires_grad_()

    def loss(values):
        return wiener_filter(values, mixture, iterations=1).abs().square().sum()

    assert torch.autograd.gradcheck(loss, (magnitudes,))


def test_wiener_filter_of_silence_is_silence():
    silence = torch.zeros(1, 2, 5, 4, dtype=torch.complex64)
    estimates = wiener_filter(torch.zeros(1, 3, 2, 5, 4), silence, iterations=3)
    assert torch.equal(estimates, torch.zeros_like(estimates))


def test_griffin_lim_brings_phases_closer_to_those_of_a_signal():
    torch.manual_seed(0)
    transform = STFT(256, hop_length=64)
    audio = torch.sin(torch.arange(4096) * 0.11) * torch.linspace(0, 1, 4096)
    true = transform(audio)
    start = true.abs() * torch.exp(1j * 2 * np.pi * torch.rand(true.shape))

    def inconsistency(spectrogram):
        return (transform(transform.inverse(spectrogram, 4096)) - spectrogram).abs().square().sum().item()

    found = [griffin_lim(start, transform, 4096, iterations=n) for n in (1, 4, 32)]
    errors = [inconsistency(start), *map(inconsistency, found)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.2 * errors[0]
    assert torch.allclose(found[-1].abs(), true.abs(), atol=1e-4)


@pytest.mark.parametrize(
    ("num_fft", "window_size", "hop_length"),
    [(64, 64, 32), (64, 64, 16), (64, 64, 20), (64, 48, 24), (64, 48, 7), (2048, 2048, 1024)],
)
@pytest.mark.parametrize("num_samples", [1, 31, 32, 33, 1000])
def test_inverse_transform_equals_that_of_torch(num_fft, window_size, hop_length, num_samples):
    torch.manual_seed(0)
    transform = STFT(num_fft, window_size, hop_length)
    spectrogram = transform(torch.randn(2, 3, num_samples))
    spectrogram = spectrogram * torch.rand(spectrogram.shape)
    reference = torch.istft(
        spectrogram.flatten(0, 1), num_fft, hop_length, window_size, window=transform.window, center=True
    )
    mine = transform.inverse(spectrogram, num_samples)
    # Beyond the signal there is padding, where few frames lie over one another.
    assert torch.allclose(mine.flatten(0, 1), reference[:, :num_samples], atol=1e-5)
    assert mine.shape == (2, 3, num_samples)
