"""From an empty cache to stems by a name: a local server plays the hosts of public files.

The files are packed as their authors pack them, with random weights of small nets of the packages that they
come from; there is one for every family that reads files of others. A maker returns the files by name, the
targets, and what a card knows beside.
"""

import hashlib
import io
import json
import tarfile
import tempfile
import warnings
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoint_makers import make_bundle
from parity import excite, import_openunmix, reference
from pretrained_makers import serving
from test_parity_mdxnet import published_file

from auralflow.audio import read_audio, write_audio
from auralflow.cli import main
from auralflow.models.public_card import PublicCard
from auralflow.nets.families import FAMILIES, find_family
from auralflow.nets.mdxnet.parameters import Parameters
from auralflow.storage import write_json

FOUR = ["drums", "bass", "other", "vocals"]
AUDIO = {"chunk_size": 22050, "sample_rate": 44100}


def saved(value):
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def scnet():
    shape = {"dims": [4, 8, 16], "band_SR": [0.225, 0.372, 0.403], "num_dplayer": 2}
    net = reference("msst.models.scnet.scnet", "SCNet")(sources=FOUR, **shape)
    settings = {"audio": AUDIO, "model": {"band_SR": shape["band_SR"]}, "training": {"instruments": FOUR}}
    return {"net.ckpt": saved({"state": excited(net)})}, FOUR, settings


def roformer():
    shape = {"dim": 16, "depth": 1, "heads": 2, "dim_head": 8, "mask_estimator_depth": 2}
    kind = reference("msst.models.bs_roformer.bs_roformer", "BSRoformer")
    net = kind(stereo=True, num_stems=1, time_transformer_depth=1, freq_transformer_depth=1, **shape)
    settings = {
        "audio": AUDIO,
        "model": {"stft_hop_length": 441},
        "training": {"instruments": ["vocals", "other"], "target_instrument": "vocals"},
        "inference": {"num_overlap": 2},
    }
    return {"net.ckpt": saved(excited(net))}, ["vocals"], settings


def mdx23c():
    settings = {
        "audio": AUDIO | {"dim_f": 256, "hop_length": 1024, "n_fft": 2048, "num_channels": 2},
        "model": {
            "act": "gelu",
            "bottleneck_factor": 4,
            "growth": 8,
            "norm": "InstanceNorm",
            "num_blocks_per_scale": 1,
            "num_channels": 8,
            "num_scales": 2,
            "num_subbands": 4,
            "scale": [2, 2],
        },
        "training": {"instruments": ["Vocals", "Instrumental"], "target_instrument": None},
    }
    config = reference("ml_collections", "ConfigDict")(settings)
    net = reference("pymss_core.modules.mdx23c_tfc_tdf_v3", "TFC_TDF_net")(config)
    return {"net.ckpt": saved({"state_dict": excited(net)})}, ["vocals", "instrumental"], settings


def demucs_file():
    kind = reference("demucs.htdemucs", "HTDemucs")
    kwargs = {
        "sources": FOUR,
        "channels": 8,
        "dconv_mode": 3,
        "t_layers": 1,
        "t_heads": 2,
        "segment": Fraction(1, 2),
    }
    state = {name: tensor.half() for name, tensor in excited(kind(**kwargs)).items()}
    # The class itself is in the file, as its authors pack it; it is never looked up.
    package = {
        "klass": kind,
        "args": (),
        "kwargs": kwargs,
        "state": state,
        "training_args": {},
        "metrics": {},
    }
    return saved(package)


def htdemucs():
    return {"net.th": demucs_file()}, FOUR, {}


def bag():
    settings = {"models": ["one", "two"], "weights": [[1, 1, 0, 0], [0, 1, 1, 1]]}
    return {"one.th": demucs_file(), "two.th": demucs_file()}, FOUR, settings


def openunmix():
    package = import_openunmix()
    files = {}
    for target in ("vocals", "drums"):
        net = package.OpenUnmix(nb_bins=2049, nb_channels=2, hidden_size=16, max_bin=1487)
        # The published files hold what the package had around the net when they were saved.
        others = {"stft.window": torch.hann_window(4096), "sample_rate": torch.tensor(44100.0)}
        content = saved(net.state_dict() | others)
        files[f"{target}-{hashlib.sha256(content).hexdigest()[:8]}.pth"] = content
    return files, ["vocals", "drums"], {}


def spleeter():
    arrays = {}
    widths = [2, 16, 32, 64, 128, 256, 512]
    for instrument in range(2):
        for layer in range(6):
            add(arrays, "conv2d", 7 * instrument + layer, (5, 5, widths[layer], widths[layer + 1]), 0)
            wide = widths[6] if layer == 0 else 2 * widths[6 - layer]
            narrow = widths[5 - layer] if layer < 5 else 1
            add(arrays, "conv2d_transpose", 6 * instrument + layer, (5, 5, narrow, wide), 0, outputs=narrow)
        add(arrays, "conv2d", 7 * instrument + 6, (4, 4, 1, 2), instrument)
        for layer, size in enumerate((*widths[1:], *widths[5:0:-1], 1)):
            name = numbered("batch_normalization", 12 * instrument + layer)
            for part in ("gamma", "beta", "moving_mean", "moving_variance"):
                value = float(part in ("gamma", "moving_variance"))
                arrays[f"{name}/{part}"] = np.full(size, value, np.float32)
    arrays["global_step"] = np.array(0)
    with tempfile.TemporaryDirectory() as folder:
        make_bundle(Path(folder) / "model", arrays)
        members = {path.name: path.read_bytes() for path in sorted((Path(folder) / "model").iterdir())}
    members |= {"checkpoint": b'model_checkpoint_path: "model"', "model.meta": b"\x0a\x00"}
    packed = io.BytesIO()
    # Noise does not become smaller, and takes long to try.
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return {"2stems.tar.gz": packed.getvalue()}, ["vocals", "accompaniment"], {}


def add(arrays, kind, number, shape, bias, outputs=None):
    name = numbered(kind, number)
    noise = np.random.default_rng(len(arrays)).standard_normal(shape, dtype=np.float32)
    arrays[f"{name}/kernel"] = noise * np.float32(0.02)
    arrays[f"{name}/bias"] = np.full(outputs or shape[3], bias, np.float32)


def numbered(kind, number):
    return f"{kind}_{number}" if number else kind


def mdxnet():
    pytest.importorskip("onnx")
    with tempfile.TemporaryDirectory() as folder:
        content = published_file(Path(folder)).read_bytes()
    key = hashlib.md5(content).hexdigest()
    return {"net.onnx": content}, ["vocals"], {}, {key: Parameters("net", 4096, 5, 1.1, "vocals")}


def excited(net):
    excite(net, 1)
    return net.state_dict()


MAKERS = [scnet, roformer, mdx23c, htdemucs, bag, openunmix, spleeter, mdxnet]


def test_every_family_that_reads_files_of_others_is_here():
    assert {make.__name__ for make in MAKERS} == {name for name in FAMILIES if find_family(name).reader}


@pytest.mark.parametrize(
    "make",
    # To export a graph, and nets of the one size that there is, take longer than all the others together.
    [pytest.param(make, marks=pytest.mark.slow if make in (mdxnet, spleeter) else ()) for make in MAKERS],
    ids=lambda make: make.__name__,
)
def test_a_public_name_gives_stems(make, tmp_path, monkeypatch, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        files, targets, settings, *table = make()
    if table:
        # MDX-Net is known by the end of its file.
        monkeypatch.setattr("auralflow.nets.mdxnet.reader.PUBLISHED", *table)
    monkeypatch.setattr("auralflow.models.registry.PUBLIC_FOLDER", tmp_path / "public")
    monkeypatch.setenv("AURALFLOW_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("AURALFLOW_MIRROR", raising=False)
    monkeypatch.delenv("AURALFLOW_OFFLINE", raising=False)
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    write_audio(tmp_path / "song.wav", 0.1 * generator.standard_normal((2, 40000)), 44100)
    with serving(files) as server:
        card = PublicCard.model_validate(
            {
                "name": "published",
                "title": "a small one",
                "family": make.__name__,
                "targets": targets,
                "files": [
                    {
                        "url": f"{server.url}/{name}",
                        "name": name,
                        "size": len(content),
                        "sha256": hashlib.sha256(content).hexdigest(),
                    }
                    for name, content in files.items()
                ],
                "settings": settings,
                "licence": {"evidence": "a test"},
                "credit": "nobody",
                "data": "noise",
                "cost": "low",
                "citation": "none",
            }
        )
        (tmp_path / "public").mkdir()
        write_json(tmp_path / "public" / "published.json", card.model_dump(mode="json"))
        assert main(["separate", "published", "song.wav", "--residual", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert len(server.paths) == len(files)
    folder = tmp_path / "separated_audio" / "song"
    parts = {path.stem: read_audio(path)[0] for path in folder.glob("*.wav")}
    assert parts.keys() == {"original", "residual", *targets}
    assert all(part.shape == (2, 40000) for part in parts.values())
    assert any(np.abs(parts[target]).max() > 0.001 for target in targets)
    assert report
