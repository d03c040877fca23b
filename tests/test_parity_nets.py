"""Our nets against the packages that their users run today, on equal random weights, read as published."""

import warnings
from fractions import Fraction

import pytest
import torch
from parity import checkpoint_of, distance, excite, reference

from auralflow.nets.families import create_model, find_family, load_object

SOURCES = ["drums", "bass", "other", "vocals"]


def converted(family, checkpoint, targets=()):
    reader = load_object(find_family(family).reader)
    assert reader.recognizes(checkpoint)
    conversion = reader.convert(checkpoint, targets)
    model = create_model(conversion.config)
    model.load_state_dict(conversion.weights)
    return model.eval()


def audio_like_music(num_samples, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1, 2, num_samples, generator=generator) * 0.1


@pytest.fixture(autouse=True)
def _quiet():
    torch.manual_seed(0)
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        yield


SCNET_SETTINGS = {
    "audio": {"chunk_size": 44100, "sample_rate": 44100},
    "training": {"instruments": SOURCES, "target_instrument": None},
    "inference": {"num_overlap": 4, "normalize": True},
}


@pytest.mark.parametrize(
    "shape",
    [
        {"dims": [4, 8, 16, 32], "band_SR": [0.175, 0.392, 0.433], "num_dplayer": 6},
        {
            "dims": [4, 8, 16, 32],
            "band_SR": [0.23, 0.37, 0.40],
            "num_dplayer": 2,
            "band_stride": [1, 4, 4],
            "band_kernel": [3, 4, 4],
            "conv_depths": [3, 3, 3],
        },
    ],
    ids=["small", "finer-high-frequencies"],
)
@pytest.mark.parametrize("num_samples", [44100, 43 * 1024])
def test_scnet(shape, num_samples):
    theirs = reference("msst.models.scnet.scnet", "SCNet")(sources=SOURCES, **shape).eval()
    excite(theirs, 1)
    model = converted("scnet", checkpoint_of(theirs, SCNET_SETTINGS | {"model": shape}))
    assert model.traits.standardized
    assert model.config.overlap == 0.75
    audio = audio_like_music(num_samples)
    assert distance(model(audio).audio, theirs(audio)) < 1e-5


def roformer_settings(**model):
    return {
        "audio": {"chunk_size": 352800, "sample_rate": 44100},
        "model": {"stft_hop_length": 441, "stft_n_fft": 2048, "stft_win_length": 2048} | model,
        "training": {"instruments": ["vocals", "other"], "target_instrument": "vocals"},
        "inference": {"num_overlap": 2},
    }


@pytest.mark.parametrize("zero_dc", [True, False])
def test_bs_roformer(zero_dc):
    shape = {"dim": 48, "depth": 2, "heads": 4, "dim_head": 16, "mask_estimator_depth": 2}
    kind = reference("msst.models.bs_roformer.bs_roformer", "BSRoformer")
    shape |= {"time_transformer_depth": 1, "freq_transformer_depth": 2, "skip_connection": not zero_dc}
    theirs = kind(stereo=True, num_stems=1, stft_hop_length=441, zero_dc=zero_dc, **shape).eval()
    excite(theirs, 2)
    settings = roformer_settings(zero_dc=zero_dc, skip_connection=not zero_dc)
    model = converted("roformer", checkpoint_of(theirs, settings))
    # In this one the published depth counts the last layer.
    assert model.config.mask_depth == 1
    audio = audio_like_music(22050 + 441)
    assert distance(model(audio).audio, theirs(audio).reshape(1, 1, 2, -1)) < 1e-5


@pytest.mark.parametrize("zero_dc", [True, False])
def test_mel_band_roformer(zero_dc):
    kind = reference("pymss_core.modules.bs_roformer.mel_band_roformer", "MelBandRoformer")
    theirs = kind(
        dim=48,
        depth=2,
        heads=4,
        dim_head=16,
        stereo=True,
        num_stems=1,
        num_bands=60,
        time_transformer_depth=1,
        freq_transformer_depth=1,
        stft_hop_length=441,
        zero_dc=zero_dc,
        mlp_hidden_layers=2,
    ).eval()
    excite(theirs, 3)
    model = converted("roformer", checkpoint_of(theirs, roformer_settings(zero_dc=zero_dc)))
    assert model.config.mask_depth == 2
    audio = audio_like_music(441 * 50)
    assert distance(model(audio).audio, theirs(audio).reshape(1, 1, 2, -1)) < 1e-5


def test_mdx23c():
    config = reference("ml_collections", "ConfigDict")
    settings = {
        "audio": {"chunk_size": 64512, "dim_f": 256, "hop_length": 1024, "n_fft": 2048, "num_channels": 2},
        "model": {
            "act": "gelu",
            "bottleneck_factor": 4,
            "growth": 8,
            "norm": "InstanceNorm",
            "num_blocks_per_scale": 2,
            "num_channels": 16,
            "num_scales": 3,
            "num_subbands": 4,
            "scale": [2, 2],
        },
        "training": {"instruments": ["Vocals", "Instrumental"], "target_instrument": None},
        "inference": {"num_overlap": 8},
    }
    theirs = reference("pymss_core.modules.mdx23c_tfc_tdf_v3", "TFC_TDF_net")(config(settings)).eval()
    excite(theirs, 4)
    model = converted("mdx23c", checkpoint_of(theirs, settings))
    assert model.targets == ("vocals", "instrumental")
    audio = audio_like_music(1024 * 63)
    assert distance(model(audio).audio, theirs(audio)) < 1e-5


DEMUCS = {"channels": 16, "dconv_comp": 8, "dconv_mode": 3, "t_layers": 3, "t_heads": 4}


@pytest.mark.parametrize("bottom", [0, 64])
def test_htdemucs(bottom):
    kwargs = {"sources": SOURCES, "bottom_channels": bottom, "segment": Fraction(2), **DEMUCS}
    theirs = reference("demucs.htdemucs", "HTDemucs")(**kwargs).eval()
    excite(theirs, 5)
    checkpoint = checkpoint_of(theirs, class_name="demucs.htdemucs.HTDemucs", kwargs=kwargs)
    model = converted("htdemucs", checkpoint)
    assert model.targets == tuple(SOURCES)
    assert model.config.chunk_samples == 2 * 44100
    for num_samples in (2 * 44100, 50000):
        audio = audio_like_music(num_samples)
        assert distance(model(audio).audio, theirs(audio)) < 1e-5


@pytest.mark.parametrize("hybrid_old", [False, True])
def test_hdemucs(hybrid_old):
    kwargs = {"sources": SOURCES, "channels": 8, "hybrid_old": hybrid_old}
    theirs = reference("demucs.hdemucs", "HDemucs")(**kwargs).eval()
    excite(theirs, 6)
    checkpoint = checkpoint_of(theirs, class_name="demucs.hdemucs.HDemucs", kwargs=kwargs)
    model = converted("htdemucs", checkpoint)
    # Long enough for the recurrence to read it in several spans.
    audio = audio_like_music(6 * 44100 + 77)
    assert distance(model(audio).audio, theirs(audio)) < 1e-5


@pytest.mark.parametrize(
    "kwargs",
    [
        # The third version; its depth is less here, its deepest layers are those of the published one.
        {"depth": 5, "channels": 8, "dconv_lstm": 3, "dconv_attn": 4, "norm_starts": 3},
        # The second version.
        {"depth": 4, "channels": 8, "dconv_mode": 0, "gelu": False, "lstm_layers": 2},
        {"depth": 3, "channels": 8, "dconv_mode": 3, "resample": False, "normalize": False, "context": 2},
    ],
    ids=["third", "second", "both-branches"],
)
def test_demucs_in_the_time_domain(kwargs):
    kwargs = {"sources": SOURCES, "segment": 2} | kwargs
    theirs = reference("demucs.demucs", "Demucs")(**kwargs).eval()
    excite(theirs, 7)
    model = converted("htdemucs", checkpoint_of(theirs, class_name="demucs.demucs.Demucs", kwargs=kwargs))
    for num_samples in (60001, 4096, 11):
        audio = audio_like_music(num_samples)
        assert distance(model(audio).audio, theirs(audio)) < 1e-5
        assert model.net.valid_length(num_samples) == theirs.valid_length(num_samples)
