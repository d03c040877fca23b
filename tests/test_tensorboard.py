"""Logs of a training: read back from the event files, and only what was asked for."""

import io
import wave

import matplotlib.image
import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from auralflow.config import TrainConfig
from auralflow.trainer import train
from auralflow.trainer.run import explain_no_effect
from auralflow.trainer.tensorboard import VIEWS

QUICK = {"max_samples": 4, "batch_size": 2, "max_epochs": 2, "num_workers": 0, "valid_samples": 4, "lr": 1e-3}


def events(folder, name):
    sizes = {"scalars": 0, "images": 0, "audio": 0, "histograms": 0}
    return EventAccumulator(str(folder / "runs" / name), size_guidance=sizes).Reload()


def run(folder, dataset, *, resume=False, **values):
    return train(folder, dataset, TrainConfig(**{**QUICK, **values}), resume=resume)


def test_nothing_is_logged_unless_asked_for(dataset, model_folder):
    folder = model_folder(weights=False)
    run(folder, dataset, view_epoch=True, view_spec=True)
    assert not (folder / "runs").exists()
    assert not (folder / "images").exists()


@pytest.mark.parametrize("view", VIEWS)
def test_each_view_logs_its_own_and_nothing_else(dataset, model_folder, view):
    folder = model_folder(weights=False)
    trainer = run(folder, dataset, tensorboard=True, image_freq=2, **{view: True})
    batches, epochs = events(folder, "batches").Tags(), events(folder, "epochs").Tags()
    layers = {name for name, _ in trainer.model.named_parameters()}
    found = {
        "view_iter": set(batches["scalars"]),
        "view_epoch": {tag for tag in epochs["scalars"] if not tag.startswith("norm")},
        "view_weights": {tag for tag in epochs["histograms"] if tag.startswith("weight")},
        "view_grad": {tag for tag in epochs["histograms"] if tag.startswith("gradient")},
        "view_norm": {tag for tag in epochs["scalars"] if tag.startswith("norm")},
        "play_estimate": {tag for tag in epochs["audio"] if "estimate" in tag or "truth" in tag},
        "play_residual": {tag for tag in epochs["audio"] if tag.startswith("residual")},
        "view_spec": {tag for tag in epochs["images"] if "spectrogram" in tag or "mel" in tag},
        "view_wav": {tag for tag in epochs["images"] if "waveform" in tag},
    }
    assert {name for name, tags in found.items() if tags} == {view}
    expected = {
        "view_iter": {"loss/batch"},
        "view_epoch": {"loss/train", "loss/validation", "lr"}
        | {f"{score}/{target}" for score in ("SI-SDR improvement", "SNR") for target in ("vocals", "drums")},
        "view_weights": {f"weight/{name}" for name in layers},
        "view_grad": {f"gradient/{name}" for name in layers},
        "view_norm": {f"norm of {kind}/{name}" for kind in ("weight", "gradient") for name in layers},
        "play_estimate": {
            f"{target}/{index} {kind}"
            for target in ("vocals", "drums")
            for index in range(3)
            for kind in ("estimate", "truth")
        },
        "play_residual": {f"residual/{index}" for index in range(3)},
        "view_spec": {
            f"{target}/{index} {kind}"
            for target in ("vocals", "drums")
            for index in range(3)
            for kind in ("spectrogram", "mel")
        },
        "view_wav": {f"{target}/{index} waveform" for target in ("vocals", "drums") for index in range(3)},
    }
    assert found[view] == expected[view]


def test_scalars_are_those_of_the_history(dataset, model_folder):
    folder = model_folder(weights=False)
    state = run(folder, dataset, tensorboard=True, view_epoch=True, view_iter=True).state
    epochs, batches = events(folder, "epochs"), events(folder, "batches")
    losses = [event.value for event in epochs.Scalars("loss/validation")]
    assert losses == pytest.approx([record.valid_loss for record in state.history])
    assert [event.step for event in epochs.Scalars("loss/train")] == [1, 2]
    assert [event.step for event in batches.Scalars("loss/batch")] == [1, 2, 3, 4]
    first = [event.value for event in batches.Scalars("loss/batch")][:2]
    assert np.mean(first) == pytest.approx(state.history[0].train_loss, rel=1e-5)


def test_sounds_play_at_the_models_rate_and_length(dataset, model_folder):
    folder = model_folder(weights=False)
    run(folder, dataset, tensorboard=True, play_estimate=True, max_epochs=1)
    event = events(folder, "epochs").Audio("vocals/0 estimate")[0]
    with wave.open(io.BytesIO(event.encoded_audio_string)) as file:
        assert (file.getframerate(), file.getnframes()) == (8000, 4000)


def test_pictures_are_files_too_and_come_every_few_epochs(dataset, model_folder):
    folder = model_folder(weights=False)
    run(folder, dataset, tensorboard=True, view_wav=True, image_freq=3, max_epochs=4)
    names = sorted(path.name for path in (folder / "images").iterdir())
    assert {name[:10] for name in names} == {"epoch-0001", "epoch-0003"}
    assert len(names) == 2 * 3 * 2
    picture = matplotlib.image.imread(folder / "images" / names[0])
    assert picture.shape[0] > 200
    assert picture[..., :3].std() > 0.01
    assert [event.step for event in events(folder, "epochs").Images("vocals/0 waveform")] == [1, 3]


def test_the_same_chunks_are_shown_in_every_epoch(dataset, model_folder):
    folder = model_folder(weights=False)
    run(folder, dataset, tensorboard=True, play_estimate=True, image_freq=1)
    truths = [event.encoded_audio_string for event in events(folder, "epochs").Audio("vocals/1 truth")]
    assert len(truths) == 2
    assert truths[0] == truths[1]


def test_a_resumed_run_goes_on_in_the_same_logs(dataset, model_folder):
    folder = model_folder(weights=False)
    run(folder, dataset, tensorboard=True, view_epoch=True)
    run(folder, dataset, tensorboard=True, view_epoch=True, max_epochs=3, resume=True)
    # Files that were begun in the same second are read in any order.
    logged = sorted(events(folder, "epochs").Scalars("lr"), key=lambda event: event.wall_time)
    assert [event.step for event in logged] == [1, 2, 3]


def test_logging_changes_no_weight(dataset, model_folder):
    views = dict.fromkeys(VIEWS, True)
    plain = run(model_folder(weights=False, name="plain", dropout_p=0.3), dataset)
    logged = run(
        model_folder(weights=False, name="logged", dropout_p=0.3), dataset, tensorboard=True, **views
    )
    first, second = plain.model.state_dict(), logged.model.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_views_without_tensorboard_are_explained(model_folder):
    lines = explain_no_effect(model_folder(), TrainConfig(num_workers=0, view_spec=True, play_residual=True))
    assert lines == ["`play_residual`, `view_spec`: no effect without `tensorboard`"]


def test_a_summary_and_its_picture_need_no_tensorboard(dataset, model_folder):
    folder = model_folder(weights=False)
    run(folder, dataset)
    assert (folder / "summary.json").is_file()
    assert matplotlib.image.imread(folder / "summary.png").shape[0] > 200
