"""The commands suggested to users of other separators exist and can be parsed."""

import re
import shlex
from pathlib import Path

import pytest
from cyclopts import CycloptsError
from separating import fixed_model, noise, write_song

from auralflow.cli import app
from auralflow.models import installed_registry
from auralflow.separation import Separator, separate_file

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "coming-from.md").read_text(encoding="utf-8")
OURS = sorted(set(re.findall(r"`(auralflow [a-z][^`]*)`", PAGE)))
SHOWN = [
    line.partition(" #")[0]
    for block in re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("auralflow ")
]
PEERS = ("demucs", "Open-Unmix", "Spleeter", "audio-separator", "MSST")


@pytest.mark.parametrize("command", [*OURS, *SHOWN])
def test_the_command_would_be_understood(command):
    words = shlex.split(command)[1:]
    app.parse_args(words, exit_on_error=False, print_error=False)
    if words[0] == "separate" and not words[1].endswith(".mp3") and "my_model" not in words:
        assert words[1] in installed_registry().all_names


def test_an_option_that_does_not_exist_would_be_found():
    with pytest.raises(CycloptsError):
        app.parse_args(["separate", "song.mp3", "--karaoke"], exit_on_error=False, print_error=False)


def test_every_other_separator_has_its_calls_beside_ours():
    sections = re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]
    for peer in PEERS:
        (section,) = (text for text in sections if text.startswith(peer))
        rows = [line for line in section.splitlines() if line.startswith("| `")]
        assert len(rows) >= 5
        assert all("auralflow" in row.split(" | ")[1] for row in rows)


def test_options_in_the_text_exist():
    known = {name for argument in app["separate"].assemble_argument_collection() for name in argument.names}
    first = PAGE.partition("\n## ")[0]
    options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", first))
    assert options
    assert options <= known


def test_the_readme_is_short_and_opens_with_what_a_stranger_needs():
    assert len(README.encode()) < 10_000
    opening = README.partition("## ")[0]
    needed = (
        "git clone",
        "pip install",
        "package index",
        "auralflow separate song.mp3",
        ".ogg)",
        ".png)",
        "karaoke",
    )
    assert [word for word in needed if word not in opening] == []
    example = ROOT / "docs" / "static" / "example"
    assert sum(path.stat().st_size for path in example.iterdir()) < 1_000_000


@pytest.mark.parametrize("target", ["vocals", "instrumental"])
def test_models_of_one_stem_write_the_two_files_that_the_page_names(target, tmp_path):
    section = PAGE.partition("## audio-separator")[2].partition("\n## ")[0]
    assert section.count("--instrumental` |") == 2
    model = fixed_model(0.5)
    model.config = model.config.model_copy(update={"targets": (target,)})
    song = write_song(tmp_path / "song.wav", noise())
    separate_file(Separator(model, two_stems="vocals"), song, tmp_path / "stems")
    written = {path.name for path in (tmp_path / "stems").rglob("*.wav")}
    assert written == {"original.wav", "vocals.wav", "instrumental.wav"}
    assert all(f"`{name}`" in section for name in written - {"original.wav"})
