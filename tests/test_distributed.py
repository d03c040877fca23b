"""Several processes: two under torchrun do what one does with twice the batch."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import tiny_config
from safetensors.torch import load_file

from auralflow.config import TrainConfig
from auralflow.models import create_model_folder, load

SCRIPT = Path(__file__).parent / "distributed_run.py"
SETTINGS = TrainConfig(
    max_samples=8,
    max_epochs=2,
    num_workers=0,
    valid_samples=4,
    lr=1e-2,
    criterion="complex_l1",
    ema_decay=0.9,
)


def free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def torchrun(processes, *arguments):
    launcher = ["-m", "torch.distributed.run", "--nproc_per_node", processes, "--master_port", free_port()]
    command = [sys.executable, *launcher, *arguments]
    environment = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE")}
    return subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env=environment | {"OMP_NUM_THREADS": "1"},
    )


@pytest.fixture
def folders(tmp_path):
    for name in ("one", "two"):
        create_model_folder(tmp_path / name, tiny_config())
    return tmp_path / "one", tmp_path / "two"


def positions(folder, rank):
    return [int(line) for line in (folder / f"chunks-{rank}.txt").read_text().split()]


def test_two_processes_equal_one_with_twice_the_batch(dataset, folders):
    one, two = folders
    alone = torchrun(1, SCRIPT, one, dataset, SETTINGS.model_copy(update={"batch_size": 4}).model_dump_json())
    assert alone.returncode == 0, alone.stderr
    both = torchrun(2, SCRIPT, two, dataset, SETTINGS.model_copy(update={"batch_size": 2}).model_dump_json())
    assert both.returncode == 0, both.stderr
    assert "rank 0 of 2" in both.stdout
    assert "rank 1 of 2" in both.stdout
    # Together the processes draw the chunks of one, and none twice.
    assert sorted(positions(two, 0) + positions(two, 1)) == sorted(positions(one, 0))
    assert not set(positions(two, 0)) & set(positions(two, 1))
    # Validation is reduced over both.
    losses = set(re.findall(r"validation ([-\d.e]+)", both.stdout))
    assert len(losses) == 1
    assert float(losses.pop()) == pytest.approx(
        float(re.findall(r"validation (\S+)", alone.stdout)[0]), rel=1e-4
    )
    first, second = load_file(one / "final.safetensors"), load_file(two / "final.safetensors")
    for name, expected in first.items():
        assert torch.allclose(second[name], expected, atol=1e-5), name


def test_the_death_of_one_process_ends_the_run_which_can_be_resumed(dataset, folders):
    folder = folders[0]
    settings = SETTINGS.model_copy(update={"batch_size": 2, "max_epochs": 3}).model_dump_json()
    killed = torchrun(2, SCRIPT, folder, dataset, settings, "--die-at", 3)
    assert killed.returncode != 0
    assert (folder / "checkpoint" / "last").is_file()
    assert not (folder / "final.safetensors").exists()
    resumed = torchrun(2, SCRIPT, folder, dataset, settings)
    assert resumed.returncode == 0, resumed.stderr
    # The first epoch, which was saved, is not trained again.
    whole = torchrun(2, SCRIPT, folders[1], dataset, settings)
    assert whole.returncode == 0, whole.stderr
    first, second = load_file(folder / "final.safetensors"), load_file(folders[1] / "final.safetensors")
    for name, expected in second.items():
        assert torch.allclose(first[name], expected, atol=1e-5), name


def test_the_command_line_runs_under_torchrun_and_only_one_process_talks(dataset, folders):
    options = [
        "--max-samples",
        "4",
        "--batch-size",
        "1",
        "--max-epochs",
        "1",
        "--num-workers",
        "0",
        "--valid-samples",
        "2",
    ]
    result = torchrun(2, "-m", "auralflow", "train", folders[0], dataset, *options)
    assert result.returncode == 0, result.stderr
    assert result.stderr.count(" 1/1 ") == 1
    assert result.stdout.count("best: epoch 1,") == 1
    assert load(folders[0]).targets == ("vocals", "drums")
