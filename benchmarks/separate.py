"""How fast songs are separated, compared with two well-known separators in one run on one machine.

    python benchmarks/separate.py [--seconds 180] [--peers FOLDER] [--backend onnx] [--precision bfloat16]

Every separator estimates four stereo stems at 44.1 kHz from the same noise, with random weights and its own
defaults. Compare only rows of one run: seconds of audio per second of CPU time, the figure that other
programs on the machine disturb least. For the nets of auralflow, the table also shows the share of the time
spent outside the net, and the speed of the net relative to the fastest convolution measured here.

The other separators are optional: pip install --no-deps --target FOLDER demucs openunmix einops julius
"""

import argparse
import sys
import time
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode
from train import reference_model

from auralflow.config import SOURCES
from auralflow.separation import Separator

RATE = 44100


def cpu_seconds(work: Callable[[], object], repeats: int = 1) -> float:
    """CPU seconds of the fastest of several runs."""
    times = []
    for _ in range(repeats):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times)


def convolution_peak() -> float:
    """The fastest convolution of this machine, in GFLOP per CPU second."""
    convolution = torch.nn.Conv2d(256, 256, 3, padding=1).eval()
    features = torch.randn(4, 256, 64, 32)
    flops = 2 * 9 * 256 * 256 * 4 * 64 * 32
    with torch.inference_mode():
        convolution(features)
        return flops / cpu_seconds(lambda: convolution(features), 10) / 1e9


def auralflow_row(net: str, audio: np.ndarray, **options: object) -> dict:
    """One net of auralflow, at the size of the pretrained models."""
    separator = Separator(reference_model(net), device="cpu", **options)
    engine: Any = separator.members[0].engine
    inside = 0.0

    def timed(net: Callable[..., Any]) -> Callable[..., Any]:
        def run(*inputs: torch.Tensor) -> Any:
            nonlocal inside
            started = time.process_time()
            result = net(*inputs)
            inside += time.process_time() - started
            return result

        return run

    frames = engine.model.transform.num_frames(engine.chunking.length)
    example = torch.rand(1, 2, engine.model.config.num_bins, frames)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        engine.model.net(example)
    separator.separate(audio[:, : RATE * 4], RATE)
    if options.get("backend") == "onnx":
        # The session cannot be wrapped; this time includes the transform.
        engine.run = timed(engine.run)
    else:
        engine.model.net.forward = timed(engine.model.net.forward)
    total = cpu_seconds(lambda: separator.separate(audio, RATE))
    chunks = audio.shape[1] / engine.chunking.step
    return {
        "speed": audio.shape[1] / RATE / total,
        "outside": 1 - inside / total,
        "gflops": chunks * counter.get_total_flops() / 1e9 / inside,
    }


def htdemucs_row(audio: np.ndarray) -> dict:
    """HTDemucs with its own defaults: one random shift, an overlap of a quarter."""
    from demucs.apply import apply_model
    from demucs.htdemucs import HTDemucs

    model = HTDemucs(["drums", "bass", "other", "vocals"], bottom_channels=512, t_layers=5).eval()
    mixture = torch.from_numpy(audio)[None]
    with torch.no_grad():
        total = cpu_seconds(lambda: apply_model(model, mixture, shifts=1, overlap=0.25, device="cpu"))
    return {"speed": audio.shape[1] / RATE / total}


def open_unmix_row(audio: np.ndarray) -> dict:
    """Four nets of the size of umxl, without the Wiener filter."""
    # It imports torchaudio, but uses none of it here.
    sys.modules.setdefault("torchaudio", types.ModuleType("torchaudio"))
    from openunmix.model import OpenUnmix
    from openunmix.model import Separator as OpenUnmixSeparator

    nets = {name: OpenUnmix(nb_bins=2049, hidden_size=1024, max_bin=1487) for name in SOURCES}
    separator = OpenUnmixSeparator(nets, niter=0, sample_rate=float(RATE)).eval()
    separator.freeze()
    mixture = torch.from_numpy(audio)[None]
    with torch.no_grad():
        total = cpu_seconds(lambda: separator(mixture))
    return {"speed": audio.shape[1] / RATE / total}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--peers", type=Path, help="folder with demucs and openunmix")
    parser.add_argument("--backend", default="torch", choices=["torch", "onnx"])
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--chunk", type=float, help="chunk of SpectrogramNetSimple in seconds")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    generator = np.random.default_rng(0)
    audio = generator.standard_normal((2, round(arguments.seconds * RATE)), dtype=np.float32) / 10

    peak = convolution_peak()
    print(f"{torch.get_num_threads()} threads, fastest convolution {peak:.0f} GFLOP per CPU second")
    rows = {}
    for net in ("SpectrogramNetSimple", "SpectrogramNetLSTM", "SpectrogramNetVAE"):
        chunk = arguments.chunk if net == "SpectrogramNetSimple" else None
        rows[net] = auralflow_row(
            net, audio, backend=arguments.backend, precision=arguments.precision, chunk=chunk
        )
    if arguments.peers:
        sys.path.append(str(arguments.peers))
        # These are slow: an excerpt of the same song is enough.
        short = audio[:, : min(audio.shape[1], 30 * RATE)]
        rows["HTDemucs"] = htdemucs_row(short)
        rows["Open-Unmix"] = open_unmix_row(short)

    reference = rows["SpectrogramNetSimple"]["speed"]
    print(f"{'':22}{'audio s / CPU s':>16}{'Simple is':>12}{'outside the net':>17}{'of the peak':>13}")
    for name, row in rows.items():
        line = f"{name:22}{row['speed']:16.2f}{reference / row['speed']:11.1f}x"
        if "outside" in row:
            line += f"{100 * row['outside']:15.1f} %{100 * row['gflops'] / peak:11.0f} %"
        print(line)


if __name__ == "__main__":
    main()
