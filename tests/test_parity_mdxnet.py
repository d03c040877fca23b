"""MDX-Net files: a net is rebuilt from an ONNX graph, and computes what ONNX Runtime does with it."""

import warnings

import pytest
import torch
from parity import distance, excite

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
    with pytest.raises(ModelError, match="mdx_n_fft_scale_set"):
        READER.convert(checkpoint_at(published, {}))
