"""The net as an ONNX file, and ONNX Runtime behind the separator."""

import json
import sys

import numpy as np
import pytest
import torch
from separating import RATE, noise, small_model_folder

from auralflow.cli import main
from auralflow.errors import UsageError
from auralflow.models import load
from auralflow.models.export import export_onnx
from auralflow.nets.families import settings_of_net
from auralflow.nets.unet.model import SpectrogramMaskModel
from auralflow.separation import Separator

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.filterwarnings("ignore")  # the exporter's own


def _model(net, make=1):
    extra = {} if net == "SpectrogramNetSimple" else {"hidden_size": 8}
    torch.manual_seed(0)
    config = settings_of_net(net)(
        net=net,
        net_version=make,
        targets=("vocals", "drums"),
        num_channels=2,
        num_hidden_channels=1,
        num_fft=256,
        window_size=256,
        hop_length=128,
        sample_rate=RATE,
        sample_length=0.6,
        **extra,
    )
    return SpectrogramMaskModel(config).eval()


@pytest.mark.parametrize("make", [1, 2])
@pytest.mark.parametrize("net", ["SpectrogramNetSimple", "SpectrogramNetLSTM", "SpectrogramNetVAE"])
def test_exported_graph_gives_the_masks_of_the_net(net, make, tmp_path):
    model = _model(net, make)
    export_onnx(model, tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"), providers=["CPUExecutionProvider"])
    for rows in (1, 3):
        audio = torch.randn(rows, 2, model.config.chunk_samples)
        magnitudes = model.transform(audio).abs()
        (mask,) = session.run(["mask"], {"magnitudes": magnitudes.numpy()})
        with torch.inference_mode():
            np.testing.assert_allclose(mask, model.net(magnitudes).mask.numpy(), atol=1e-4)


def test_exported_file_knows_the_settings(tmp_path, capsys):
    folder = small_model_folder(tmp_path / "model")
    assert main(["export", str(folder), str(tmp_path / "net.onnx")]) == 0
    assert capsys.readouterr().out == f"wrote {tmp_path / 'net.onnx'}\n"
    proto = onnx.load(str(tmp_path / "net.onnx"))
    onnx.checker.check_model(proto)
    (entry,) = (entry for entry in proto.metadata_props if entry.key == "auralflow")
    assert json.loads(entry.value) == load(folder).config.model_dump(mode="json")


def test_a_file_of_another_format_is_refused_before_anything_is_loaded(tmp_path, capsys):
    folder = small_model_folder(tmp_path / "model")
    (folder / "model.safetensors").write_bytes(b"broken")
    assert main(["export", str(folder), str(tmp_path / "net.pt")]) == 2
    assert "expected an ONNX file: net.onnx" in capsys.readouterr().err
    assert not (tmp_path / "net.pt").exists()


@pytest.mark.parametrize("options", [{}, {"targets": "drums"}, {"chunk": 1.0, "batch_size": 3}])
def test_backends_agree(options):
    audio = noise(3, 3 * RATE)
    model = _model("SpectrogramNetSimple")
    torch_result = Separator(model, **options).separate(audio, RATE)
    onnx_result = Separator(model, backend="onnx", **options).separate(audio, RATE)
    np.testing.assert_allclose(onnx_result, torch_result, atol=1e-4)


def test_missing_extra_is_told_in_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UsageError, match=r'pip install "auralflow\[onnx\]"'):
        Separator(_model("SpectrogramNetSimple"), backend="onnx")
