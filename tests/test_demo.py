"""The demonstration: it separates with the shipped weights a song that they were not trained on."""

import re
import shlex
from pathlib import Path

import pytest
from pretrained_makers import FOUR, Shelf

from auralflow.cli import main
from auralflow.config import read_settings

ROOT = Path(__file__).parent.parent
NAME = "SpectrogramNetSimple"


def demo_commands():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = re.search(r"^demo: .*\n((?:\t.*\n)+)", makefile, re.MULTILINE)[1].splitlines()
    words = [shlex.split(line.replace("$(BIN)/", "")) for line in lines]
    return [line[line.index("auralflow") + 1 :] for line in words if "auralflow" in line]


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """The name of the shipped model, with a tiny net behind it."""
    shelf = Shelf(tmp_path / "src" / "auralflow" / "models", name=NAME)
    shelf.ship()
    monkeypatch.setattr("auralflow.models.registry.PACKAGE_FOLDER", shelf.registry.folder)
    monkeypatch.setenv("AURALFLOW_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AURALFLOW_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)


def test_the_demo_separates_and_scores_offline_without_training(shipped, tmp_path, capsys):
    commands = demo_commands()
    assert [words[0] for words in commands] == ["synth", "separate", "evaluate"]
    for words in commands:
        if words[0] == "synth":
            words[words.index("--seconds") + 1] = "2"
        assert main(words) == 0, capsys.readouterr().err
    assert "SI-SDR improvement" in capsys.readouterr().out
    [folder] = (tmp_path / "demo" / "separated_audio").glob("Synth*")
    assert {path.stem for path in folder.glob("*.wav")} == {"original", "residual", *FOUR}


def test_the_song_of_the_demo_was_not_trained_on():
    [synth] = [words for words in demo_commands() if words[0] == "synth"]
    seed = int(synth[synth.index("--seed") + 1])
    data = read_settings(ROOT / "recipes" / "pretrained" / "data.json")
    trained = range(data["seed"], data["seed"] + len(data["generated"]))
    assert seed not in trained
