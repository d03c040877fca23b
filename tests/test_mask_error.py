"""What is missed and leaked: known masks give known energies, and both together are the whole error."""

import json
import math
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from conftest import tiny_config
from dataset_makers import RATE, write_track
from pretrained_makers import FOUR

from auralflow.datasets import index_split
from auralflow.models import create_model_folder
from auralflow.models.folder import save_weights
from auralflow.nets.unet.model import SpectrogramMaskModel
from auralflow.transforms import STFT

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

import mask_error

CONFIG = tiny_config(targets=FOUR, num_channels=2)


class Fake(torch.nn.Module):
    """A model whose masks follow from the frequency alone."""

    def __init__(self, mask, *, hidden=False):
        super().__init__()
        self.config, self.transform, self.hidden = CONFIG, STFT(256), hidden
        self.values = mask

    def forward(self, audio):
        mixture = self.transform(audio)
        mask = self.values.expand(audio.shape[0], len(FOUR), *mixture.shape[1:])
        spectrogram = mask * mixture.unsqueeze(1)
        return SimpleNamespace(mask=None if self.hidden else mask, mixture=mixture, spectrogram=spectrogram)


def constant(value):
    return torch.full((1, 1, 1, 129, 1), value)


@pytest.fixture
def track(tmp_path):
    write_track(tmp_path / "valid" / "A - Song", seconds=1.3)
    return index_split(tmp_path, "valid")[0]


@pytest.mark.parametrize("hidden", [False, True])
def test_a_constant_mask_misses_and_leaks_what_it_must(track, hidden):
    found = mask_error.measure(Fake(constant(0.5), hidden=hidden), track, FOUR)
    for part in found.values():
        # Four stems of equally loud noise: half of the amplitude of one is missed, of three is leaked.
        assert mask_error.decibels(sum(part["missed"].values())) == pytest.approx(-6.02, abs=0.1)
        assert mask_error.decibels(sum(part["leaked"].values())) == pytest.approx(-6.02 + 4.77, abs=0.2)


def test_missed_minus_leaked_is_the_error_of_the_estimate(track):
    torch.manual_seed(0)
    model = SpectrogramMaskModel(CONFIG).eval()
    stems = mask_error.read_stems(track, RATE, 2)
    parts = mask_error.errors(model, stems["mixture"], {0: stems["vocals"], 2: stems["bass"]})
    estimate = model.separate(stems["mixture"].unsqueeze(0), overlap=mask_error.OVERLAP)[0]
    for row, name in ((0, "vocals"), (1, "bass")):
        error = stems[name] - estimate[FOUR.index(name)]
        assert torch.allclose(parts[row, 0] - parts[row, 1], error, atol=1e-5)


def test_a_mask_that_is_right_errs_in_no_band_and_a_wrong_one_in_the_band_of_the_sound(tmp_path):
    # A low target under a high rest.
    folder = tmp_path / "valid" / "A - Two tones"
    folder.mkdir(parents=True)
    time = np.arange(2 * RATE) / RATE
    for name, frequency in (("vocals", 200), ("drums", 2000)):
        soundfile.write(folder / f"{name}.wav", 0.3 * np.sin(2 * np.pi * frequency * time), RATE)
    for name in ("bass", "other"):
        soundfile.write(folder / f"{name}.wav", np.zeros(2 * RATE), RATE)
    [track] = index_split(tmp_path, "valid")
    low = (torch.arange(129) * RATE / 256 < 1000).float().reshape(1, 1, 1, 129, 1)
    right = mask_error.measure(Fake(low), track, ("vocals",))["vocals"]
    assert sum(right["missed"].values()) < 1e-3
    assert sum(right["leaked"].values()) < 1e-3
    wrong = mask_error.measure(Fake(1 - low), track, ("vocals",))["vocals"]
    assert max(wrong["missed"], key=wrong["missed"].get) == "120-300"
    assert max(wrong["leaked"], key=wrong["leaked"].get) == "1-3k"
    assert sum(wrong["missed"].values()) == pytest.approx(1, abs=0.01)
    silent = mask_error.measure(Fake(constant(1.0)), track, ("bass",))["bass"]
    assert silent["missed"] is None
    assert sum(silent["leaked"].values()) == pytest.approx(1, abs=0.01)


def test_unknown_stems_are_left_out(tmp_path):
    write_track(tmp_path / "valid" / "A - Some", seconds=0.6, sources=("vocals", "drums"), mixture=True)
    [track] = index_split(tmp_path, "valid")
    assert set(mask_error.measure(Fake(constant(0.5)), track, FOUR)) == {"vocals", "drums"}


def test_the_script_prints_a_table_of_eighty_columns_and_writes_energies(tmp_path, capsys):
    for number in range(2):
        write_track(tmp_path / "data" / "valid" / f"An Artist - A song of many words {number}", seconds=0.6)
    soundfile.write(
        tmp_path / "data/valid/An Artist - A song of many words 1/vocals.wav", np.zeros((4800, 2)), RATE
    )
    create_model_folder(tmp_path / "model", CONFIG)
    save_weights(SpectrogramMaskModel(CONFIG).state_dict(), tmp_path / "model" / "model.safetensors")
    mask_error.main([str(tmp_path / "model"), str(tmp_path / "data"), "--save", str(tmp_path / "out.json")])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines[:-1])) <= 80
    assert sum(line.startswith("A song of many words") for line in lines) == 2
    assert any(line.startswith("mean, 300-1k Hz") for line in lines)
    report = json.loads((tmp_path / "out.json").read_text())["tracks"]
    first, second = report.values()
    assert math.isfinite(sum(first["vocals"]["missed"].values()))
    assert second["vocals"]["silent"]
    with pytest.raises(SystemExit):
        mask_error.main([str(tmp_path / "model"), str(tmp_path / "data"), "--targets", "flute"])
