"""The keyword settings of a separator are typed, and are those of its settings class; stems come by name."""

import ast
import inspect
import io
import subprocess
import sys
import typing
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from separating import RATE, noise, small_model, write_song

from auralflow.config import EngineConfig, EngineKeywords, StemConfig, data, training
from auralflow.models import load
from auralflow.separation import Separator, separate_file, separate_files

SNIPPET = """
import auralflow

auralflow.Separator("htdemucs", overlap=0.5, two_stems="vocals", targets="vocals,bass")
auralflow.Separator("htdemucs", overlop=0.5)
auralflow.Separator("htdemucs", overlap="half")
stems = auralflow.Separator().separate_stems("song.mp3")
reveal_type(stems["vocals"])
auralflow.Seperator("htdemucs")
auralflow.models.lod("htdemucs")
from auralflow.config import TrainConfig
TrainConfig(max_epochs=3, criterion="l1", alpha=0.5)
TrainConfig(max_epochz=3)
TrainConfig(criterion="l3")
reveal_type(TrainConfig().max_epochs)
TrainConfig().max_epochz
"""


def test_the_keywords_are_the_fields_of_the_settings_and_take_what_these_take():
    hints = typing.get_type_hints(EngineKeywords)
    assert hints.keys() == EngineConfig.model_fields.keys()
    for name, field in EngineConfig.model_fields.items():
        # What the settings hold may be written; some may be written in other ways too.
        held = set(typing.get_args(field.annotation)) or {field.annotation}
        assert held <= (set(typing.get_args(hints[name])) or {hints[name]}), name
    assert Separator.__init__.__annotations__["changes"] == typing.Unpack[EngineKeywords]


def test_help_shows_each_setting_with_its_type_default_and_meaning():
    parameters = inspect.signature(Separator).parameters
    _, _, described = Separator.__doc__.partition("Args:")
    words = " ".join(described.split())
    for name, field in EngineConfig.model_fields.items():
        shown = parameters[name]
        assert shown.kind is shown.KEYWORD_ONLY
        assert shown.default == field.default
        assert shown.annotation == typing.get_type_hints(EngineKeywords)[name]
        # For IDEs, which do not run code, the docstring repeats the description, and the default.
        default = (
            ""
            if "Default:" in field.description or field.default is None
            else f" Default: ``{field.default!r}``."
        )
        assert f" {name}: {field.description}{default} " in words
    for function in (Separator.separate, Separator.separate_stems, separate_file, separate_files, load):
        assert "lambda" not in str(inspect.signature(function))


@pytest.mark.parametrize("function", [separate_file, separate_files])
def test_the_options_for_files_are_in_the_signature_and_described_in_their_class(function):
    parameters = inspect.signature(function).parameters
    for name, field in StemConfig.model_fields.items():
        assert parameters[name].default == field.default
        assert f"    {name}: {field.description}\n" in StemConfig.__doc__ + "\n"


@pytest.mark.slow
def test_mypy_finds_misspelt_settings_and_names(tmp_path):
    path = tmp_path / "snippet.py"
    path.write_text(SNIPPET)
    done = subprocess.run(
        # Without our settings, which disable some errors in tests.
        [sys.executable, "-m", "mypy", "--config-file=", "--cache-dir", tmp_path / "cache", path],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = defaultdict(str)
    for line in done.stdout.splitlines():
        if ".py:" in line:
            _, number, text = line.split(":", 2)
            lines[int(number)] += text
    assert lines.keys() == {5, 6, 8, 9, 10, 13, 14, 15, 16}, done.stdout
    assert "overlop" in lines[5]
    assert "overlap" in lines[6]
    assert "ndarray" in lines[8]
    assert "Separator" in lines[9]
    assert "load" in lines[10]
    assert "max_epochz" in lines[13]
    assert "l3" in lines[14]
    assert "int" in lines[15]
    assert "max_epochs" in lines[16]


@pytest.mark.parametrize(
    ("module", "name"), [(training, "LossConfig"), (data, "ChangeConfig")], ids=["losses", "changes"]
)
def test_settings_made_of_classes_look_to_type_checkers_as_they_are(module, name):
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    [declared] = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == name]
    types = {
        line.target.id: eval(ast.unparse(line.annotation), vars(module))
        for line in declared.body
        if isinstance(line, ast.AnnAssign)
    }
    fields = getattr(module, name).model_fields
    assert types == {field: info.annotation for field, info in fields.items()}
    assert list(types) == list(fields)


def test_every_kind_of_source_gives_stems_by_name(tmp_path):
    separator = Separator(small_model(), targets=["drums", "vocals"])
    path = write_song(tmp_path / "song.wav", noise(), RATE, "FLOAT")
    expected = separator.separate(path)
    sources = {
        "path": path,
        "text": str(path),
        "array": noise(),
        "tensor": torch.from_numpy(noise()),
        "file": io.BytesIO(path.read_bytes()),
    }
    for kind, source in sources.items():
        stems = separator.separate_stems(source, RATE)
        assert list(stems) == ["drums", "vocals"]
        for stem, wanted in zip(stems.values(), expected, strict=True):
            assert isinstance(stem, torch.Tensor if kind == "tensor" else np.ndarray)
            np.testing.assert_array_equal(np.asarray(stem), wanted)
