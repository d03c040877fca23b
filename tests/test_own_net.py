"""A net of another package: the page about it runs, and none of its code does unless the user says so."""

import importlib
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import write_track

from auralflow.cli import main
from auralflow.config import ModelConfig
from auralflow.errors import AuralflowError, NotFoundError, SettingsError, UsageError
from auralflow.models import load, read_model_config
from auralflow.nets.families import create_model, find_family
from auralflow.separation import Separator

PAGE = (Path(__file__).parent.parent / "docs" / "guides" / "extending.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("## Your own net")[2].partition("\n## ")[0]
FILES = dict(re.findall(r"`(band_nets/[\w./]+)`:\n\n```\w+\n(.*?)```", SECTION, re.DOTALL))
COMMANDS = re.search(r"```bash\n(.*?)```", SECTION, re.DOTALL)[1].splitlines()
QUICK = ["--max-epochs", "2", "--max-samples", "8", "--batch-size", "4", "--num-workers", "0"]


def forget(package):
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The page's package, as pip installs it, in a folder of its own."""
    folder = tmp_path_factory.mktemp("own")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    assert COMMANDS[0] == "pip install ./band_nets"
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"),
            *("--no-build-isolation", "--disable-pip-version-check"),
            *("--target", folder / "site", folder / "band_nets"),
        ],
        check=True,
    )
    return folder / "site"


@pytest.fixture
def band_nets(installed, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(installed)
    yield
    forget("band_nets")


def configure(*more):
    return main(["config", "BandNet", "--family", "band_nets", "--save", "my_band", "--vocals", *more])


def test_the_page_about_a_net_of_your_own_runs(band_nets, tmp_path, capsys):
    assert set(FILES) == {
        "band_nets/pyproject.toml",
        "band_nets/band_nets/__init__.py",
        "band_nets/band_nets/model.py",
    }
    for subset in ("train", "valid", "test"):
        write_track(tmp_path / "path" / "to" / "dataset" / subset / "song", rate=44100, seconds=3, channels=1)
    audio = np.random.default_rng(0).standard_normal((44100, 2)) / 10
    soundfile.write(tmp_path / "song.wav", audio, 44100)
    done = []
    for line in COMMANDS[1:]:
        program, *words = shlex.split(line)
        assert program == "auralflow"
        extra = QUICK if words[0] == "train" else ["--device", "cpu"] if words[0] == "separate" else []
        assert main([*words, *extra]) == 0, (line, capsys.readouterr().err)
        done.append(words[0])
    assert done == ["config", "train", "separate", "evaluate", "export"]
    stored = json.loads((tmp_path / "my_band" / "model.json").read_text())
    assert (stored["family"], stored["net"], stored["num_fft"]) == ("band_nets", "BandNet", 1024)
    stems = tmp_path / "separated_audio" / "song"
    assert {path.name for path in stems.iterdir()} == {"original.wav", "vocals.wav"}

    model = load("my_band", trust_code="band_nets")
    samples = audio.T.astype(np.float32)
    expected = Separator(model).separate(samples, 44100)
    found = Separator(model, backend="onnx").separate(samples, 44100)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert json.loads((tmp_path / "my_band" / "summary.json").read_text())["epochs"]


def test_a_net_without_its_family_is_refused_with_the_option_that_names_it(capsys):
    def error(net):
        assert main(["config", net, "--vocals"]) == 2
        return " ".join(capsys.readouterr().err.split())

    assert error("QuintetMixer").endswith("auralflow config QuintetMixer --family FAMILY")
    misspelt = error("SCNett")
    assert 'Did you mean "SCNet"?' in misspelt
    assert "--family" not in misspelt


def test_the_options_of_such_a_net_are_those_of_its_settings(band_nets, capsys):
    assert main(["config", "BandNet", "--help", "--family=band_nets"]) == 0
    help_page = capsys.readouterr().out
    assert "--num-fft" in help_page
    assert "Length of the Fourier transform." in help_page
    assert configure("--num-fft", "7") == 2
    assert "--num-fft is 7" in capsys.readouterr().err


def test_no_code_runs_because_a_model_folder_says_so(band_nets, tmp_path, capsys):
    assert configure() == 0
    forget("band_nets")
    commands = (
        ["train", "my_band", "dataset"],
        ["separate", "my_band", "song.wav"],
        ["evaluate", "my_band", "dataset"],
        ["export", "my_band", "my_band.onnx"],
    )
    (tmp_path / "song.wav").write_bytes(b"")
    (tmp_path / "dataset/train").mkdir(parents=True)
    for command in commands:
        capsys.readouterr()
        assert main(command) == 2
        assert "--family band_nets, or --trust-code" in capsys.readouterr().err.replace("\n", " ")
        # Another family that is trusted does not help.
        assert main([*command, "--family", "openunmix"]) == 2
    for wrong in (False, "other", "band_nets:FAMILY"):
        with pytest.raises(UsageError, match="'band_nets' is not built in"):
            load("my_band", trust_code=wrong)
    assert "band_nets" not in sys.modules
    assert read_model_config(tmp_path / "my_band", trust_code=True).net == "BandNet"
    assert "band_nets" in sys.modules


def test_a_family_without_an_entry_point_is_named_by_its_place(band_nets, tmp_path):
    assert main(["config", "BandNet", "--family", "band_nets:FAMILY", "--save", "placed", "--bass"]) == 0
    assert json.loads((tmp_path / "placed" / "model.json").read_text())["family"] == "band_nets:FAMILY"
    config = read_model_config(tmp_path / "placed", trust_code="band_nets:FAMILY")
    assert create_model(config).targets == ("bass",)


@pytest.mark.parametrize(
    ("name", "error", "complaint"),
    [
        ("nothing_of_this_name:FAMILY", NotFoundError, "no installed package has the family"),
        ("band_nets:NOTHING", NotFoundError, "cannot load the family of nets 'band_nets:NOTHING'"),
        ("band_nets.nothing:FAMILY", NotFoundError, "cannot load the family"),
        (
            "band_nets:BandConfig",
            SettingsError,
            "is not a family of nets: found ModelMetaclass, expected a Fam",
        ),
        ("os:system", SettingsError, "is not a family of nets"),
        ("band_net", SettingsError, r"unknown family of nets 'band_net' \(did you mean 'band_nets'\?\)"),
    ],
)
def test_what_is_no_family_is_one_line(band_nets, name, error, complaint):
    with pytest.raises(error, match=complaint) as raised:
        find_family(name, trust_code=True)
    assert "\n" not in str(raised.value)


def test_what_lies_in_the_current_folder_is_not_installed(tmp_path, monkeypatch):
    (tmp_path / "planted.py").write_text("raise SystemExit('this must not run')")
    monkeypatch.chdir(tmp_path)
    for entry in ("", str(tmp_path)):
        monkeypatch.setattr(sys, "path", [entry, *sys.path])
        importlib.invalidate_caches()
        with pytest.raises(NotFoundError, match="the current folder does not count"):
            find_family("planted:FAMILY", trust_code=True)


def test_settings_of_no_class_of_their_own_run_nothing():
    with pytest.raises(AuralflowError, match="is not built in"):
        create_model(ModelConfig(family="os:system", net="x"))
