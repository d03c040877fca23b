"""The keyword settings of a separator are typed, and are those of its settings class; stems come by name."""

import inspect
import io
import subprocess
import sys
import typing
from collections import defaultdict

import numpy as np
import pytest
import torch
from separating import RATE, noise, small_model, write_song

from auralflow.config import EngineConfig, EngineKeywords
from auralflow.separation import Separator

SNIPPET = """
import auralflow

auralflow.Separator("htdemucs", overlap=0.5, two_stems="vocals", targets="vocals,bass")
auralflow.Separator("htdemucs", overlop=0.5)
auralflow.Separator("htdemucs", overlap="half")
stems = auralflow.Separator().separate_stems("song.mp3")
reveal_type(stems["vocals"])
auralflow.Seperator("htdemucs")
auralflow.models.lod("htdemucs")
"""


def test_the_keywords_are_the_fields_of_the_settings_and_take_what_these_take():
    hints = typing.get_type_hints(EngineKeywords)
    assert hints.keys() == EngineConfig.model_fields.keys()
    for name, field in EngineConfig.model_fields.items():
        # What the settings hold may be written; some may be written in other ways too.
        held = set(typing.get_args(field.annotation)) or {field.annotation}
        assert held <= (set(typing.get_args(hints[name])) or {hints[name]}), name
        assert f"        {name}: " in EngineKeywords.__doc__
    (changes,) = (
        parameter
        for parameter in inspect.signature(Separator).parameters.values()
        if parameter.kind is parameter.VAR_KEYWORD
    )
    assert changes.annotation == typing.Unpack[EngineKeywords]


@pytest.mark.slow
def test_mypy_finds_misspelt_settings_and_names(tmp_path):
    path = tmp_path / "snippet.py"
    path.write_text(SNIPPET)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--cache-dir", tmp_path / "cache", path],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = defaultdict(str)
    for line in done.stdout.splitlines():
        if ".py:" in line:
            _, number, text = line.split(":", 2)
            lines[int(number)] += text
    assert lines.keys() == {5, 6, 8, 9, 10}, done.stdout
    assert "overlop" in lines[5]
    assert "overlap" in lines[6]
    assert "ndarray" in lines[8]
    assert "Separator" in lines[9]
    assert "load" in lines[10]


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
