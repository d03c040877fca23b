"""Training from trained weights: the start counts, and what was learned is not lost."""

import json

import pytest
import torch

from auralflow.cli import main
from auralflow.cli.console import progress_console
from auralflow.cli.training import ProgressCallback
from auralflow.config import TrainConfig
from auralflow.models import load
from auralflow.models.folder import WEIGHTS_FILE
from auralflow.trainer import Callback, EpochRecord, Trainer, TrainingState, train

QUICK = TrainConfig(max_samples=4, batch_size=2, max_epochs=2, num_workers=0, valid_samples=2, criterion="l1")


def weights(folder):
    return load(folder).state_dict()


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("select", ["loss", "si_sdr"])
def test_a_start_that_no_epoch_improves_on_stays_the_best(dataset, model_folder, caplog, select):
    source, folder = model_folder(name="source"), model_folder(weights=False, name="fine")
    settings = QUICK.model_copy(update={"lr": 10.0, "max_epochs": 3, "select": select})
    history = train(folder, dataset, settings, initial=source).state.history
    assert [(record.epoch, record.improved) for record in history] == [
        (0, True),
        (1, False),
        (2, False),
        (3, False),
    ]
    assert history[0].train_loss is None
    assert same(weights(folder), weights(source))
    epochs = json.loads((folder / "summary.json").read_text())["epochs"]
    assert [epoch["epoch"] for epoch in epochs] == [0, 1, 2, 3]
    rises = [record for record in caplog.records if "is worse than at the start" in record.message]
    assert len(rises) == 1
    # Where the weights are random there is no start to speak of.
    plain = train(model_folder(weights=False, name="plain"), dataset, QUICK)
    assert [record.epoch for record in plain.state.history] == [1, 2]


class StopAfter(Callback):
    """Asks for a stop after the validation of one epoch, or within the next one."""

    trainer: Trainer

    def __init__(self, epoch, *, within):
        self.epoch, self.within = epoch, within

    def on_epoch_end(self, state, record):
        if record.epoch == self.epoch and not self.within:
            self.trainer.stop.made = True

    def on_batch_end(self, state, loss, num_chunks):
        if state.epoch == self.epoch and self.within:
            self.trainer.stop.made = True


@pytest.mark.parametrize("within", [False, True])
def test_a_fine_tuning_that_was_stopped_goes_on_exactly_without_its_start(
    dataset, model_folder, monkeypatch, within
):
    source = model_folder(name="source")
    whole = train(model_folder(weights=False, name="whole"), dataset, QUICK, initial=source)
    stop = StopAfter(0, within=within)

    def watched(*args, **options):
        stop.trainer = Trainer(*args, **options)
        return stop.trainer

    monkeypatch.setattr("auralflow.trainer.run.Trainer", watched)
    folder = model_folder(weights=False, name="stopped")
    stopped = train(folder, dataset, QUICK, initial=source, callbacks=[stop])
    assert (stopped.was_stopped, stopped.state.epoch, stopped.state.batch) == (True, 0, int(within))
    resumed = train(folder, dataset, QUICK, resume=True)
    assert [record.epoch for record in resumed.state.history] == [0, 1, 2]
    assert same(resumed.model.state_dict(), whole.model.state_dict())
    assert resumed.optimizer.param_groups[0]["lr"] == whole.optimizer.param_groups[0]["lr"]


def test_the_default_learning_rate_from_trained_weights_is_a_tenth(dataset, model_folder, capsys):
    source, folder = model_folder(name="source"), model_folder(weights=False, name="fine")
    command = ["train", str(folder), str(dataset), "--max-samples", "4", "--batch-size", "2"]
    command += ["--max-epochs", "1", "--num-workers", "0", "--force", "--display"]

    def rate(*more):
        assert main([*command, *more]) == 0
        return json.loads((folder / "trainer.json").read_text())["lr"]

    assert rate() == 0.01
    # What is a default of the earlier run is none of this one.
    assert rate("--init", str(source)) == 0.001
    captured = capsys.readouterr()
    assert "learning rate 0.001, the default with trained weights" in captured.err
    assert "0.001" in captured.out
    assert rate("--init", str(source), "--lr", "0.5") == 0.5
    assert "default with trained weights" not in capsys.readouterr().err
    assert rate() == 0.5
    # From Python too.
    train(folder, dataset, QUICK, initial=source)
    assert train(folder, dataset, QUICK, initial=source, resume=True).optimizer.param_groups[0]["lr"] == 0.001


def record(epoch, targets):
    scores = dict.fromkeys(targets, -12.34)
    values = {
        "lr": 0.00025,
        "seconds": 4000.0,
        "improved": True,
        "mixture_si_sdr": scores,
        "leak": {"vocals": -20.5},
    }
    return EpochRecord(epoch, -0.001234, 1234.5, scores, scores, **values)


@pytest.mark.parametrize(
    "targets",
    [
        ("vocals", "drums", "bass", "other"),
        ("vocals", "drums", "bass", "guitar", "piano", "other"),
        tuple(f"instrument {number}" for number in range(12)),
    ],
)
def test_an_epoch_is_one_row_that_fits_a_terminal(targets, capsys, monkeypatch):
    monkeypatch.setattr(progress_console, "_width", 80)
    progress = ProgressCallback(max_epochs=2, silent=False)
    progress.on_train_start(TrainingState(), 16)
    for epoch in (1, 2):
        progress.on_epoch_end(TrainingState(epoch=epoch), record(epoch, targets))
    lines = capsys.readouterr().err.splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines[3:]] == ["epoch", "floor", "1/2", "2/2"]
    head, row = lines[3].split(), lines[5].split()
    assert "mean" in head
    assert "leak" in head
    assert "-20.5" in row
    assert row.count("-12.3") >= 1
    assert not progress.progress.tasks[0].visible
    assert "3/2" not in progress.progress.tasks[0].description


def test_a_best_file_that_was_reported_is_not_reported_again(capsys, tmp_path):
    progress = ProgressCallback(max_epochs=2, silent=False)
    progress.on_train_start(TrainingState(), 16)
    for _ in range(2):
        progress.on_checkpoint(TrainingState(), tmp_path / WEIGHTS_FILE)
    # Nor before the first row, which says why.
    assert capsys.readouterr().err == ""
    progress.on_epoch_end(TrainingState(epoch=1), record(1, ("vocals",)))
    lines = [line.split()[0] for line in capsys.readouterr().err.splitlines()]
    assert lines[-2:] == ["1/2", "saved"]
    progress.on_checkpoint(TrainingState(), tmp_path / WEIGHTS_FILE)
    assert "saved" not in capsys.readouterr().err
