"""MDX-Net files: a net is rebuilt from an ONNX graph, and computes what ONNX Runtime does with it."""

import json
import warnings

import pytest
import torch
from parity import distance, excite

from auralflow.cli import main
from auralflow.errors import ModelError
from auralflow.models.reading import read_checkpoint
from auralflow.nets.checkpoint import Checkpoint
from auralflow.nets.families import create_model, find_family, load_object
from auralflow.nets.mdxnet import MDXNetConfig
from auralflow.nets.mdxnet.net import TFCTDF2

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")
SETTINGS = {"mdx_n_fft_scale_set": 4096, "primary_stem": "Vocals", "mdx_dim_t_set": 5, "compensate": 1.1}


def published_file(folder):
    """An ONNX file as they are published: the exporter folds norms into the convolutions before them."""
    net = TFCTDF2(MDXNetConfig(num_bins=256, growth=8, num_stages=2)).eval()
    excite(net, 7)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    path = folder / "net.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net,
            (torch.randn(1, 4, 256, 32),),
            path,
            input_names=["input"],
            output_names=["output"],
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    return path


def checkpoint_at(path, settings):
    part = read_checkpoint([path]).only
    return Checkpoint(parts=(part,), settings=settings, settings_file="net.json")


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    torch.manual_seed(0)
    return published_file(tmp_path_factory.mktemp("onnx"))


READER = load_object(find_family("mdxnet").reader)


def test_a_rebuilt_net_computes_what_onnx_runtime_does(published):
    checkpoint = checkpoint_at(published, SETTINGS)
    assert READER.recognizes(checkpoint)
    conversion = READER.convert(checkpoint)
    assert conversion.config.targets == ("vocals",)
    assert conversion.config.num_stages == 2
    model = create_model(conversion.config)
    model.load_state_dict(conversion.weights)
    spectrogram = torch.randn(1, 4, 256, 32)
    session = runtime.InferenceSession(str(published), providers=["CPUExecutionProvider"])
    (theirs,) = session.run(None, {"input": spectrogram.numpy()})
    with torch.inference_mode():
        ours = model.eval().net(spectrogram)
    assert distance(ours, torch.from_numpy(theirs)) < 1e-5


def test_a_file_that_is_in_no_table_asks_for_its_parameters(published):
    with pytest.raises(ModelError, match=r"`n_fft`, such as 6144 or 7680 and `stem`, such as vocals"):
        READER.convert(checkpoint_at(published, {}))
    with pytest.raises(
        ModelError, match=r"that is not in the table \(MD5 \w{32}\), expected `stem`, such as vocals\."
    ):
        READER.convert(checkpoint_at(published, {"mdx_n_fft_scale_set": 4096}))


def imported(published, folder, *options):
    code = main(["import", str(published), "--save", str(folder), *map(str, options)])
    return code, json.loads((folder / "model.json").read_text()) if (folder / "model.json").exists() else {}


def test_the_command_takes_what_no_table_says(published, tmp_path, capsys):
    said = ["--n-fft", 4096, "--stem", "Vocals", "--dim-f", 256, "--compensate", 1.1]
    code, model = imported(published, tmp_path / "a", *said, "--dim-t", 5)
    assert code == 0
    assert (model["num_fft"], model["targets"], model["compensate"]) == (4096, ["vocals"], 1.1)
    assert model["sample_length"] * 44100 == pytest.approx(31 * 1024)
    # A number of frames is as good as the power of two, and --targets as good as --stem.
    _, same = imported(published, tmp_path / "b", *said[:2], *said[4:], "--dim-t", 32, "--targets", "vocals")
    assert same == model
    assert imported(published, tmp_path / "c", *said[:4], "--dim-f", 128) == (1, {})
    assert "--dim-f is 128: found 256 frequency bins in 'net'" in capsys.readouterr().err
    assert imported(published, tmp_path / "c", *said, "--dim-t", 100) == (1, {})
    assert "a power of two or its exponent" in capsys.readouterr().err
    assert imported(published, tmp_path / "c", "--hop-length", 512) == (2, {})
    (line,) = capsys.readouterr().err.splitlines()
    assert "--hop-length does not apply to these weights: found MDX-Net" in line
