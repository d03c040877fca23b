"""The README and the pages are correct: their tables match the program, their commands run."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import RATE, write_track
from packaging.version import Version

import auralflow
from auralflow.audio import write_audio
from auralflow.cli import app, main

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted(page for page in (ROOT / "docs").rglob("*.md") if not {"_build", "api"} & set(page.parts))


def code_blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def auralflow_commands():
    lines = "".join(code_blocks("bash")).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.startswith("auralflow ")]


@pytest.mark.parametrize("name", ["tables.py", "reference_pages.py"])
def test_tables_are_those_of_the_program(name):
    script = ROOT / "docs" / name
    result = subprocess.run([sys.executable, script, "--check"], check=False)
    assert result.returncode == 0, "run: make readme"


def test_every_command_is_shown_in_an_example_and_no_other():
    pages = [page.read_text(encoding="utf-8") for page in PAGES if "reference" not in page.parts]
    shown = {
        line.split()[1]
        for text in (README, *pages)
        for block in re.findall(r"```(?:bash|console)\n(.*?)```", text, re.DOTALL)
        for line in block.splitlines()
        if re.match(r"auralflow [a-z]", line)
    }
    assert shown == {name for name in app if not name.startswith("-")}


SMALL: dict[str, dict[str, float]] = {
    # The reference sizes, made small enough for a test; every option stays as it stands in the README.
    "config": {"--num-hidden-channels": 2, "--hidden-size": 8, "--sample-length": 0.5, "--num-fft": 256}
    | {"--window-size": 256, "--hop-length": 128, "--sample-rate": RATE},
    "train": {"--max-samples": 4, "--batch-size": 2, "--max-epochs": 1, "--num-workers": 0},
    "synth": {"--tracks": 3},
}
EXTRA = {"doctor": ["--calibration", "0"], "train": ["--valid-samples", "2"], "synth": ["--seconds", "1"]}


def test_the_commands_run_in_an_order_that_makes_sense(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for index, name in enumerate(("train/a", "train/b", "valid/c", "test/d")):
        write_track(tmp_path / "path/to/dataset" / name, seed=index)
    write_audio(tmp_path / "path/to/files/song.wav", np.zeros((2, RATE), np.float32), RATE)
    commands = {line.split()[1]: shlex.split(line)[1:] for line in auralflow_commands()}
    for name in ("doctor", "completion", "config", "train", "separate", "evaluate", "synth"):
        arguments = commands[name]
        for option, value in SMALL.get(name, {}).items():
            if option in arguments:
                arguments[arguments.index(option) + 1] = str(value)
        if name == "synth":
            arguments[1] = "songs"
        assert main(arguments + EXTRA.get(name, [])) == 0, capsys.readouterr().err
    assert (tmp_path / "path/to/save/separated_audio/song/residual.wav").is_file()
    assert (tmp_path / "scores.json").is_file()


def test_the_reference_configuration_runs_verbatim(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = next(line for line in auralflow_commands() if line.startswith("auralflow config"))
    assert main(shlex.split(line)[1:]) == 0
    assert (tmp_path / "my_model" / "model.json").is_file()


@pytest.mark.parametrize("index", range(len(code_blocks("python"))))
def test_the_python_examples_run(index, tmp_path, monkeypatch, model_folder):
    monkeypatch.chdir(tmp_path)
    model_folder(name="my_model")
    names = {
        "audio": torch.zeros(1, 1, 5000),
        "samples": np.zeros((2, 5000), np.float32),
        "train_batches": [(torch.randn(1, 1, 132300), torch.randn(1, 2, 1, 132300))],
        "valid_batches": [(torch.randn(1, 1, 132300), torch.randn(1, 2, 1, 132300))],
    }
    code = code_blocks("python")[index].replace("max_epochs=10", "max_epochs=1")
    exec(compile(code, "README.md", "exec"), names)


EXAMPLES = [
    pytest.param(code, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, code in enumerate(
        re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL), 1
    )
]


@pytest.mark.parametrize("code", EXAMPLES)
def test_the_python_examples_of_the_documentation_run(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "example", "exec"), {})


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.stem)
def test_links_within_the_repository_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\((?!http|#)([^)#]+)(?:#[^)]*)?\)", text):
        assert (page.parent / target).exists(), target


def test_the_changelog_tells_of_this_version_and_of_no_later_one():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)$", changelog, re.MULTILINE)
    # What is being worked on stands first, until it gets its number and its date.
    is_open = headings[0] == "[Unreleased]"
    dated = [re.fullmatch(r"\[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d", line) for line in headings[is_open:]]
    assert all(dated), headings
    versions = [Version(heading[1]) for heading in dated]
    assert versions == sorted(set(versions), reverse=True)
    current = Version(auralflow.__version__)
    assert all(version <= current for version in versions) if is_open else versions[0] == current
