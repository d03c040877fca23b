"""What is said where a file leaves something open, is of another model, or is too much for the memory."""

import json

import pytest
import torch
from parity import excite, reference
from separating import small_model_folder, write_song

from auralflow.cli import main
from auralflow.errors import UnexpectedError
from auralflow.storage import write_json

SHAPE = {"dim": 16, "depth": 1, "heads": 2, "dim_head": 8, "mask_estimator_depth": 2}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    kind = reference("msst.models.bs_roformer.bs_roformer", "BSRoformer")
    torch.manual_seed(0)
    net = kind(stereo=True, num_stems=1, time_transformer_depth=1, freq_transformer_depth=1, **SHAPE)
    excite(net, 1)
    path = tmp_path_factory.mktemp("roformer") / "net.ckpt"
    torch.save(net.state_dict(), path)
    return path


def imported(weights, folder, *options):
    return main(["import", str(weights), "--save", str(folder), *map(str, options)])


def test_a_roformer_needs_no_settings_file_but_for_what_no_tensor_says(weights, tmp_path, capsys):
    folder = tmp_path / "model"
    assert imported(weights, folder, "--hop-length", 512) == 1
    assert "Name them with --targets" in capsys.readouterr().err
    assert imported(weights, folder, "--targets", "vocals") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "the hop length of 'net' is unknown" in line
    assert "--hop-length, which is 441 or 512" in line
    assert imported(weights, folder, "--targets", "vocals", "--hop-length", 512) == 0
    model = json.loads((folder / "model.json").read_text())
    assert (model["net"], model["hop_length"], model["num_fft"]) == ("BSRoformer", 512, 2048)


@pytest.mark.parametrize(("key", "value"), [("dim", 384), ("depth", 6), ("heads", 8), ("num_bands", 60)])
def test_the_settings_file_of_another_model_is_named(weights, tmp_path, capsys, key, value):
    settings = {
        "model": {**SHAPE, "stft_hop_length": 441, key: value},
        "training": {"instruments": ["vocals"]},
    }
    write_json(tmp_path / "other.json", settings)
    assert imported(weights, tmp_path / "model", "--config", tmp_path / "other.json") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert f"'other.json' belongs to another model: found {key} {value}, expected" in line
    assert not (tmp_path / "model").exists()


def test_settings_of_a_file_that_make_no_net_name_the_file_and_no_option(weights, tmp_path, capsys):
    settings = {
        "audio": {"chunk_size": 10**12},
        "model": {**SHAPE, "stft_hop_length": 441},
        "training": {"instruments": ["vocals"]},
    }
    write_json(tmp_path / "other.json", settings)
    assert imported(weights, tmp_path / "model", "--config", tmp_path / "other.json") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot use the settings of 'other.json': found " in line
    assert "sample_length is " in line
    assert "--" not in line
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    "fault",
    [
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
    ],
    ids=["python", "machine", "gpu"],
)
def test_too_little_memory_is_one_line_that_says_what_to_lower(tmp_path, monkeypatch, capsys, fault):
    def fail(*_):
        raise fault

    monkeypatch.setattr("auralflow.separation.engine.ChunkEngine.__call__", fail)
    words = [small_model_folder(tmp_path / "model"), write_song(tmp_path / "a.wav"), "--save", tmp_path]
    assert main(["separate", *map(str, words)]) == 1
    err = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert "too little memory" in err
    assert "Traceback" not in err
    assert "Lower `batch_size` or `chunk`" in str(UnexpectedError.of("cannot separate 'a.wav'", fault))
