"""Scores on remixes: known errors give known scores, on the tracks that were asked for."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from conftest import tiny_config
from dataset_makers import write_dataset
from pretrained_makers import FOUR, make_weights

from auralflow.datasets import training_tracks
from auralflow.models import create_model_folder

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

import generalisation

CONFIG = tiny_config(targets=FOUR, num_channels=2)


@pytest.fixture
def dataset(tmp_path):
    return write_dataset(tmp_path / "data", seconds=2.0)


def answering(answer):
    """A model that answers the next batch with ``answer(mixtures, number of the batch)``."""
    numbers = iter(range(1000))
    return SimpleNamespace(config=CONFIG, separate=lambda mixtures: answer(mixtures, next(numbers)))


def test_a_known_error_gives_a_known_score_and_no_work_gains_nothing(dataset):
    train, _ = training_tracks(dataset)
    chunks = generalisation.remixes(train, answering(None), seed=0)

    def close(mixtures, number):
        targets = torch.stack([chunks[4 * number + each].targets for each in range(len(mixtures))])
        noise = torch.randn(targets.shape, generator=torch.Generator().manual_seed(number))
        size = targets.square().mean((2, 3), keepdim=True).sqrt()
        return targets + 0.01 * size * noise

    def lazy(mixtures, _):
        return mixtures.unsqueeze(1).expand(-1, len(FOUR), -1, -1)

    found = generalisation.score(answering(close), chunks, 6)
    none = generalisation.score(answering(lazy), chunks, 6)
    assert list(none.values()) == pytest.approx([0] * 4, abs=1e-3)
    # The stems are noise of equal level, so that the mixture is some 5 dB worse than silence, give or take
    # the random gains; the estimates are 40 dB better.
    assert list(found.values()) == pytest.approx([45] * 4, abs=4)


def test_the_table_has_both_kinds_of_tracks_for_every_model(dataset, tmp_path, capsys):
    for name in ("a", "b"):
        create_model_folder(tmp_path / name, CONFIG)
        make_weights(tmp_path / name / "model.safetensors", num_channels=2)
    generalisation.main([str(tmp_path / "a"), str(tmp_path / "b"), str(dataset), "--chunks", "3"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "| model | tracks | vocals | drums | bass | other | mean |"
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    assert [row[:2] for row in cells] == [
        [name, kind] for name in ("a", "b") for kind in ("training", "validation")
    ]
    # Equal weights on the same chunks.
    assert [row[2:] for row in cells[:2]] == [row[2:] for row in cells[2:]]
    assert all(float(cell) > -50 for row in cells for cell in row[2:])


def test_no_track_of_that_name_is_one_line(dataset, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        generalisation.main(["m", str(dataset), "--only", "Nobody"])
    assert stop.value.code == 2
    assert "has no tracks for train" in capsys.readouterr().err
