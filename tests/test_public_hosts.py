"""From an empty cache to stems by a name: a local server plays the hosts of public files.

The files are packed as their authors pack them, with random weights of small nets of the packages that they
come from.
"""

import hashlib
import io
import json
import warnings
from fractions import Fraction

import numpy as np
import pytest
import torch
from parity import excite, reference
from pretrained_makers import serving

from auralflow.audio import read_audio, write_audio
from auralflow.cli import main
from auralflow.models.public_card import PublicCard
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
    return "net.ckpt", saved({"state": excited(net)}), FOUR, settings


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
    return "net.ckpt", saved(excited(net)), ["vocals"], settings


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
    return "net.ckpt", saved({"state_dict": excited(net)}), ["vocals", "instrumental"], settings


def htdemucs():
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
    return "net.th", saved(package), FOUR, {}


def excited(net):
    excite(net, 1)
    return net.state_dict()


@pytest.mark.parametrize("make", [scnet, roformer, mdx23c, htdemucs], ids=lambda make: make.__name__)
def test_a_public_name_gives_stems(make, tmp_path, monkeypatch, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        name, content, targets, settings = make()
    monkeypatch.setattr("auralflow.models.registry.PUBLIC_FOLDER", tmp_path / "public")
    monkeypatch.setenv("AURALFLOW_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("AURALFLOW_MIRROR", raising=False)
    monkeypatch.delenv("AURALFLOW_OFFLINE", raising=False)
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    write_audio(tmp_path / "song.wav", 0.1 * generator.standard_normal((2, 40000)), 44100)
    digest = hashlib.sha256(content).hexdigest()
    with serving({name: content}) as server:
        card = PublicCard.model_validate(
            {
                "name": "published",
                "title": "a small one",
                "family": make.__name__,
                "targets": targets,
                "files": [
                    {"url": f"{server.url}/{name}", "name": name, "size": len(content), "sha256": digest}
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
    assert len(server.paths) == 1
    folder = tmp_path / "separated_audio" / "song"
    parts = {path.stem: read_audio(path)[0] for path in folder.glob("*.wav")}
    assert parts.keys() == {"original", "residual", *targets}
    assert all(part.shape == (2, 40000) for part in parts.values())
    assert any(np.abs(parts[target]).max() > 0.001 for target in targets)
    assert report
