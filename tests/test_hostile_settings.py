"""Settings that nest without end or ask for more than the machine has: one line, at once."""

import json
import subprocess
import sys

import pytest
import torch

from auralflow.cli import main
from auralflow.errors import AuralflowError, ModelError, NotFoundError
from auralflow.evaluation.run import _read_scores
from auralflow.models import load
from auralflow.models.budget import limited_to_weights
from auralflow.models.folder import WEIGHTS_FILE

NESTED = "[" * 200_000
LARGEST = {
    "format_version": 1,
    "family": "unet",
    "net": "SpectrogramNetVAE",
    "targets": [f"t{number}" for number in range(100)],
    "num_channels": 8,
    "num_hidden_channels": 256,
    "sample_length": 600,
    "sample_rate": 384000,
    "num_fft": 65536,
    "window_size": 65536,
    "hop_length": 1,
    "recurrent_depth": 16,
    "hidden_size": 16384,
    "normalize_input": True,
    "normalize_output": True,
}


def one_line(capsys):
    error = capsys.readouterr().err
    return error.count("\n") == 1 and error.startswith("error: ")


@pytest.mark.parametrize("command", ["separate", "train", "evaluate", "export"])
def test_model_json_that_nests_without_end_is_refused_in_one_line(
    command, tmp_path, dataset, model_folder, capsys
):
    folder = model_folder()
    (folder / "model.json").write_text(NESTED)
    options = {
        "separate": ["separate", folder, dataset / "test"],
        "train": ["train", folder, dataset, "--force"],
        "evaluate": ["evaluate", folder, dataset],
        "export": ["export", folder, tmp_path / "net.onnx"],
    }[command]
    assert main([str(option) for option in options]) == 1
    assert one_line(capsys)


@pytest.mark.parametrize("file", ["trainer.json", "card.json"])
def test_other_files_of_a_model_folder_that_nest_without_end_end_in_at_most_one_line(
    file, dataset, model_folder, capsys
):
    folder = model_folder(weights=False)
    (folder / file).write_text(NESTED)
    options = [
        "--resume",
        "--max-epochs",
        "1",
        "--max-samples",
        "1",
        "--batch-size",
        "1",
        "--num-workers",
        "0",
    ]
    code = main(["train", str(folder), str(dataset), *options, "--silent"])
    error = capsys.readouterr().err
    assert "Traceback" not in error
    if file == "trainer.json":
        assert code == 2
        assert error.count("\n") == 1


def test_caches_that_nest_without_end_are_refused_in_one_line_and_mended(
    tmp_path, dataset, model_folder, capsys
):
    cache = tmp_path / "cache"
    prepare = ["data", "prepare", str(dataset), str(cache), "--sample-rate", "8000"]
    train = ["train", str(model_folder(weights=False)), str(cache)]
    assert main(prepare) == 0
    for pattern in ("track.json", "manifest.json"):
        for record in cache.rglob(pattern):
            record.write_text(NESTED)
        capsys.readouterr()
        assert main(train) == 1
        assert one_line(capsys)
        # What was made from the dataset can be made from it again.
        assert main(prepare) == 0
        capsys.readouterr()


def test_a_mapping_that_nests_without_end_is_refused_in_one_line(tmp_path, dataset, capsys):
    (tmp_path / "mapping.yaml").write_text(NESTED)
    command = ["data", "import", str(dataset), str(tmp_path / "new"), "--mapping"]
    assert main([*command, str(tmp_path / "mapping.yaml")]) == 1
    assert one_line(capsys)


@pytest.mark.parametrize(
    "content", [NESTED, "", "[]", "null", "{}", '{"scores": 1}', '{"scores": {"a": {"b": 1}}}']
)
def test_scores_that_cannot_be_read_are_computed_again(tmp_path, content):
    (tmp_path / "scores.json").write_text(content)
    assert _read_scores(tmp_path / "scores.json") is None


LOAD = """
import resource, sys
from pathlib import Path
from auralflow.errors import ModelError
from auralflow.models import load
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    load(Path(sys.argv[1]))
except ModelError as error:
    print(error)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted in other units there")
@pytest.mark.parametrize("net", ["SpectrogramNetVAE", "SpectrogramNetSimple"])
def test_the_largest_settings_that_are_legal_take_no_more_memory_than_the_weights_need(model_folder, net):
    folder = model_folder()
    settings = LARGEST | {"net": net}
    if net == "SpectrogramNetSimple":
        settings = {key: settings[key] for key in settings if key not in ("recurrent_depth", "hidden_size")}
    (folder / "model.json").write_text(json.dumps(settings))
    done = subprocess.run(
        [sys.executable, "-c", LOAD, str(folder)], capture_output=True, text=True, check=True, timeout=300
    )
    message, grown = done.stdout.splitlines()
    assert "does not contain the weights of the net" in message
    assert int(grown) < 300_000


def test_a_net_larger_than_the_machine_without_weights_is_not_built(model_folder):
    folder = model_folder(weights=False)
    (folder / "model.json").write_text(json.dumps(LARGEST))
    with pytest.raises(NotFoundError, match="no weights yet"):
        load(folder)
    (folder / WEIGHTS_FILE).write_bytes(b"rubbish")
    with pytest.raises(ModelError, match="complete safetensors file"):
        load(folder)


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.empty(10**6, 100),
        lambda: torch.empty((10**6, 100), dtype=torch.float16),
        lambda: torch.zeros(size=(10**6, 100)),
        lambda: torch.full([10**6, 100], 0.0),
        lambda: [torch.randn(torch.Size([10**6])) for _ in range(100)],
    ],
)
def test_every_way_to_make_a_tensor_is_counted(model_folder, make):
    path = model_folder() / WEIGHTS_FILE
    with pytest.raises(AuralflowError, match="the weights of the net"), limited_to_weights(path):
        make()
    with limited_to_weights(path):
        assert torch.empty(3).shape == (3,)
