import pytest
import torch
from parity import import_openunmix

from auralflow.nets.openunmix.config import OpenUnmixConfig
from auralflow.nets.openunmix.model import OpenUnmixModel
from auralflow.separation import Separator

VARIANTS = {
    "umx": {"targets": ("vocals", "drums", "bass")},
    "umxl": {"targets": ("vocals",), "hidden_size": 96},
    "umxse": {
        "targets": ("speech", "noise"),
        "num_channels": 1,
        "sample_rate": 16000,
        "num_fft": 1024,
        "hop_length": 512,
        "hidden_size": 32,
    },
    "unidirectional": {"hidden_size": 32, "unidirectional": True, "num_layers": 2},
}


def equal_models(**settings):
    """A model of ours and one of the reference package with equal weights, none of them at its start."""
    reference_nets = import_openunmix()
    torch.manual_seed(7)
    model = OpenUnmixModel(OpenUnmixConfig(**{"hidden_size": 48, **settings})).eval()
    config = model.config
    references = {}
    for target, net in zip(config.targets, model.net.targets, strict=True):
        reference = reference_nets.OpenUnmix(
            nb_bins=config.num_bins,
            nb_channels=config.num_channels,
            hidden_size=config.hidden_size,
            nb_layers=config.num_layers,
            unidirectional=config.unidirectional,
            max_bin=config.num_bins_read,
        )
        with torch.no_grad():
            for name, tensor in reference.state_dict().items():
                if tensor.is_floating_point() and not name.startswith("lstm"):
                    tensor.copy_(torch.rand_like(tensor) * 0.1 + 0.5)
            for parameter in (reference.fc1.weight, reference.fc2.weight, reference.fc3.weight):
                parameter.copy_(torch.randn_like(parameter) * 0.05)
        net.load_state_dict(reference.state_dict())
        references[target] = reference.eval()

    def separate(audio, **options):
        separator = reference_nets.Separator(
            references,
            n_fft=config.num_fft,
            n_hop=config.hop_length,
            nb_channels=config.num_channels,
            sample_rate=config.sample_rate,
            **options,
        )
        with torch.no_grad():
            return separator(audio)

    return model, separate


def song(model, seconds, seed=0):
    generator = torch.Generator().manual_seed(seed)
    samples = round(seconds * model.config.sample_rate)
    return 0.3 * torch.randn(2, model.config.num_channels, samples, generator=generator)


def assert_near(mine, reference):
    assert mine.shape == reference.shape
    assert (mine - reference).abs().max() <= 1e-5 * reference.abs().max()


@pytest.mark.parametrize("variant", VARIANTS)
def test_nets_equal_those_of_the_reference_package(variant):
    model, reference = equal_models(**VARIANTS[variant])
    audio = song(model, 1.37)
    with torch.no_grad():
        assert_near(model(audio).audio, reference(audio, niter=0))


@pytest.mark.parametrize(("iterations", "residual"), [(1, False), (2, False), (1, True)])
@pytest.mark.parametrize("variant", ["umx", "umxse"])
def test_wiener_filter_equals_that_of_the_reference_package(variant, iterations, residual):
    # Longer than 300 frames, so that two excerpts are filtered apart.
    settings = VARIANTS[variant] | {"wiener_residual": residual, "num_fft": 1024, "hop_length": 256}
    model, reference = equal_models(**settings)
    audio = song(model, 302 * model.config.hop_length / model.config.sample_rate)[:1]
    with torch.no_grad():
        estimate = model(audio)
        mine = estimate.filtered(model.wiener_filtered(estimate, iterations)).audio
        theirs = reference(audio, niter=iterations, residual=residual)[:, : len(model.targets)]
    assert_near(mine, theirs)


@pytest.mark.parametrize("variant", VARIANTS)
def test_folded_nets_compute_the_same(variant):
    model, _ = equal_models(**VARIANTS[variant])
    audio = song(model, 0.8)
    with torch.no_grad():
        assert_near(model.for_inference()(audio).audio, model(audio).audio)


def engine_model(**settings):
    return equal_models(
        hidden_size=16,
        targets=("vocals", "drums", "bass"),
        sample_rate=8000,
        bandwidth=3000,
        num_fft=512,
        hop_length=128,
        sample_length=1,
        **settings,
    )


@pytest.mark.parametrize("seconds", [0.01, 2.2, 3.999])
def test_engine_reads_a_short_song_whole(seconds):
    model, reference = engine_model(separation_length=4, separation_context=0)
    audio = song(model, seconds)[:1]
    separated = Separator(model).separate(audio[0], 8000)
    if audio.shape[-1] > 256:
        assert_near(separated, reference(audio, niter=1)[0])
    assert separated.shape == (3, *audio.shape[1:])
    assert separated.isfinite().all()


def test_engine_computes_only_the_targets_that_are_asked_for():
    model, _ = engine_model(separation_length=2, separation_context=0.5, wiener=0)
    audio = song(model, 5)[0]
    computed = Separator(model, targets=("bass",))
    assert len(computed.members[0].engine.model.net.targets) == 1
    assert_near(computed.separate(audio, 8000)[0], Separator(model).separate(audio, 8000)[2])


def test_wiener_filter_sees_all_targets_whichever_are_asked_for():
    model, _ = engine_model()
    audio = song(model, 2)[0]
    assert_near(
        Separator(model, targets=("bass",)).separate(audio, 8000)[0],
        Separator(model).separate(audio, 8000)[2],
    )
    plain, filtered = (Separator(model, wiener=count).separate(audio, 8000) for count in (0, 1))
    assert (plain - filtered).abs().max() > 1e-3
    assert torch.equal(filtered, Separator(model).separate(audio, 8000))


def test_context_brings_chunks_near_the_whole_song():
    torch.manual_seed(0)
    model, _ = engine_model(wiener=0)
    audio = song(model, 8)[0]

    def separated(**settings):
        model.config = model.config.model_copy(update=settings)
        return Separator(model, overlap=0).separate(audio, 8000)

    whole = separated(separation_length=8, separation_context=0)
    errors = [
        (separated(separation_length=2, separation_context=context) - whole)[..., 8000:-8000].abs().max()
        for context in (0, 1)
    ]
    assert errors[1] < 0.1 * errors[0]
