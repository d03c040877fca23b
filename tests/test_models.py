"""The wrapper and the model folder: identity, determinism, and files that do not fit."""

import json
import os
import pickle

import pytest
import torch
from conftest import constant_model, tiny_config
from hypothesis import given, settings
from hypothesis import strategies as st

from auralflow.config import SOURCES
from auralflow.errors import ModelError, NotFoundError, UsageError
from auralflow.models import create_model_folder, load, load_weights, read_model_config, save_weights
from auralflow.models.folder import MODEL_FILE, WEIGHTS_FILE
from auralflow.nets.families import settings_of_net
from auralflow.nets.unet import NETS, SpectrogramNetConfig
from auralflow.nets.unet.model import SpectrogramMaskModel
from auralflow.transforms import reconstruct


@settings(deadline=None, max_examples=40)
@given(
    num_samples=st.integers(1, 20000),
    overlap=st.floats(0, 0.9),
    batch_size=st.integers(1, 5),
    sample_length=st.floats(0.1, 1),
    channels=st.integers(1, 2),
)
def test_a_mask_of_ones_returns_the_input(num_samples, overlap, batch_size, sample_length, channels):
    model = constant_model(1.0, num_channels=channels, sample_length=sample_length)
    audio = torch.rand(1, channels, num_samples) * 2 - 1
    estimate = model.separate(audio, overlap=overlap, batch_size=batch_size)
    assert estimate.shape == (1, 1, channels, num_samples)
    assert torch.allclose(estimate[:, 0], audio, atol=1e-5)


def test_masks_that_sum_to_one_give_targets_that_sum_to_the_input():
    model = constant_model(0.25, 0.75)
    audio = torch.randn(2, 1, 9000)
    assert torch.allclose(model.separate(audio).sum(dim=1), audio, atol=1e-5)


def test_an_estimate_is_what_separate_gives_on_one_chunk():
    torch.manual_seed(0)
    model = SpectrogramMaskModel(tiny_config()).eval()
    audio = torch.randn(2, 1, model.config.chunk_samples)
    with torch.no_grad():
        expected = model(audio).audio
    assert torch.allclose(model.separate(audio), expected, atol=1e-6)


def test_estimate_is_the_masked_magnitude_with_the_mixtures_phase():
    model = SpectrogramMaskModel(tiny_config()).eval()
    estimate = model(torch.randn(1, 1, model.config.chunk_samples))
    expected = reconstruct(estimate.mask * estimate.mixture.abs().unsqueeze(1), estimate.mixture)
    assert torch.allclose(estimate.spectrogram, expected, atol=1e-5)


def test_no_samples_give_no_samples():
    assert constant_model(1.0).separate(torch.zeros(1, 1, 0)).shape == (1, 1, 1, 0)


@pytest.mark.parametrize("shape", [(100,), (1, 100), (1, 3, 100), (1, 1, 1, 100)])
def test_other_shapes_are_refused_with_the_expected_one(shape):
    with pytest.raises(UsageError, match=r"found shape .* expected \[batch, 1, samples\]"):
        constant_model(1.0).separate(torch.zeros(shape))


@pytest.mark.parametrize("net", NETS)
def test_a_saved_model_separates_as_before(net, tmp_path):
    kind = settings_of_net(net)
    small = {"hidden_size": 8} if net != "SpectrogramNetSimple" else {}
    config = kind(net=net, **tiny_config().model_dump(exclude={"net", "format_version"}), **small)
    torch.manual_seed(0)
    model = SpectrogramMaskModel(config).eval()
    create_model_folder(tmp_path, config)
    save_weights(model, tmp_path / WEIGHTS_FILE)
    loaded = load(tmp_path)
    audio = torch.randn(1, 1, 9000)
    assert not loaded.training
    assert torch.equal(loaded.separate(audio), model.separate(audio))


def test_model_json_rebuilds_the_settings(tmp_path):
    config = tiny_config(normalize_input=True, mask_act_fn="elu")
    create_model_folder(tmp_path, config)
    assert read_model_config(tmp_path) == config


def test_a_target_can_be_picked(model_folder):
    folder = model_folder()
    audio = torch.randn(1, 1, 5000)
    both = load(folder).separate(audio)
    drums = load(folder, target="drums")
    assert drums.targets == ("drums",)
    assert torch.allclose(drums.separate(audio)[:, 0], both[:, 1], atol=1e-6)


@settings(deadline=None, max_examples=25)
@given(
    kept=st.permutations(SOURCES).flatmap(lambda names: st.integers(1, 4).map(lambda n: tuple(names[:n]))),
    channels=st.integers(1, 3),
    activation=st.sampled_from(["sigmoid", "prelu", "tanh"]),
    affine=st.booleans(),
)
def test_any_targets_in_any_order_are_estimated_as_by_the_whole(kept, channels, activation, affine):
    config = tiny_config(
        targets=SOURCES, num_channels=channels, mask_act_fn=activation, normalize_output=affine
    )
    model = SpectrogramMaskModel(config).eval()
    audio = torch.randn(1, channels, 5000)
    rows = [SOURCES.index(target) for target in kept]
    estimate = model.restricted(kept).separate(audio)
    assert torch.allclose(estimate, model.separate(audio)[:, rows], atol=1e-6)


def test_an_unknown_target_names_those_there_are(model_folder):
    with pytest.raises(NotFoundError, match="no target 'bass': expected vocals, drums"):
        load(model_folder(), target="bass")


def test_softmax_models_cannot_be_cut_down(model_folder):
    with pytest.raises(UsageError, match="which are estimated together"):
        load(model_folder(mask_act_fn="softmax"), target="vocals")


def test_a_folder_with_a_model_is_not_overwritten(tmp_path):
    create_model_folder(tmp_path, tiny_config())
    before = (tmp_path / MODEL_FILE).read_bytes()
    with pytest.raises(UsageError, match=r"already contains a model \(model\.json\).*`force`"):
        create_model_folder(tmp_path, tiny_config(num_fft=512))
    assert (tmp_path / MODEL_FILE).read_bytes() == before


def test_force_moves_the_earlier_model_aside(model_folder):
    folder = model_folder()
    (folder / "checkpoint").mkdir()
    (folder / "notes.txt").write_text("mine")
    weights = (folder / WEIGHTS_FILE).read_bytes()
    previous = create_model_folder(folder, tiny_config(num_fft=512), force=True)
    assert previous is not None
    assert (previous / WEIGHTS_FILE).read_bytes() == weights
    assert (previous / "checkpoint").is_dir()
    assert not (folder / WEIGHTS_FILE).exists()
    assert (folder / "notes.txt").read_text() == "mine"
    again = create_model_folder(folder, tiny_config(), force=True)
    assert again != previous


def test_missing_folders_and_weights_say_what_to_do(tmp_path, model_folder):
    with pytest.raises(NotFoundError, match=r"no model .*auralflow config"):
        load(tmp_path / "nothing")
    with pytest.raises(NotFoundError, match=r"has no model\.json"):
        load(tmp_path)
    with pytest.raises(NotFoundError, match=r"has no weights yet.*auralflow train"):
        load(model_folder(weights=False))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot read"),
        ("{}", "format version None"),
        ('{"format_version": 2}', "found format version 2, expected 1"),
        ('{"format_version": 1}', "net is missing"),
        ('{"format_version": 1, "net": "Nope"}', "unknown net 'Nope'"),
        ('{"format_version": 1, "net": "SpectrogramNetSimple", "num_ftt": 3}', "Did you mean 'num_fft'"),
        ('{"format_version": 1, "net": "SpectrogramNetSimple", "hidden_size": 8}', "unknown setting"),
    ],
)
def test_a_broken_model_json_is_a_failure_in_one_line(model_folder, content, message):
    folder = model_folder()
    (folder / MODEL_FILE).write_text(content)
    with pytest.raises(ModelError, match=message) as caught:
        load(folder)
    assert "\n" not in str(caught.value)


def test_weights_of_another_net_are_refused(model_folder, tmp_path):
    folder = model_folder()
    save_weights(SpectrogramMaskModel(tiny_config(num_hidden_channels=3)), folder / WEIGHTS_FILE)
    with pytest.raises(ModelError, match="the weights of the net"):
        load(folder)


@pytest.mark.parametrize("damage", ["truncated", "text", "pickle", "empty"])
def test_damaged_weights_are_refused(model_folder, damage):
    path = model_folder() / WEIGHTS_FILE
    content = {
        "truncated": path.read_bytes()[:-100],
        "text": b"not weights",
        "pickle": pickle.dumps({"net": 1}),
        "empty": b"",
    }[damage]
    path.write_bytes(content)
    with pytest.raises(ModelError, match="cannot read the weights"):
        load(path.parent)


def test_weights_in_half_precision_are_widened(model_folder):
    folder = model_folder()
    model = load(folder)
    half = {name: t.half() if t.is_floating_point() else t for name, t in model.state_dict().items()}
    save_weights(half, folder / WEIGHTS_FILE)
    loaded = load(folder)
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}
    load_weights(model, folder / WEIGHTS_FILE)


def test_saved_weights_are_the_same_bytes_each_time(tmp_path):
    torch.manual_seed(0)
    model = SpectrogramMaskModel(tiny_config())
    for name in ("a", "b"):
        save_weights(model, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.skipif(os.name != "posix", reason="file modes")
def test_weights_can_be_read_by_those_who_can_read_other_new_files(tmp_path):
    save_weights(SpectrogramMaskModel(tiny_config()), tmp_path / "weights")
    (tmp_path / "file").touch()
    assert (tmp_path / "weights").stat().st_mode == (tmp_path / "file").stat().st_mode


def test_model_json_is_readable_by_people(tmp_path):
    create_model_folder(tmp_path, SpectrogramNetConfig(targets=("vocals",)))
    values = json.loads((tmp_path / MODEL_FILE).read_text())
    assert values["net"] == "SpectrogramNetSimple"
    assert values["targets"] == ["vocals"]
