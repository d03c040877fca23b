"""What holds for everything that can be imported: paths may be text, and a model may be left out or named."""

import importlib
import inspect

import numpy as np
import pytest
from conftest import RATE, tiny_config

import auralflow
from auralflow.audio import read_audio, write_audio
from auralflow.cli import main
from auralflow.errors import NotFoundError
from auralflow.models import create_model, create_model_folder, save_weights
from auralflow.models.lookup import DEFAULT_MODEL, is_model

PACKAGES = (
    "audio", "datasets", "evaluation", "models", "separation", "synth", "trainer", "visualizer",
)  # fmt: skip


def functions(packages=PACKAGES):
    for package in packages:
        module = importlib.import_module(f"auralflow.{package}")
        for name in module.__all__:
            found = getattr(module, name)
            if inspect.isfunction(found):
                yield f"{package}.{name}", found


@pytest.mark.parametrize(("name", "function"), list(functions()))
def test_a_public_function_that_takes_a_path_takes_text(name, function):
    for parameter in inspect.signature(function).parameters.values():
        annotation = str(parameter.annotation)
        if "Path" in annotation:
            assert "str" in annotation, f"{name}({parameter.name}: {annotation})"


@pytest.mark.parametrize(("name", "function"), list(functions((*PACKAGES, "app", "diagnosis"))))
def test_a_signature_shows_defaults_that_a_reader_understands(name, function):
    for parameter in inspect.signature(function).parameters.values():
        shown = repr(parameter.default)
        assert parameter.default is parameter.empty or (" at 0x" not in shown and len(shown) < 100), shown


@pytest.fixture
def song(tmp_path, monkeypatch):
    monkeypatch.setenv("AURALFLOW_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    audio = 0.1 * np.random.default_rng(0).standard_normal((2, RATE)).astype(np.float32)
    write_audio("song.wav", audio, RATE)
    return "song.wav"


@pytest.fixture
def folder(tmp_path):
    config = tiny_config(targets=("vocals",))
    create_model_folder(str(tmp_path / "my_model"), config)
    save_weights(create_model(config), str(tmp_path / "my_model" / "model.safetensors"))
    return str(tmp_path / "my_model")


def test_a_separator_takes_a_model_its_folder_its_name_or_nothing(song, folder):
    assert auralflow.Separator(folder).targets == ("vocals",)
    assert auralflow.Separator(auralflow.models.load(folder)).targets == ("vocals",)
    ours = auralflow.Separator()
    assert ours.targets == auralflow.Separator(DEFAULT_MODEL).targets
    audio, rate = read_audio(song)
    assert ours.separate(song).shape == (4, *audio.shape)
    assert rate == RATE
    with pytest.raises(NotFoundError, match=r"did you mean 'umxhq'"):
        auralflow.Separator("umxhqq")


def test_separate_without_a_model_takes_the_one_that_ships_and_says_so(song, capsys):
    assert main(["separate", song, "--duration", "0.3", "--save", "out"]) == 0
    said = capsys.readouterr().err
    assert f"using the bundled model {DEFAULT_MODEL}" in " ".join(said.split())
    assert "auralflow models" in said


def test_the_first_word_is_a_model_only_if_it_is_a_folder_of_one_or_a_name(song, folder, tmp_path, capsys):
    assert [is_model(word) for word in (folder, DEFAULT_MODEL, song, str(tmp_path), "nowhere")] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert main(["separate", folder, song, "--save", "out"]) == 0
    assert "using the bundled model" not in " ".join(capsys.readouterr().err.split())
    # A folder of songs is not taken for a model, whatever its name.
    (tmp_path / "umxhq").mkdir()
    (tmp_path / song).rename(tmp_path / "umxhq" / song)
    assert main(["separate", "umxhq", "--duration", "0.3", "--save", "out"]) == 0
    assert "using the existing path" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["umxhqq", "song.wav"], "no model, file or folder 'umxhqq' (did you mean 'umxhq'?)"),
        (["umxhqq"], "did you mean 'umxhq'?"),
        (["nothing", "song.wav"], "expected a folder with a model.json, a name listed by auralflow models"),
        (["nothing.wav"], "no such file or folder: 'nothing.wav'"),
        (["umxhq", "song.wav"], "umxhq is not on this machine"),
        ([DEFAULT_MODEL], f"only '{DEFAULT_MODEL}', which is a model"),
    ],
)
def test_a_first_word_that_is_neither_is_said_in_one_line(song, capsys, tmp_path, monkeypatch, words, said):
    monkeypatch.setenv("AURALFLOW_HOME", str(tmp_path / "home"))
    assert main(["separate", *words]) != 0
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert said in line
