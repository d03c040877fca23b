"""A new loss, metric, format or augmentation is written in one or two places, and is then found everywhere.

Each test adds one to a copy of the package, in the places that CONTRIBUTING names, and looks for it outside.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from dataset_makers import write_track

ROOT = Path(__file__).parent.parent
WEIGHTS = shutil.ignore_patterns("*.safetensors", "__pycache__")


@pytest.fixture
def copy(tmp_path):
    """A copy of the package, and of what writes the tables of the documentation."""
    shutil.copytree(ROOT / "src" / "auralflow", tmp_path / "src" / "auralflow", ignore=WEIGHTS)
    shutil.copytree(ROOT / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("_build", "figures"))
    return tmp_path


def edit(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, (path, old)
    path.write_text(text.replace(old, new), encoding="utf-8")


def run(copy, code, package=None):
    """What a program prints that uses the copy, or another package."""
    places = (package or copy / "src", copy / "docs", ROOT / "tests")
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=copy,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, places)), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


LOSS = '''
from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from auralflow.losses.base import AudioCriterion, Reduction, reduce

if TYPE_CHECKING:
    from torch import Tensor


def toy_loss(estimate: Tensor, target: Tensor, power: float = 2.0, reduction: Reduction = "mean") -> Tensor:
    return reduce((estimate - target).abs().pow(power), reduction)


@dataclass(frozen=True, kw_only=True)
class ToyLoss(AudioCriterion):
    """Criterion of ``toy_loss``."""

    name = "toy"
    summary = "mean of abs(estimate - target) to a power"
    function = staticmethod(toy_loss)

    toy_power: Annotated[float, Field(gt=0, alias="toy_exponent", description="Power of the toy.")] = 3.0

    def __call__(self, estimate: Tensor, target: Tensor, *, known: Tensor | None = None) -> Tensor:
        return toy_loss(estimate, target, self.toy_power, self.reduction)
'''


def test_a_loss_is_a_file_and_a_line(copy):
    (copy / "src/auralflow/losses/toy.py").write_text(LOSS)
    table = copy / "src/auralflow/losses/table.py"
    edit(
        table,
        "        SNRLoss,\n",
        "        SNRLoss,\n        __import__('auralflow.losses.toy', fromlist=['x']).ToyLoss,\n",
    )
    out = run(
        copy,
        """
import sys
from auralflow.cli import main
main(["train", "--help"])
import reference_pages, tables
print(tables.filled_training(open("docs/training.md").read()))
print(reference_pages.cli_page())
assert "torch" not in sys.modules
import torch
from auralflow.config import TrainConfig
from auralflow.errors import SettingsError
from auralflow.trainer.optimization import criterion_of
criterion = criterion_of(TrainConfig(criterion="toy", toy_exponent=1.0))
print(criterion, criterion(torch.full((1, 2, 1, 4), 3.0), torch.ones(1, 2, 1, 4)))
""",
    )
    assert "--toy-exponent" in out
    assert "| `toy` | mean of abs(estimate - target) to a power |" in out
    assert "| `--toy-exponent` | `3.0` | Power of the toy. |" in out
    assert "ToyLoss(reduction='mean', toy_power=1.0) tensor(2.)" in out


METRIC = """        SumMetric(
            name="toy",
            title="Toy score",
            definition="half of the SNR",
            source="nobody",
            function=lambda estimate, _: estimate.snr() / 2,
            shown=True,
        ),
        SumMetric(
            name="si_sdr",
"""
ON_REQUEST = """        TrackMetric(
            name="toy_peak",
            title="Toy peak",
            definition="peak of the error",
            source="nobody",
            unit="0 to 1",
            lower_is_better=True,
            function=lambda estimate, truth, _: (estimate - truth).abs().max(),
            option=Option("toy_peak", "Peak of the error."),
        ),
        TrackMetric(
            name="stoi",
"""


def test_a_metric_is_a_line_of_the_table(copy):
    table = copy / "src/auralflow/metrics/table.py"
    edit(table, '        SumMetric(\n            name="si_sdr",\n', METRIC)
    edit(table, '        TrackMetric(\n            name="stoi",\n', ON_REQUEST)
    write_track(copy / "songs" / "test" / "a", seconds=1.0)
    shutil.copytree(copy / "songs" / "test", copy / "stems")
    out = run(
        copy,
        """
from auralflow.cli import main
main(["evaluate", "--help"])
import tables
print(tables.filled_evaluation(open("docs/evaluation.md").read()))
options = ["--estimates", "stems", "--toy-peak", "--no-bounds"]
assert main(["evaluate", "songs", *options, "--save", "scores.json"]) == 0
assert main(["evaluate", "songs", *options, "--save", "report"]) == 0
""",
    )
    assert "--toy-peak" in out
    assert "| `toy` | always | half of the SNR | nobody |" in out
    assert "| `toy_peak` | `--toy-peak` | peak of the error | nobody |" in out
    content = json.loads((copy / "scores.json").read_text())
    assert content["definitions"]["toy"] == "half of the SNR"
    scores = content["tracks"][0]["scores"]["vocals"]
    assert scores["toy"] == pytest.approx(scores["snr"] / 2) if scores["snr"] else scores["toy"] is None
    assert scores["toy_peak"] == pytest.approx(0, abs=1e-6)
    assert content["summary"]["toy_peak"]
    page = next((copy / "report").glob("*.html")).read_text()
    assert "Toy peak, 0 to 1 (low is good)" in page
    assert "toy_peak" in (copy / "report" / "scores.csv").read_text()


def test_an_output_format_is_a_row(copy):
    row = '        OutputFormat(name="w64", container="W64", endings=(".w64",), tags=frozenset()),\n'
    formats = copy / "src/auralflow/audio/formats.py"
    edit(formats, '        OutputFormat(name="ogg",', f'{row}        OutputFormat(name="ogg",')
    write_track(copy / "songs" / "a", seconds=0.5)
    out = run(
        copy,
        """
import sys
from pathlib import Path
from auralflow.cli import main
main(["separate", "--help"])
assert not {"torch", "soundfile"} & set(sys.modules)
import reference_pages
print(reference_pages.cli_page())
import numpy as np, soundfile
from conftest import constant_model
from auralflow.audio import write_audio
from auralflow.diagnosis.formats import check_formats
from auralflow.separation import Separator, separate_file
separate_file(Separator(constant_model(0.5, 0.5)), Path("songs/a/vocals.wav"), Path("stems"), format="w64")
print(soundfile.info("stems/vocals.w64").format_info)
write_audio(Path("by-ending.w64"), np.zeros((1, 8), dtype=np.float32), 8000)
print(soundfile.info("by-ending.w64").format)
""",
    )
    assert "Audio format of the files. One of `wav`, `flac`, `w64`, `ogg`, `mp3`, `m4a`, `opus`." in out
    assert "W64 (SoundFoundry WAVE 64)" in out
    assert out.splitlines()[-1] == "W64"


AUGMENTATION = '''@dataclass(frozen=True)
class Mute(Augmentation):
    """Silence."""

    name = "mute"
    options: ClassVar = {
        "mute": (float, _probability(0, "Probability that a stem is muted.")),
        "mute_level": (float, Field(default=0.0, ge=0, le=1, description="What is left of it.")),
    }
    what = "muted"
    amount = "to {mute_level}"
    left: float = 0.0

    @classmethod
    def drawn(cls, settings, numbers, sample_rate):
        return cls(settings.mute_level)

    @property
    def factor(self):
        return self.left


AUGMENTATIONS: tuple[type[Augmentation], ...] = (Mute, '''


def test_an_augmentation_is_a_class_and_a_name_in_the_table(copy):
    place = copy / "src/auralflow/effects/augmentations.py"
    edit(place, "AUGMENTATIONS: tuple[type[Augmentation], ...] = (", AUGMENTATION)
    for number in range(2):
        write_track(copy / "songs" / "train" / f"{number}", seconds=1.0, seed=number)
    code = """
import sys
from pathlib import Path
from auralflow.cli import main
main(["train", "--help"])
import tables
print(tables.filled_data(open("docs/data.md").read()))
from auralflow.config import AugmentConfig
assert not {"torch", "scipy"} & set(sys.modules)
from auralflow.datasets import TrainingChunks, index_split
from auralflow.nets.unet import SpectrogramNetConfig
config = SpectrogramNetConfig(targets=("vocals",), sample_rate=8000, sample_length=0.5)
for mute in (0, 1):
    chunks = TrainingChunks(index_split(Path("songs"), "train"), config, AugmentConfig(mute=mute))
    print("sum", [float(chunks[number].mixture.sum()) for number in range(4)])
"""
    out = run(copy, code)
    assert "--mute-level" in out
    assert "| muted | `--mute 0` | to `--mute-level 0.0` |" in out
    off, on = (line for line in out.splitlines() if line.startswith("sum ["))
    assert on == "sum [0.0, 0.0, 0.0, 0.0]"
    # While it is off, every chunk is what it is without it.
    assert off in run(copy, code.replace("(mute=mute)", "()"), ROOT / "src").splitlines()
