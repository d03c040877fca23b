"""Pretrained names on the command line and in Python: every command that takes a model takes one."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import RATE, write_track
from pretrained_makers import FOUR, NAME, Shelf, make_card, make_weights, serving

from auralflow.audio import write_audio
from auralflow.cli import main
from auralflow.errors import ModelError, NotFoundError, UsageError
from auralflow.models import Access, ModelCard, installed_registry, load
from auralflow.models.folder import load_weights, read_weights
from auralflow.models.loading import save_pretrained
from auralflow.models.lookup import is_pretrained, read_model_config
from auralflow.nets.unet.model import SpectrogramMaskModel
from auralflow.storage import write_json


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """The installed pretrained models are one tiny one, which is shipped."""
    # As deep as in a checkout, whose root is looked at.
    shelf = Shelf(tmp_path / "root" / "src" / "auralflow" / "models")
    shelf.ship()
    monkeypatch.setattr("auralflow.models.registry.PACKAGE_FOLDER", shelf.registry.folder)
    monkeypatch.setattr("auralflow.models.registry.PUBLIC_FOLDER", tmp_path / "nothing public")
    monkeypatch.setenv("AURALFLOW_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("AURALFLOW_MIRROR", raising=False)
    monkeypatch.setenv("AURALFLOW_OFFLINE", "1")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return shelf


@pytest.fixture
def song(tmp_path):
    generator = np.random.default_rng(0)
    path = tmp_path / "song.wav"
    write_audio(path, 0.1 * generator.standard_normal((2, RATE)).astype(np.float32), RATE)
    return path


def run(*words):
    return main([str(word) for word in words])


AUDIO = 0.1 * torch.randn(1, 1, 3 * RATE, generator=torch.Generator().manual_seed(0))


# load


def test_a_name_loads_in_float32_from_half_precision(shelf):
    model = load(NAME)
    assert not model.training
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert torch.allclose(model.separate(AUDIO), shelf.model.separate(AUDIO), atol=1e-2)
    whole = SpectrogramMaskModel(shelf.card.settings).eval()
    load_weights(whole, shelf.weights)
    assert torch.equal(model.separate(AUDIO), whole.separate(AUDIO))


@pytest.mark.parametrize("target", FOUR)
def test_a_target_of_a_name_is_estimated_as_by_the_whole(shelf, target):
    model = load(model=NAME, target=target)
    assert model.targets == (target,)
    assert torch.allclose(
        model.separate(AUDIO)[:, 0], load(NAME).separate(AUDIO)[:, FOUR.index(target)], atol=1e-7
    )


def test_a_path_that_exists_wins_over_a_name(shelf, tmp_path):
    save_pretrained(NAME, tmp_path / "here" / NAME, targets=("bass",))
    assert not is_pretrained(NAME)
    assert load(NAME).targets == ("bass",)
    assert load(f"./{NAME}").targets == ("bass",)


def test_a_path_is_never_taken_for_a_name(shelf):
    with pytest.raises(NotFoundError, match=f"no model './{NAME}'"):
        load(f"./{NAME}")
    with pytest.raises(NotFoundError, match=r"no model 'Tny' \(did you mean 'Tiny'\?\)"):
        load("Tny")


def test_weights_of_another_net_than_the_card_describes_are_refused(shelf, tmp_path):
    shelf.put(make_card(shelf.weights, settings={"num_hidden_channels": 3}))
    with pytest.raises(ModelError, match="the weights of the net"):
        load(NAME)


def test_a_checkout_lends_its_weights(shelf, tmp_path):
    (shelf.registry.folder / NAME / "weights.safetensors").unlink()
    with pytest.raises(ModelError, match="not on this machine"):
        load(NAME)
    root = tmp_path / "root"
    shelf.place(root / "pretrained" / shelf.card.file)
    with pytest.raises(ModelError, match="not on this machine"):
        load(NAME)
    (root / "pyproject.toml").write_text("")
    assert load(NAME).targets == FOUR


class Installation:
    """What an installer left beside the packages."""

    def __init__(self, noted):
        self.noted = noted

    def read_text(self, name):
        assert name == "direct_url.json"
        return self.noted


def test_a_copy_that_was_installed_from_a_checkout_uses_its_weights(shelf, tmp_path, monkeypatch):
    (shelf.registry.folder / NAME / "weights.safetensors").unlink()
    checkout = tmp_path / "my checkout"
    shelf.place(checkout / "pretrained" / shelf.card.file)
    noted = json.dumps({"url": checkout.as_uri(), "dir_info": {}})
    monkeypatch.setattr("importlib.metadata.distribution", lambda _: Installation(noted))
    assert load(NAME).targets == FOUR


@pytest.mark.parametrize("noted", [None, "", "rubbish", "[]", "{}", '{"url": "https://example.org/a.whl"}'])
def test_a_copy_from_elsewhere_looks_for_no_checkout(noted, monkeypatch, tmp_path):
    monkeypatch.setattr("auralflow.models.registry.PACKAGE_FOLDER", tmp_path / "a" / "b" / "c" / "d")
    monkeypatch.setattr("importlib.metadata.distribution", lambda _: Installation(noted))
    assert installed_registry().checkout is None


# download


def test_download_makes_a_model_folder_of_its_own(shelf, tmp_path, capsys):
    assert run("download", NAME, "--save", tmp_path / "mine") == 0
    assert capsys.readouterr().out == f"wrote {tmp_path / 'mine'}\n"
    assert torch.equal(load(tmp_path / "mine").separate(AUDIO), load(NAME).separate(AUDIO))
    assert ModelCard.read(tmp_path / "mine" / "card.json") == shelf.card
    assert (tmp_path / "mine" / "model.safetensors").read_bytes() == shelf.weights.read_bytes()


@pytest.mark.parametrize("targets", [("vocals",), ("bass", "vocals"), ("drums", "bass", "other")])
def test_a_restricted_download_estimates_the_same(shelf, tmp_path, targets):
    options = (
        ["--target", ",".join(targets)] if len(targets) < 3 else [w for t in targets for w in ("--target", t)]
    )
    assert run("download", NAME, "--save", tmp_path / "mine", *options) == 0
    folder = tmp_path / "mine"
    assert read_model_config(folder).targets == targets
    rows = [FOUR.index(target) for target in targets]
    assert torch.allclose(load(folder).separate(AUDIO), load(NAME).separate(AUDIO)[:, rows], atol=1e-7)
    assert read_weights(folder / "model.safetensors")["net.head.weight"].dtype == torch.float16
    assert (folder / "model.safetensors").stat().st_size < shelf.card.size
    card = ModelCard.read(folder / "card.json")
    assert card.targets == targets
    assert card.size == (folder / "model.safetensors").stat().st_size
    assert {target for row in card.scores[0].tracks for target in row.targets} == set(targets)


def test_targets_under_a_softmax_cannot_be_taken_apart(tmp_path, shelf):
    other = Shelf(tmp_path / "softmax", mask_act_fn="softmax")
    other.ship()
    with pytest.raises(UsageError, match=r"are estimated together.*auralflow separate --targets"):
        save_pretrained(NAME, tmp_path / "mine", targets=("vocals",), registry=other.registry)
    assert not (tmp_path / "mine").exists()
    save_pretrained(NAME, tmp_path / "mine", targets=FOUR, registry=other.registry)
    assert load(tmp_path / "mine").targets == FOUR


def test_download_of_an_unknown_target_changes_nothing(shelf, tmp_path, capsys):
    assert run("download", NAME, "--save", tmp_path / "mine", "--target", "flute") == 2
    assert "no target 'flute': expected vocals, drums, bass, other" in capsys.readouterr().err
    assert not (tmp_path / "mine").exists()


def test_download_overwrites_no_model_unless_forced(shelf, tmp_path, capsys):
    folder = tmp_path / "mine"
    assert run("download", NAME, "--save", folder) == 0
    (folder / "notes.txt").write_text("mine")
    before = (folder / "model.json").read_bytes()
    assert run("download", NAME, "--save", folder, "--target", "bass") == 2
    assert "already contains a model" in capsys.readouterr().err
    assert (folder / "model.json").read_bytes() == before
    assert run("download", NAME, "--save", folder, "--target", "bass", "--force") == 0
    assert load(folder).targets == ("bass",)
    assert (folder / "notes.txt").read_text() == "mine"
    [previous] = folder.glob("previous-*")
    assert load(previous).targets == FOUR


def test_download_offline_leaves_the_network_alone(shelf, tmp_path, monkeypatch, capsys):
    (shelf.registry.folder / NAME / "weights.safetensors").unlink()
    monkeypatch.delenv("AURALFLOW_OFFLINE")
    with serving(shelf.weights.read_bytes()) as server:
        monkeypatch.setenv("AURALFLOW_MIRROR", server.url)
        assert run("download", NAME, "--save", tmp_path / "mine", "--offline") == 1
        assert "not on this machine. Download them without" in capsys.readouterr().err
        assert server.paths == []
        assert not (tmp_path / "mine").exists()
        assert run("download", NAME, "--save", tmp_path / "mine") == 0
    assert load(tmp_path / "mine").targets == FOUR


# models


def test_models_lists_what_there_is_and_where(shelf, capsys):
    assert run("models") == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    head = lines.index(["model", "for", "dB", "CPU", "GPU", "MB", "licence", "weights"])
    assert [line for line in lines[head + 1 :] if line[:1] == [NAME]] == [
        [NAME, "4", "stems", "3.50", "S", "-", "-", "0", "CC0-1.0", "here"]
    ]


def test_models_as_json_are_the_cards(shelf, capsys):
    assert run("models", "--json") == 0
    [listed] = json.loads(capsys.readouterr().out)
    assert listed["weights"] == "shipped"
    assert listed["targets"] == list(FOUR)
    assert listed["sha256"] == shelf.card.sha256
    assert ModelCard.model_validate({name: listed[name] for name in ModelCard.model_fields}) == shelf.card


@pytest.mark.parametrize(("mirror", "word"), [("", "not there"), ("https://example.org/w", "downloadable")])
def test_models_tells_what_is_not_here(shelf, monkeypatch, capsys, mirror, word):
    (shelf.registry.folder / NAME / "weights.safetensors").unlink()
    monkeypatch.setenv("AURALFLOW_MIRROR", mirror)
    assert run("models", "--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["weights"] == word


def test_an_installation_without_pretrained_models_says_so(shelf, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(
        "auralflow.models.registry.PACKAGE_FOLDER", tmp_path / "a" / "b" / "c" / "d" / "nothing"
    )
    assert run("models") == 0
    assert capsys.readouterr().out == "no matching model\n"
    assert run("models", "--json") == 0
    assert json.loads(capsys.readouterr().out) == []
    assert run("download", "SpectrogramNetLSTM") == 2
    assert "no pretrained SpectrogramNetLSTM" in capsys.readouterr().err


def test_listing_loads_no_torch():
    code = "import sys; from auralflow.cli import main; main(['models']); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


# The other commands


def test_separate_takes_a_name(shelf, song, tmp_path, capsys):
    assert run("separate", NAME, song, "--save", tmp_path) == 0
    folder = tmp_path / "separated_audio" / "song"
    assert {path.stem for path in folder.glob("*.wav")} == {"original", *FOUR}
    assert "taken for" not in capsys.readouterr().err


def test_separate_takes_an_existing_path_and_says_so_in_a_line(shelf, song, tmp_path, capsys):
    save_pretrained(NAME, tmp_path / "here" / NAME, targets=("bass",))
    assert run("separate", NAME, song, "--save", tmp_path) == 0
    notes = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note:")]
    assert notes == [f"note: using the existing path '{NAME}', not the pretrained model of that name"]
    assert {path.stem for path in (tmp_path / "separated_audio" / "song").glob("*.wav")} == {
        "original",
        "bass",
    }


def test_separate_says_in_a_line_that_weights_are_missing(shelf, song, tmp_path, capsys):
    (shelf.registry.folder / NAME / "weights.safetensors").unlink()
    assert run("separate", NAME, song, "--save", tmp_path) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: the weights of Tiny are not on this machine.")
    assert error.count("\n") == 1


def test_evaluate_takes_names_and_folders_side_by_side(shelf, tmp_path, capsys):
    write_track(tmp_path / "data" / "test" / "Song", seconds=1)
    save_pretrained(NAME, tmp_path / "copy")
    arguments = [
        NAME,
        tmp_path / "copy",
        tmp_path / "data",
        "--no-bounds",
        "--save",
        tmp_path / "scores.json",
    ]
    assert run("evaluate", *arguments) == 0
    systems = json.loads((tmp_path / "scores.json").read_text())["systems"]
    assert list(systems) == [NAME, "copy"]
    assert systems[NAME]["tracks"] == systems["copy"]["tracks"]


def test_export_takes_a_name(shelf, tmp_path):
    pytest.importorskip("onnxscript")
    assert run("export", NAME, tmp_path / "net.onnx") == 0
    assert (tmp_path / "net.onnx").stat().st_size > 1000


def test_train_starts_from_the_weights_of_a_name(shelf, tmp_path, dataset, capsys):
    save_pretrained(NAME, tmp_path / "mine")
    (tmp_path / "mine" / "model.safetensors").unlink()
    options = ["--max-epochs", 1, "--max-samples", 2, "--batch-size", 2, "--num-workers", 0, "--lr", 1e-12]
    options += ["--weight-decay", 0, "--valid-samples", 1, "--silent"]
    assert run("train", tmp_path / "mine", dataset, "--init", NAME, *options) == 0, capsys.readouterr().err
    trained, start = load(tmp_path / "mine").state_dict(), load(NAME).state_dict()
    weights = [name for name in start if "running" not in name and "num_batches" not in name]
    assert all(torch.allclose(trained[name], start[name], atol=1e-6) for name in weights)


def test_a_name_cannot_be_trained_but_its_download_can(shelf, tmp_path, dataset, capsys):
    assert run("train", NAME, dataset) == 2
    assert "Run: auralflow download Tiny --save my_model, then train my_model" in capsys.readouterr().err
    assert run("download", NAME) == 0
    options = ["--max-epochs", 1, "--max-samples", 2, "--batch-size", 2, "--num-workers", 0, "--lr", 1e-4]
    command = ["train", "my_model", dataset, "--init", NAME, *options, "--valid-samples", 1, "--silent"]
    assert run(*command) == 2
    assert run(*command, "--force") == 0, capsys.readouterr().err
    # The card tells of the weights that were downloaded, and goes with them.
    assert not Path("my_model/card.json").exists()
    assert len(list(Path("my_model").glob("previous-*/card.json"))) == 1
    tuned, start = load("my_model").state_dict(), load(NAME).state_dict()
    moved = max((tuned[name] - start[name]).abs().max() for name in start if name.endswith("weight"))
    assert 0 < moved < 1e-3


def test_train_does_not_begin_without_the_weights_it_shall_start_from(shelf, tmp_path, dataset, capsys):
    save_pretrained(NAME, tmp_path / "mine")
    before = sorted(path.name for path in (tmp_path / "mine").iterdir())
    assert run("train", tmp_path / "mine", dataset, "--init", "Nobody", "--force") == 2
    assert "no model 'Nobody'" in capsys.readouterr().err
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == before


def test_plot_draws_the_training_of_a_name_into_this_folder(shelf, tmp_path, capsys):
    write_json(shelf.registry.folder / NAME / "summary.json", {"epochs": [{"epoch": 1, "train_loss": 1.0}]})
    assert run("plot", NAME) == 0
    assert (tmp_path / "here" / f"{NAME}.training.png").is_file()
    assert run("plot", "Nobody") == 2
    assert "no such file or folder: 'Nobody'" in capsys.readouterr().err


def test_a_download_for_a_command_goes_through_the_mirror(shelf, song, tmp_path, monkeypatch):
    make_weights(shelf.weights, seed=1)
    shelf.put(make_card(shelf.weights))
    monkeypatch.setenv("AURALFLOW_OFFLINE", "0")
    with serving(shelf.weights.read_bytes(), "cut", "whole") as server:
        monkeypatch.setenv("AURALFLOW_MIRROR", server.url)
        assert run("separate", NAME, song, "--save", tmp_path) == 0
        assert len(server.paths) == 2
    access = Access(tmp_path / "home", offline=True)
    assert load(NAME, access=access).targets == FOUR
