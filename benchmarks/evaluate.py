"""How long scoring takes, compared with museval and with the separation of the same track.

Run: python benchmarks/evaluate.py [--seconds 180] [--threads 2] [--repeats 3] [--no-museval]

museval runs on two short excerpts, because it takes many minutes for an entire song. Its time for the song is
extrapolated linearly from both (its filters are solved once; the rest grows with the length). That favours
museval, which is slowed down further by the memory that an entire song needs. Everything else runs in turns.
"""

import argparse
import statistics
import sys
import time
import types
import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from auralflow.config import SOURCES
from auralflow.metrics import RatioSums, framewise_sdr, pool_channels, sdr, si_sdr, si_snr, snr
from auralflow.nets.unet import SpectrogramNetConfig
from auralflow.nets.unet.model import SpectrogramMaskModel
from auralflow.separation import Separator

RATE = 44100
BLOCK = 98304
"""Samples per block, about as many as the separation returns at once."""


def song(seconds: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Estimates and references ``[4, 2, N]``."""
    references = 0.1 * torch.randn(4, 2, round(seconds * RATE))
    return 0.9 * references + 0.05 * references.roll(1, 0), references


def streamed(estimates: torch.Tensor, references: torch.Tensor) -> None:
    """Compute the default metrics as an evaluation does."""
    sums = RatioSums(RATE)
    for own, true in zip(estimates.split(BLOCK, -1), references.split(BLOCK, -1), strict=True):
        sums.add(own, true)
    for score in (sums.si_sdr, sums.si_snr, sums.snr, sums.sdr, sums.framewise_sdr):
        score()


def whole(estimates: torch.Tensor, references: torch.Tensor) -> None:
    """Compute the default metrics with the functions of `auralflow.metrics`."""
    pooled = pool_channels(estimates), pool_channels(references)
    for metric in (si_sdr, si_snr, snr):
        metric(*pooled)
    sdr(estimates, references)
    framewise_sdr(estimates, references, RATE)


def clock(work: Callable[[], object]) -> float:
    """Time one run, in seconds."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def museval_seconds(seconds: float) -> float:
    """Estimate the time of museval for a song of this length."""
    # It imports musdb, which requires an ffmpeg program, only to read that dataset.
    sys.modules.setdefault("musdb", types.ModuleType("musdb"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import museval
    points = []
    for length in (3.0, 6.0):
        estimates, references = (audio.transpose(1, 2).double().numpy() for audio in song(length))
        taken = clock(partial(museval.evaluate, references, estimates, win=RATE, hop=RATE))
        print(f"museval, {length:g} s of audio: {taken:.1f} s", flush=True)
        points.append((length, taken))
    slope, offset = np.polyfit(*zip(*points, strict=True), 1)
    return float(offset + slope * seconds)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--museval", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--separation", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    estimates, references = song(options.seconds)
    config = SpectrogramNetConfig(
        targets=SOURCES, num_channels=2, num_fft=2048, window_size=2048, hop_length=1024
    )
    separator = Separator(SpectrogramMaskModel(config), device="cpu")
    mixture = references.sum(dim=0).numpy()
    jobs: dict[str, Callable[[], object]] = {
        "default metrics, streamed": lambda: streamed(estimates, references),
        "default metrics, entire tensors": lambda: whole(estimates, references),
        "framewise SDR only": lambda: framewise_sdr(estimates, references, RATE),
    }
    if options.separation:
        jobs["separation (SpectrogramNetSimple)"] = lambda: separator.separate(mixture, RATE)
    taken: dict[str, list[float]] = {name: [] for name in jobs}
    streamed(*song(1.0))
    for _ in range(options.repeats):
        for name, job in jobs.items():
            taken[name].append(clock(job))
    middle = {name: statistics.median(times) for name, times in taken.items()}
    print(f"\n{options.seconds:g} s of 4 stereo stems, {options.threads} threads\n")
    print("| task | seconds |\n|---|---:|")
    for name, seconds in middle.items():
        print(f"| {name} | {seconds:.2f} |")
    own = middle["default metrics, streamed"]
    if options.separation:
        shares = [
            one / other
            for one, other in zip(
                taken["default metrics, streamed"], taken["separation (SpectrogramNetSimple)"], strict=True
            )
        ]
        print(f"\nDefault metrics relative to separation, median: {100 * statistics.median(shares):.1f} %")
    if options.museval:
        print()
        theirs = museval_seconds(options.seconds)
        print(f"museval, {options.seconds:g} s (extrapolated): {theirs:.0f} s")
        print(f"museval relative to our framewise SDR: {theirs / middle['framewise SDR only']:.0f}x")
        print(f"museval relative to all our default metrics: {theirs / own:.0f}x")


if __name__ == "__main__":
    main()
