"""The trainer: it learns, stops, resumes exactly and refuses what does not fit."""

import dataclasses
import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import tiny_config, write_track
from golden.record_loss_curve import loss_curve

from auralflow.cli import main
from auralflow.config import TrainConfig
from auralflow.errors import DatasetError, ModelError, SettingsError, TrainingError, UsageError
from auralflow.losses import ComplexL1Loss
from auralflow.metrics import pool_channels, si_sdr
from auralflow.models import create_model_folder, load, read_model_config
from auralflow.models.folder import WEIGHTS_FILE
from auralflow.nets.families import settings_of_net
from auralflow.nets.unet.blocks import MaskEstimate
from auralflow.nets.unet.model import SpectrogramMaskModel
from auralflow.trainer import Callback, Trainer, prepare_folder, train
from auralflow.trainer import loop as loop_module
from auralflow.trainer import run as run_module
from auralflow.trainer.checkpoint import CHECKPOINT_FILE
from auralflow.trainer.optimization import precision_of
from auralflow.trainer.run import TRAINER_FILE, explain_no_effect
from auralflow.trainer.snapshot import restore, snapshot, unpack_state
from auralflow.trainer.validation import ScoreSum

GOLDEN = Path(__file__).parent / "golden"
QUICK = TrainConfig(
    max_samples=6, batch_size=2, max_epochs=2, num_workers=0, valid_samples=2, lr=1e-3, criterion="complex_l1"
)


def quick(**values):
    return QUICK.model_copy(update=values)


def tones(config, *, seed=0, batch=2):
    """A batch whose targets are tones far apart, which a mask can tell apart."""
    time = torch.arange(config.chunk_samples) / config.sample_rate
    generator = torch.Generator().manual_seed(seed)
    frequencies = torch.tensor([300.0, 2500.0])[: len(config.targets)]
    phases = 6.28 * torch.rand(batch, len(frequencies), 1, 1, generator=generator)
    targets = 0.3 * torch.sin(6.2832 * frequencies[:, None, None] * time + phases)
    return targets.sum(1), targets


def make_model(seed=0, **values):
    torch.manual_seed(seed)
    return SpectrogramMaskModel(tiny_config(**values))


def timeless(history):
    return [dataclasses.replace(record, seconds=0) for record in history]


def same_weights(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


def test_overfitting_one_chunk_separates_it():
    model = make_model(num_hidden_channels=4)
    batch = tones(model.config)
    settings = TrainConfig(max_epochs=60, lr=0.01, criterion="complex_l1")
    Trainer(model, settings).fit([batch], [batch])
    mixture, targets = batch
    estimate = model.eval().separate(mixture)
    scores = si_sdr(pool_channels(estimate), pool_channels(targets))
    assert scores.min() > 15


@pytest.mark.parametrize(
    "criterion", ["component", "l1", "l2", "mask", "si_sdr", "rmse", "complex_l1", "snr"]
)
def test_every_criterion_lowers_its_own_loss(criterion):
    model = make_model()
    batch = tones(model.config)
    state = Trainer(model, TrainConfig(max_epochs=12, lr=3e-3, criterion=criterion)).fit([batch], [batch])
    losses = [record.train_loss for record in state.history]
    assert losses[-1] < losses[0]
    assert all(math.isfinite(loss) for loss in losses)


def vae_config():
    values = tiny_config().model_dump(exclude={"net", "format_version"})
    return settings_of_net("SpectrogramNetVAE")(net="SpectrogramNetVAE", hidden_size=8, **values)


def test_kl_divergence_needs_a_variational_net():
    with pytest.raises(SettingsError, match="kl_div needs a variational net: found SpectrogramNetSimple"):
        Trainer(make_model(), TrainConfig(criterion="kl_div"))
    Trainer(SpectrogramMaskModel(vae_config()), TrainConfig(criterion="kl_div"))


def test_the_kl_term_is_added_to_any_criterion_of_a_variational_net():
    losses = []
    for kl_weight in (0.0, 10.0):
        torch.manual_seed(0)
        model = SpectrogramMaskModel(vae_config())
        batch = tones(model.config)
        settings = TrainConfig(max_epochs=1, criterion="l1", kl_weight=kl_weight)
        losses.append(Trainer(model, settings).fit([batch], [batch]).history[0].train_loss)
    assert losses[1] > losses[0] + 0.1


def test_lstm_layers_have_a_learning_rate_of_their_own():
    trainer = Trainer(SpectrogramMaskModel(vae_config()), TrainConfig(lr=0.5, lr_lstm=0.25))
    rates = [group["initial_lr"] for group in trainer.optimizer.param_groups]
    sizes = [len(group["params"]) for group in trainer.optimizer.param_groups]
    assert rates == [0.5, 0.25]
    assert sizes[1] == 3 * 2 * 4  # layers, directions, weights and biases


def test_clipping_bounds_the_norm_of_the_gradients():
    norms: list[float] = []

    class Watch(Callback):
        def on_batch_end(self, state, loss, num_chunks):
            gradients = [p.grad.norm() for p in model.parameters()]
            norms.append(torch.stack(gradients).norm().item())

    for clip in (False, True):
        model = make_model()
        batch = tones(model.config)
        settings = TrainConfig(max_epochs=1, clip_grad=clip, max_grad_norm=1e-3)
        Trainer(model, settings, callbacks=[Watch()]).fit([batch], [batch])
    assert norms[0] > 1e-2
    assert norms[1] == pytest.approx(1e-3, rel=0.01)


def test_warm_up_raises_the_learning_rate_step_by_step():
    rates = []

    class Watch(Callback):
        def on_batch_end(self, state, loss, num_chunks):
            rates.append(trainer.optimizer.param_groups[0]["lr"])

    model = make_model()
    batch = tones(model.config)
    trainer = Trainer(model, TrainConfig(max_epochs=1, lr=1.0, warmup_steps=4), callbacks=[Watch()])
    assert trainer.optimizer.param_groups[0]["lr"] == pytest.approx(0.2)
    trainer.fit([batch] * 6, [batch])
    assert rates == pytest.approx([0.4, 0.6, 0.8, 1.0, 1.0, 1.0])


def test_the_learning_rate_drops_on_plateaus_and_training_halts_after_the_last():
    model = make_model()
    batch = tones(model.config)
    # No improvement counts, so every two epochs are a plateau.
    settings = TrainConfig(max_epochs=50, stop_patience=2, max_plateaus=3, min_delta=1e9, lr=1e-4)
    state = Trainer(model, settings).fit([batch], [batch])
    assert state.plateaus == 3
    assert [record.lr for record in state.history] == pytest.approx(
        [1e-4, 1e-4, 5e-5, 5e-5, 2.5e-5, 2.5e-5, 1.25e-5]
    )


def test_the_average_of_the_weights_is_what_is_validated_and_kept(tmp_path):
    model = make_model()
    batch = tones(model.config)
    create_model_folder(tmp_path, model.config)
    trainer = Trainer(model, TrainConfig(max_epochs=2, ema_decay=0.9, lr=0.01), folder=tmp_path)
    trainer.fit([batch] * 3, [batch])
    kept = load(tmp_path).state_dict()
    assert not same_weights(kept, model.state_dict())
    assert same_weights(kept, trainer.trained_model.state_dict())


def test_bad_batches_are_skipped_counted_and_stop_the_run_after_a_row():
    model = make_model()
    mixture, targets = tones(model.config)
    bad = (mixture * math.nan, targets)
    trainer = Trainer(model, TrainConfig(max_epochs=1))
    state = trainer.fit([(mixture, targets), bad, (mixture, targets)], [(mixture, targets)])
    assert (state.skipped, state.step) == (1, 2)
    assert all(parameter.isfinite().all() for parameter in model.parameters())
    with pytest.raises(TrainingError, match=r"not finite in 10 batches in a row.*Lower `lr`"):
        Trainer(model, TrainConfig(max_epochs=1)).fit([bad] * 20, [(mixture, targets)])


def test_own_criterion_optimizer_and_callbacks_are_used():
    seen = []

    class Watch(Callback):
        def on_train_start(self, state, num_batches):
            seen.append(("start", num_batches))

        def on_epoch_end(self, state, record):
            seen.append(("epoch", record.epoch))

        def on_train_end(self, state):
            seen.append(("end", state.epoch))

    model = make_model()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items() if "running" not in name}
    batch = tones(model.config)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    settings = TrainConfig(max_epochs=2, criterion="mask")
    trainer = Trainer(model, settings, criterion=ComplexL1Loss(), optimizer=optimizer, callbacks=[Watch()])
    trainer.fit([batch, batch], [batch])
    assert seen == [("start", 2), ("epoch", 1), ("epoch", 2), ("end", 2)]
    assert all(torch.equal(before[n], model.state_dict()[n]) for n in before if "num_batches" not in n)


def test_empty_iterables_are_refused():
    model = make_model()
    with pytest.raises(TrainingError, match="no training batch"):
        Trainer(model, TrainConfig()).fit([], [])
    with pytest.raises(TrainingError, match="no validation batch"):
        Trainer(model, TrainConfig()).fit([tones(model.config)], [])


def test_scores_are_means_over_chunks_whose_target_sounds():
    model = make_model()
    mixture, targets = tones(model.config)
    scores = ScoreSum(2, torch.device("cpu"))
    silent = targets.clone()
    silent[0, 1] = 0
    scores.add(torch.tensor(1.0), mixture, 0.5 * targets + 0.01 * torch.randn_like(targets), silent)
    assert scores.loss == 1.0
    gains = scores.means(0, ("vocals", "drums"))
    expected = si_sdr(pool_channels(mixture), pool_channels(targets[:, 0]))
    assert gains["vocals"] > 10
    assert expected.isfinite().all()
    scores = ScoreSum(1, torch.device("cpu"))
    scores.add(torch.tensor(2.0), mixture, targets[:, :1], torch.zeros_like(targets[:, :1]))
    assert scores.means(0, ("vocals",)) == {"vocals": None}


def test_what_is_estimated_for_a_silent_target_is_a_leak():
    mixture, targets = tones(make_model().config)
    silent = targets.clone()
    silent[:, 0] = 0
    scores = ScoreSum(2, torch.device("cpu"))
    scores.add(torch.tensor(1.0), mixture, 0.5 * mixture.unsqueeze(1).expand_as(targets), silent)
    assert scores.leaks(("vocals", "drums")) == {"vocals": pytest.approx(-6.02, abs=0.01), "drums": None}
    # What is not known to be silent is no leak.
    unknown = ScoreSum(2, torch.device("cpu"))
    unknown.add(torch.tensor(1.0), mixture, targets, silent, torch.tensor([[False, True]] * 2))
    assert unknown.leaks(("vocals", "drums")) == {"vocals": None, "drums": None}


def test_validation_scores_leave_out_chunks_in_which_a_target_cannot_be_heard():
    mixture, targets = tones(make_model().config)
    estimates = targets + 0.01 * torch.randn_like(targets)
    heard, mixed = ScoreSum(2, torch.device("cpu")), ScoreSum(2, torch.device("cpu"))
    heard.add(torch.tensor(1.0), mixture, estimates, targets)
    mixed.add(torch.tensor(1.0), mixture, estimates, targets)
    # 60 dB under the mixture, an estimate of the other target scores tens of dB below the rest.
    mixed.add(torch.tensor(1.0), mixture, estimates, 1e-3 * targets.flip(1))
    for row in (0, 2):
        assert mixed.means(row, ("vocals", "drums")) == heard.means(row, ("vocals", "drums"))


# --- whole runs on a folder ---


def test_a_run_leaves_a_model_that_separates(dataset, model_folder):
    folder = model_folder(weights=False)
    prepare_folder(folder, dataset, QUICK, resume=False)
    trainer = train(folder, dataset, QUICK)
    assert trainer.state.epoch == 2
    assert load(folder).separate(torch.zeros(1, 1, 5000)).shape == (1, 2, 1, 5000)
    assert json.loads((folder / TRAINER_FILE).read_text())["batch_size"] == 2
    summary = json.loads((folder / "summary.json").read_text())
    assert [record["epoch"] for record in summary["epochs"]] == [1, 2]
    best = min(summary["epochs"], key=lambda record: record["valid_loss"])
    assert best["improved"]


def test_the_best_weights_are_those_of_the_best_epoch(tmp_path):
    kept: list[tuple[float, dict[str, torch.Tensor]]] = []

    class Keep(Callback):
        def on_epoch_end(self, state, record):
            weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
            kept.append((record.valid_loss, weights))

    class Worsening:
        """Validation whose references turn into the noise of another room after three epochs."""

        def __iter__(self):
            mixture, targets = batch
            yield mixture, targets if len(kept) < 3 else torch.randn_like(targets)

    model = make_model()
    batch = tones(model.config)
    create_model_folder(tmp_path, model.config)
    Trainer(model, TrainConfig(max_epochs=5, lr=3e-3), folder=tmp_path, callbacks=[Keep()]).fit(
        [batch], Worsening()
    )
    losses = [loss for loss, _ in kept]
    assert min(losses) < losses[-1]
    assert same_weights(load(tmp_path).state_dict(), min(kept, key=lambda pair: pair[0])[1])


def test_the_same_command_makes_the_same_model(dataset, model_folder):
    weights = []
    for name in ("one", "two"):
        folder = model_folder(weights=False, name=name, dropout_p=0.3)
        train(folder, dataset, QUICK)
        weights.append(load(folder).state_dict())
    assert same_weights(*weights)


class StopAfter(Callback):
    """Presses Ctrl-C after some batches."""

    def __init__(self, batches):
        self.left = batches

    def on_batch_end(self, state, loss, num_chunks):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("batches", [1, 3, 5])
@pytest.mark.parametrize(("ema_decay", "optimizer"), [(0.0, "adamw"), (0.9, "adamw"), (0.9, "muon")])
def test_a_stopped_run_resumes_to_the_very_same_weights(dataset, model_folder, batches, ema_decay, optimizer):
    """Stopped within an epoch, at its end, and in a later one; with dropout, which needs the RNG."""
    settings = quick(ema_decay=ema_decay, warmup_steps=2, optimizer=optimizer)
    whole = model_folder(weights=False, name="whole", dropout_p=0.3)
    expected = train(whole, dataset, settings)

    folder = model_folder(weights=False, name="stopped", dropout_p=0.3)
    stopped = train(folder, dataset, settings, callbacks=[StopAfter(batches)])
    assert stopped.was_stopped
    assert stopped.state.step == batches
    resumed = train(folder, dataset, settings, resume=True)
    assert same_weights(expected.model.state_dict(), resumed.model.state_dict())
    assert same_weights(load(whole).state_dict(), load(folder).state_dict())
    without_time = [
        [dataclasses.replace(record, seconds=0) for record in run.state.history]
        for run in (expected, resumed)
    ]
    assert without_time[0] == without_time[1]


@pytest.mark.parametrize(("initial", "validation"), [(False, 1), (True, 1), (True, 2)])
def test_a_stop_within_a_validation_does_not_wait_for_its_end(
    dataset, model_folder, monkeypatch, initial, validation
):
    """Not even where it scores the weights that the run starts from: resuming makes up for it."""
    settings, batches = quick(batch_size=1, valid_samples=3, ema_decay=0.9), 3
    start = model_folder(name="start", dropout_p=0.3) if initial else None
    whole = model_folder(weights=False, name="whole", dropout_p=0.3)
    expected = train(whole, dataset, settings, initial=start)

    seen = []

    class Interrupted(ScoreSum):
        def add(self, *batch):
            super().add(*batch)
            seen.append(self)
            if len(seen) == batches * (validation - 1) + 1:
                os.kill(os.getpid(), signal.SIGINT)

    folder = model_folder(weights=False, name="stopped", dropout_p=0.3)
    with monkeypatch.context() as patched:
        patched.setattr(loop_module, "ScoreSum", Interrupted)
        stopped = train(folder, dataset, settings, initial=start)
    assert stopped.was_stopped
    assert len(seen) == batches * (validation - 1) + 1
    assert len(stopped.state.history) == validation - 1
    resumed = train(folder, dataset, settings.from_trained() if initial else settings, resume=True)
    assert timeless(resumed.state.history) == timeless(expected.state.history)
    assert same_weights(load(whole).state_dict(), load(folder).state_dict())
    assert same_weights(expected.model.state_dict(), resumed.model.state_dict())


def test_ctrl_c_saves_and_the_handlers_are_put_back(dataset, model_folder):
    before = signal.getsignal(signal.SIGINT)
    folder = model_folder(weights=False)
    train(folder, dataset, QUICK, callbacks=[StopAfter(1)])
    assert (folder / CHECKPOINT_FILE).is_file()
    assert signal.getsignal(signal.SIGINT) is before


def test_resuming_a_finished_run_changes_nothing(dataset, model_folder):
    folder = model_folder(weights=False)
    first = train(folder, dataset, QUICK)
    again = train(folder, dataset, QUICK, resume=True)
    assert again.state.history == first.state.history
    assert same_weights(first.model.state_dict(), again.model.state_dict())


def test_a_run_can_be_prolonged(dataset, model_folder):
    folder = model_folder(weights=False)
    train(folder, dataset, QUICK)
    assert train(folder, dataset, quick(max_epochs=3), resume=True).state.epoch == 3


def test_a_trained_folder_is_neither_overwritten_nor_lost(dataset, model_folder):
    folder = model_folder(weights=False)
    prepare_folder(folder, dataset, QUICK, resume=False)
    train(folder, dataset, QUICK)
    weights = (folder / WEIGHTS_FILE).read_bytes()
    with pytest.raises(UsageError, match=r"already contains a training run .*`resume`.*`force`"):
        prepare_folder(folder, dataset, QUICK, resume=False)
    assert prepare_folder(folder, dataset, QUICK, resume=True).previous is None
    assert (folder / WEIGHTS_FILE).read_bytes() == weights
    previous = prepare_folder(folder, dataset, QUICK, resume=False, force=True).previous
    assert (previous / WEIGHTS_FILE).read_bytes() == weights
    assert (previous / CHECKPOINT_FILE).is_file()
    assert not (folder / WEIGHTS_FILE).exists()
    assert read_model_config(folder) == tiny_config()


def test_a_bad_dataset_changes_nothing_in_the_folder(tmp_path, model_folder):
    folder = model_folder()
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError):
        prepare_folder(folder, tmp_path / "empty", QUICK, resume=False, force=True)
    assert (folder / WEIGHTS_FILE).exists()


def test_a_start_that_does_not_fit_changes_nothing_in_the_folder(dataset, model_folder):
    folder, other = model_folder(), model_folder(name="other", num_hidden_channels=3)
    with pytest.raises(ModelError, match="different size"):
        prepare_folder(folder, dataset, QUICK, resume=False, force=True, initial=other)
    assert (folder / WEIGHTS_FILE).exists()


def test_a_checkpoint_of_another_model_or_dataset_is_refused(dataset, model_folder):
    folder = model_folder(weights=False)
    train(folder, dataset, QUICK)
    before = len(list((dataset / "train").iterdir()))
    write_track(dataset / "train" / "new")
    found = f"belongs to another dataset: found {before} tracks, none after number {before}, "
    with pytest.raises(TrainingError, match=f"{found}expected {before + 1} tracks, .* 'new' of") as raised:
        train(folder, dataset, QUICK, resume=True)
    assert len(str(raised.value)) < 500
    create_model_folder(folder, tiny_config(num_fft=512), force=True)
    previous = next(folder.glob("previous-*"))
    (previous / CHECKPOINT_FILE.parts[0]).rename(folder / CHECKPOINT_FILE.parts[0])
    with pytest.raises(TrainingError, match="another model: found num_fft 256, expected num_fft 512"):
        train(folder, dataset, QUICK, resume=True)


@pytest.mark.parametrize("damage", [b"", b"rubbish", None])
def test_a_damaged_checkpoint_is_refused_in_one_line(dataset, model_folder, damage):
    folder = model_folder(weights=False)
    train(folder, dataset, quick(max_epochs=1))
    path = folder / CHECKPOINT_FILE
    path.write_bytes(path.read_bytes()[:5000] if damage is None else damage)
    with pytest.raises(ModelError, match="cannot read the checkpoint") as caught:
        train(folder, dataset, QUICK, resume=True)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_that_would_run_code_is_refused(dataset, model_folder, tmp_path):
    folder = model_folder(weights=False)
    (folder / CHECKPOINT_FILE).parent.mkdir()
    torch.save({"format_version": 1, "purpose": Path("x"), "content": print}, folder / CHECKPOINT_FILE)
    with pytest.raises(ModelError, match="cannot read the checkpoint"):
        train(folder, dataset, QUICK, resume=True)


@pytest.mark.parametrize("optimizers", [("adamw", "muon"), ("muon", "adamw")])
def test_a_run_is_not_continued_with_another_optimizer(dataset, model_folder, optimizers):
    folder = model_folder(weights=False)
    train(folder, dataset, quick(optimizer=optimizers[0]), callbacks=[StopAfter(1)])
    with pytest.raises(
        ModelError, match=f"`optimizer` {optimizers[1]}, which it was not started with"
    ) as caught:
        train(folder, dataset, quick(optimizer=optimizers[1]), resume=True)
    assert "\n" not in str(caught.value)


def test_max_tracks_limits_the_tracks_that_are_drawn_from(dataset, model_folder):
    trainer = train(model_folder(weights=False), dataset, quick(max_tracks=2, max_epochs=1))
    assert len(trainer.purpose["dataset"]) == 2


def test_settings_without_effect_are_explained(model_folder, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    settings = TrainConfig(use_amp=True, scale_grad=True, pin_memory=True, num_workers=999)
    lines = explain_no_effect(model_folder(), settings, resume=True)
    assert [line.split()[0].rstrip(":") for line in lines] == [
        "`num_workers`",
        "`use_amp`",
        "`scale_grad`",
        "`pin_memory`",
        "`resume`",
    ]
    assert not any("--" in line for line in lines)
    assert explain_no_effect(model_folder(name="other"), TrainConfig(num_workers=0)) == []


def test_a_default_that_the_machine_cannot_use_is_nothing_to_explain(model_folder, monkeypatch):
    monkeypatch.setattr("auralflow.trainer.run.usable_workers", lambda wanted: min(wanted, 2))
    assert explain_no_effect(model_folder(), TrainConfig()) == []
    lines = explain_no_effect(model_folder(name="other"), TrainConfig(num_workers=4))
    assert lines == ["`num_workers` 4: using 2, one for each core"]


@pytest.mark.parametrize(
    ("device", "scale_grad", "has_bf16", "expected"),
    [
        ("cpu", False, True, "bf16"),
        ("cpu", False, False, "no"),
        ("cuda", False, True, "bf16"),
        ("cuda", False, False, "fp16"),
        ("cuda", True, True, "fp16"),
        ("mps", False, True, "no"),
    ],
)
def test_mixed_precision_uses_the_format_that_the_device_is_fast_in(
    device, scale_grad, has_bf16, expected, monkeypatch
):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": has_bf16})
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: has_bf16)
    settings = TrainConfig(use_amp=True, scale_grad=scale_grad)
    assert precision_of(settings, torch.device(device)) == expected
    assert precision_of(TrainConfig(), torch.device(device)) == "no"


@pytest.mark.parametrize("net", ["SpectrogramNetSimple", "SpectrogramNetVAE"])
def test_mixed_precision_on_the_cpu_learns_what_full_precision_learns(net, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})
    losses = {}
    for use_amp in (False, True):
        model = make_model(net=net)
        batch = tones(model.config)
        settings = TrainConfig(max_epochs=5, criterion="complex_l1", use_amp=use_amp, ema_decay=0.5, seed=0)
        torch.manual_seed(0)
        history = Trainer(model, settings).fit([batch], [batch]).history
        losses[use_amp] = [(record.train_loss, record.valid_loss) for record in history]
        assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert losses[True] != losses[False], "nothing was computed in bfloat16"
    assert np.array(losses[True]) == pytest.approx(np.array(losses[False]), rel=0.05)


def test_training_can_start_from_the_weights_of_another_model(dataset, model_folder):
    source = model_folder(name="source")
    folder = model_folder(weights=False, name="fine")
    tuned = train(folder, dataset, quick(lr=1e-12, weight_decay=0.0, max_epochs=1), initial=source)
    before = load(source).state_dict()
    for name, tensor in tuned.model.state_dict().items():
        if "running" not in name and "num_batches" not in name:
            assert torch.allclose(tensor, before[name], atol=1e-8), name


def test_a_net_starts_from_the_smaller_one_it_is_built_on(dataset, model_folder, caplog):
    source = model_folder(name="source")
    folder = model_folder(weights=False, name="recurrent", net="SpectrogramNetLSTM")
    tuned = train(folder, dataset, quick(lr=1e-12, weight_decay=0.0, max_epochs=1), initial=source)
    before = load(source).state_dict()
    after = tuned.model.state_dict()
    for name, tensor in before.items():
        if "running" not in name and "num_batches" not in name:
            assert torch.allclose(tensor, after[name], atol=1e-8), name
    assert any("untrained: recurrent" in record.message for record in caplog.records)


def test_weights_of_a_net_of_another_size_are_no_start(dataset, model_folder):
    source = model_folder(name="source", num_hidden_channels=3)
    with pytest.raises(ModelError, match="net of a different size"):
        train(model_folder(weights=False), dataset, QUICK, initial=source)


def test_a_resumed_checkpoint_counts_more_than_the_start(dataset, model_folder):
    folder = model_folder(weights=False)
    first = train(folder, dataset, QUICK)
    again = train(folder, dataset, QUICK, resume=True, initial=model_folder(name="source"))
    assert same_weights(first.model.state_dict(), again.model.state_dict())


def test_the_best_can_follow_the_improvement_instead_of_the_loss(tmp_path):
    """Two made-up validations: the second has the higher loss and the higher improvement."""
    for select, kept in (("loss", 1), ("si_sdr", 2)):
        model = make_model()
        trainer = Trainer(model, TrainConfig(max_epochs=2, select=select))
        batch = tones(model.config)
        outcomes = iter([(1.0, 3.0), (2.0, 5.0)])

        def validate(_, outcomes=outcomes):
            loss, gain = next(outcomes)
            scores = ScoreSum(2, torch.device("cpu"))
            scores.sums[0] = torch.tensor([gain, gain, loss])
            scores.sums[1] = 1
            return scores

        trainer._validate = validate
        history = trainer.fit([batch], [batch]).history
        assert [record.epoch for record in history if record.improved][-1] == kept


@pytest.mark.parametrize(("bound", "best"), [(None, [1, 2, 6]), (-18.0, [1, 3, 4, 5]), (-60.0, [1, 3, 4])])
def test_the_best_leak_no_more_than_the_bound_or_less_than_all_before(bound, best):
    outcomes = iter([(5.0, -10.0), (6.0, -9.0), (4.0, -15.0), (3.0, -20.0), (3.5, -19.0), (9.0, -17.0)])
    trainer = Trainer(make_model(), TrainConfig(max_epochs=6, select="si_sdr", max_leak=bound))
    batch = tones(trainer.model.config)

    def validate(_):
        gain, leak = next(outcomes)
        scores = ScoreSum(2, torch.device("cpu"))
        scores.sums[0], scores.sums[1] = gain, 1
        scores.sums[6, 0], scores.sums[7, 0] = 10 ** (leak / 10), 1
        return scores

    trainer._validate = validate
    history = trainer.fit([batch], [batch]).history
    assert [record.epoch for record in history if record.improved] == best
    assert [record.leak["vocals"] for record in history][:2] == pytest.approx([-10, -9], abs=1e-3)


def test_a_checkpoint_of_a_version_without_a_bound_goes_on_with_its_best():
    values = dataclasses.asdict(Trainer(make_model(), TrainConfig()).state) | {"best": -7.0}
    del values["best_excess"]
    assert (unpack_state(values).best_excess, unpack_state(values).best) == (0.0, -7.0)


def test_moments_in_another_layout_are_taken_up_in_that_of_their_weights():
    """Fused kernels read weights and moments side by side as they lie in memory."""
    weights = []
    for layout in (torch.contiguous_format, torch.channels_last):
        trainer = Trainer(make_model(), TrainConfig(max_epochs=1, lr=1e-2))
        batch = tones(trainer.model.config)
        trainer.fit([batch], [batch])
        content = snapshot(trainer)
        for moments in content["optimizer"]["state"].values():
            for name, moment in moments.items():
                if moment.ndim == 4:
                    moments[name] = moment.clone(memory_format=layout)
        resumed = Trainer(make_model(seed=1), TrainConfig(max_epochs=2, lr=1e-2))
        restore(resumed, content)
        resumed.fit([batch], [batch])
        weights.append(resumed.model.state_dict())
    assert same_weights(*weights)


def test_checkpoints_come_within_an_epoch_when_it_is_long(tmp_path):
    written = []

    class Watch(Callback):
        def on_checkpoint(self, state, path):
            written.append((path.name, state.epoch, state.batch))

    for minutes, within in ((1e-9, 3), (60, 0)):
        model = make_model()
        folder = tmp_path / str(within)
        create_model_folder(folder, model.config)
        batch = tones(model.config)
        settings = TrainConfig(max_epochs=1, checkpoint_minutes=minutes)
        written.clear()
        Trainer(model, settings, folder=folder, callbacks=[Watch()]).fit([batch] * 3, [batch])
        assert len([entry for entry in written if entry[0] == "last" and entry[1] == 0]) == within


def test_running_out_of_memory_says_what_to_lower(monkeypatch):
    model = make_model()

    def fail(_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    trainer = Trainer(model, TrainConfig())
    monkeypatch.setattr(trainer, "wrapped", torch.nn.Module())
    monkeypatch.setattr(trainer.wrapped, "forward", fail)
    with pytest.raises(TrainingError, match=r"out of memory\. Lower `batch_size`"):
        trainer.fit([tones(model.config)], [tones(model.config)])


def test_an_own_net_can_be_trained():
    """The example of the documentation: a net of one's own behind the same model, data and loop."""

    class BandNet(torch.nn.Module):
        def __init__(self, bins, targets):
            super().__init__()
            self.logits = torch.nn.Parameter(torch.zeros(targets, 1, bins, 1))

        def forward(self, magnitudes):
            mask = self.logits.sigmoid().expand(len(magnitudes), -1, -1, -1, magnitudes.shape[-1])
            return MaskEstimate(mask)

    model = make_model()
    model.net = BandNet(model.config.num_bins, len(model.targets))
    batch = tones(model.config)
    Trainer(model, TrainConfig(max_epochs=40, lr=0.5, criterion="l1")).fit([batch], [batch])
    estimate = model.eval().separate(batch[0])
    assert si_sdr(pool_channels(estimate), pool_channels(batch[1])).min() > 10


def test_the_loss_follows_the_recorded_curve():
    """A change that should not alter results must not alter these."""
    recorded = [float(line) for line in (GOLDEN / "loss_curve.txt").read_text().split()]
    assert len(recorded) == 30
    assert loss_curve() == pytest.approx(recorded, rel=2e-3)


# --- kill -9 ---

COMMAND = [sys.executable, "-m", "auralflow", "train"]
# The same number of threads in every process: sums in another order are other sums.
ONE_THREAD = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
LONG = ["--batch-size", "2", "--max-epochs", "4", "--num-workers", "0"]
LONG += ["--valid-samples", "2", "--lr", "0.001", "--checkpoint-minutes", "0.0001", "--ema-decay", "0.9"]


def kill_and_resume(command, folder, kills, seed):
    """Kill a run at random moments and start it again until it ends; returns how often it was killed."""
    generator = random.Random(seed)
    killed = 0
    while True:
        process = subprocess.Popen(command, env=ONE_THREAD, stderr=subprocess.PIPE, text=True)
        if killed < kills:
            checkpoint = folder / CHECKPOINT_FILE
            before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
            while process.poll() is None and (
                not checkpoint.exists() or checkpoint.stat().st_mtime_ns == before
            ):
                time.sleep(0.01)
            time.sleep(generator.uniform(0, 0.3))
            process.kill()
        _, err = process.communicate(timeout=300)
        if process.returncode == 0:
            return killed
        assert process.returncode == -signal.SIGKILL, err
        killed += 1


@pytest.mark.parametrize(
    ("kills", "samples"),
    [(2, 12), pytest.param(20, 24, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])],
)
def test_a_run_killed_again_and_again_ends_with_the_very_same_weights(dataset, model_folder, kills, samples):
    options = [str(dataset), *LONG, "--max-samples", str(samples)]
    whole = model_folder(weights=False, name="whole", dropout_p=0.3)
    subprocess.run([*COMMAND, str(whole), *options], env=ONE_THREAD, check=True, capture_output=True)
    folder = model_folder(weights=False, name="killed", dropout_p=0.3)
    command = [*COMMAND, str(folder), *options, "--resume"]
    assert kill_and_resume(command, folder, kills, seed=kills) > 0
    expected = torch.load(whole / CHECKPOINT_FILE, weights_only=True)["content"]["model"]
    found = torch.load(folder / CHECKPOINT_FILE, weights_only=True)["content"]["model"]
    assert same_weights(expected, found)
    assert same_weights(load(whole).state_dict(), load(folder).state_dict())
    assert not list(folder.rglob("*.part"))


# --- devices ---


def test_a_device_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(UsageError, match="`device` is cuda: this machine has no such device"):
        Trainer(make_model(), TrainConfig(device="cuda"))


@pytest.mark.gpu
@pytest.mark.parametrize("precise", [True, False])
def test_training_on_a_gpu_learns_what_training_on_the_cpu_learns(precise):
    losses = {}
    for device in ("cpu", "cuda"):
        model = make_model()
        batch = tones(model.config)
        settings = TrainConfig(
            max_epochs=5, criterion="complex_l1", device=device, use_amp=not precise, scale_grad=not precise
        )
        losses[device] = [r.train_loss for r in Trainer(model, settings).fit([batch], [batch]).history]
    assert losses["cuda"] == pytest.approx(losses["cpu"], rel=0.02 if precise else 0.1)


def test_the_command_indexes_its_dataset_and_loads_its_start_once(model_folder, dataset, monkeypatch):
    folder, source = model_folder(weights=False), model_folder(name="source")
    read = []

    def counted(name):
        function = getattr(run_module, name)

        def call(*arguments, **options):
            read.append(name)
            return function(*arguments, **options)

        return call

    for name in ("training_tracks", "load"):
        monkeypatch.setattr(run_module, name, counted(name))
    small = ["--max-samples", "2", "--batch-size", "2", "--max-epochs", "1", "--num-workers", "0"]
    assert main(["train", str(folder), str(dataset), "--init", str(source), *small]) == 0
    assert sorted(read) == ["load", "training_tracks"]
