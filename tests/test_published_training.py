"""Every net of the published families through the trainer: a run that is stopped ends as one that is not."""

import os
import signal

import pytest
import torch
from test_published_nets import SMALL, small

from auralflow.config import TrainConfig
from auralflow.models import create_model_folder
from auralflow.trainer import Callback, train

FOUR_STEPS = TrainConfig(
    max_samples=8, batch_size=2, max_epochs=1, num_workers=0, valid_samples=2, lr=1e-3, criterion="l1"
)


class StopAfterTwo(Callback):
    """Presses Ctrl-C within the epoch."""

    def on_batch_end(self, state, loss, num_chunks):
        if state.step == 2:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("name", SMALL)
def test_two_steps_and_two_more_are_four_to_the_last_bit(name, dataset, tmp_path):
    config = small(name).config
    for folder in ("whole", "stopped"):
        create_model_folder(tmp_path / folder, config)
    whole = train(tmp_path / "whole", dataset, FOUR_STEPS)
    assert whole.state.step == 4

    stopped = train(tmp_path / "stopped", dataset, FOUR_STEPS, callbacks=[StopAfterTwo()])
    assert stopped.was_stopped
    assert stopped.state.step == 2
    resumed = train(tmp_path / "stopped", dataset, FOUR_STEPS, resume=True)
    assert resumed.state.step == 4

    begun, ended = stopped.model.state_dict(), resumed.model.state_dict()
    assert any(not torch.equal(begun[key], ended[key]) for key in ended), "the last steps did something"
    for key, tensor in whole.model.state_dict().items():
        assert torch.equal(ended[key], tensor), key
    assert resumed.state.history[-1].valid_loss == whole.state.history[-1].valid_loss
