"""How much a setting changes the estimates for a real song, in dB, and what it costs.

    python benchmarks/differences.py bfloat16 FOLDER [MODEL ...] [--start 20] [--seconds 10]
    python benchmarks/differences.py window FOLDER [MODEL ...] --seconds 30

FOLDER contains the stems of a song, which are summed; it can also be the file of a song. A model is a folder,
a name that `auralflow separate` accepts, or a row of `benchmarks/families.py`: a net of a published size,
with random weights. The table shows the level of the difference relative to the estimates, over all targets
and for the target that changes most, and the CPU time with and without the setting: the median of
interleaved rounds, after a first separation, which is slower and is not counted.

A processor without bfloat16 units is a hundred times slower in bfloat16. There it is emulated: products of
rounded numbers are summed in 32 bits and rounded again, as such units do; recurrent layers keep their states
in 32 bits. Its CPU time is then meaningless, and is left out.

For bfloat16, the largest nets run with the shorter chunks of `benchmarks/families.py` instead of the
published ones, with which a song would take an hour.
"""

import argparse
import math
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from families import ROWS, processor
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from auralflow.audio import is_audio, read_audio
from auralflow.machine import has_bfloat16_units
from auralflow.models import load
from auralflow.nets.door import SeparationModel
from auralflow.separation import Separator

RATE = 44100
ROUNDS = 3
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "bfloat16": {"precision": "bfloat16"},
    "window": {"window": "cross_fade"},
}
PRODUCTS = ("mm", "matmul", "einsum", "linear", "conv", "attention", "lstm")


class Emulated(TorchDispatchMode):
    """Computes products of bfloat16 tensors in 32 bits, and rounds the results."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        coarse = any(tensor.dtype == torch.bfloat16 for tensor in given)
        if not coarse or not any(word in str(func) for word in PRODUCTS):
            return func(*args, **kwargs)
        # Autocast rounds the operands of most products, but those of recurrent layers only inside them.
        args, kwargs = tree_map_only(Tensor, lambda each: each.to(torch.bfloat16).float(), (args, kwargs))
        return tree_map_only(Tensor, lambda tensor: tensor.to(torch.bfloat16), func(*args, **kwargs))


def excerpt(folder: Path, start: float, seconds: float) -> np.ndarray:
    """Stereo audio ``[2, N]`` of a song."""
    files = [folder] if folder.is_file() else sorted(path for path in folder.iterdir() if is_audio(path))
    parts = []
    for path in files:
        audio, rate = read_audio(path)
        if rate != RATE:
            raise SystemExit(f"{path} has a sample rate of {rate} Hz: expected {RATE} Hz")
        parts.append(audio)
    song = np.sum(parts, axis=0, dtype=np.float32)
    song = np.repeat(song, 2, axis=0) if len(song) == 1 else song
    return np.ascontiguousarray(song[:2, round(start * RATE) :][:, : round(seconds * RATE)])


def find(name: str, change: str) -> tuple[SeparationModel, str]:
    """A model, and whether its weights are trained or random."""
    if name in ROWS:
        return ROWS[name].model(published=change == "window"), "random"
    return load(name), "trained"


def separated(separator: Separator, audio: np.ndarray) -> tuple[np.ndarray, float]:
    """Estimates, and CPU seconds."""
    started = time.process_time()
    estimates = separator.separate(audio, RATE)
    return estimates, time.process_time() - started


def decibels(change: np.ndarray, estimates: np.ndarray) -> float:
    """Level of a change relative to the estimates."""
    energy, whole = (float(np.square(part, dtype=np.float64).sum()) for part in (change, estimates))
    return 10 * math.log10(energy / whole) if energy and whole else -math.inf


def compare(name: str, change: str, audio: np.ndarray, overlap: float | None) -> Sequence[str]:
    """The cells of a row of the table."""
    model, weights = find(name, change)
    emulates = change == "bfloat16" and not has_bfloat16_units(torch.device("cpu"))
    former, new = (
        Separator(model, device="cpu", overlap=overlap, batch_size=1, **{"precision": "float32", **options})
        for options in ({}, SETTINGS[change])
    )
    usual, _ = separated(former, audio)
    times: dict[str, list[float]] = {"usual": [], "changed": []}
    for _ in range(1 if emulates else ROUNDS):
        times["usual"].append(separated(former, audio)[1])
        with Emulated() if emulates else nullcontext():
            changed, seconds = separated(new, audio)
        times["changed"].append(seconds)
    targets = [decibels(after - before, before) for after, before in zip(changed, usual, strict=True)]
    cost = "emulated" if emulates else f"{median(times['changed']):.1f}"
    return (
        name,
        weights,
        f"{decibels(changed - usual, usual):.1f}",
        f"{max(targets):.1f}",
        f"{median(times['usual']):.1f}",
        cost,
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("change", choices=SETTINGS)
    parser.add_argument("song", type=Path)
    parser.add_argument("models", nargs="*", default=list(ROWS))
    parser.add_argument("--start", type=float, default=20)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--overlap", type=float)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    audio = excerpt(arguments.song, arguments.start, arguments.seconds)
    print(f"{processor()}, torch {torch.__version__}, {arguments.threads} thread(s)")
    print(f"{arguments.song.name}, {audio.shape[-1] / RATE:.1f} s starting at {arguments.start:g} s")
    form = "{:32}{:>10}{:>12}{:>14}{:>12}{:>12}"
    print(form.format("model", "weights", "change, dB", "worst target", "CPU s", "changed"))
    for name in arguments.models:
        print(form.format(*compare(name, arguments.change, audio, arguments.overlap)), flush=True)


if __name__ == "__main__":
    main()
