"""docs/data.md is correct: its commands and examples run, and its defaults match the settings."""

import re
import shlex
from pathlib import Path

from dataset_makers import write_track
from test_data_import import write_medleydb, write_slakh, write_stem_file

from auralflow.cli import main
from auralflow.config import TrainConfig, option_name
from auralflow.datasets import index_split

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
EXTRA = {
    "synth": ["--seconds", "2"],
    "config": [
        *("--num-hidden-channels", "1", "--num-fft", "256", "--window-size", "256"),
        *("--hop-length", "128", "--sample-length", "0.5"),
    ],
    "train": ["--max-epochs", "1", "--max-samples", "2", "--batch-size", "2", "--num-workers", "0"],
}


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_commands_run_in_the_order_of_the_page(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_stem_file(tmp_path / "MUSDB18" / "train" / "A.stem.mp4", seconds=0.2)
    write_track(tmp_path / "MUSDB18-HQ" / "train" / "A", mixture=True)
    write_medleydb(tmp_path / "MedleyDB")
    write_slakh(tmp_path / "slakh2100")
    for text in blocks("yaml"):
        (tmp_path / text.splitlines()[0].removeprefix("# ")).write_text(text)
    lines = [line for block in blocks("bash") for line in block.splitlines()]
    assert len(lines) == 9
    for line in lines:
        words = shlex.split(line)[1:]
        assert main(words + EXTRA.get(words[0], [])) == 0, (line, capsys.readouterr().err)
    assert (tmp_path / "my_model" / "model.safetensors").is_file()
    for folder in ("dataset", "dataset-hq", "dataset-medleydb", "dataset-slakh"):
        assert index_split(tmp_path / folder, "train")


def test_the_defaults_on_the_page_are_those_of_the_settings():
    table = PAGE[PAGE.index("| augmentation | how often") : PAGE.index("In a chunk that is neither remixed")]
    shown = dict(re.findall(r"`(--[a-z-]+) (-?[\d.]+)`", table))
    assert len(shown) == 16
    fields = {option_name(name): field.default for name, field in TrainConfig.model_fields.items()}
    assert {name: float(value) for name, value in shown.items()} == {name: fields[name] for name in shown}
