"""Speed of a local Ray cluster, compared with one process that uses all threads.

Run ``python benchmarks/cluster.py [--songs 12] [--seconds 60]``. The songs are noise, the net is
SpectrogramNetSimple at the size of the bundled model, with one worker per core. The clock starts once the
cluster is up and every worker has loaded PyTorch and the model: in a long list of songs, that time is
negligible.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import ray
import torch

from auralflow.audio import write_audio
from auralflow.config import SOURCES, EngineConfig, StemConfig
from auralflow.nets.unet import SpectrogramNetConfig
from auralflow.nets.unet.model import SpectrogramMaskModel
from auralflow.separation import Outcome, Separator, find_songs, separate_files
from auralflow.separation.cluster import separate_on_ray

RATE = 44100


def make_songs(folder: Path, count: int, seconds: float) -> Path:
    """Fill a folder with noise."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    for number in range(count):
        samples = generator.normal(0, 0.1, (2, round(seconds * RATE))).astype(np.float32)
        write_audio(folder / f"{number}.wav", samples, RATE)
    return folder


def wall_seconds(run: Callable[[], Iterable[Outcome]]) -> float:
    """Time a run in which every song must succeed."""
    started = time.perf_counter()
    outcomes = list(run())
    if any(outcome.status != "separated" for outcome in outcomes):
        raise SystemExit("a song was not separated, so the times are meaningless")
    return time.perf_counter() - started


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--songs", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    config = SpectrogramNetConfig(
        targets=SOURCES, num_channels=2, num_fft=2048, window_size=2048, hop_length=1024
    )
    model = SpectrogramMaskModel(config).eval()
    cores = len(os.sched_getaffinity(0))
    ray.init(
        num_cpus=cores,
        include_dashboard=False,
        log_to_driver=False,
        runtime_env={"env_vars": {"PYTHONPATH": os.pathsep.join(sys.path)}},
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        short = make_songs(folder / "short", 2 * cores, 6)
        songs = find_songs([make_songs(folder / "songs", options.songs, options.seconds)])
        separator = Separator(model)

        def on_ray(where: str) -> Iterable[Outcome]:
            found = songs if where != "warm" else find_songs([short])
            return separate_on_ray(model, EngineConfig(), found, folder / where, StemConfig())

        list(on_ray("warm"))
        list(separate_files(separator, find_songs([short]), folder / "warm-here"))
        here, there = [], []
        for turn in range(3):
            here.append(
                wall_seconds(lambda turn=turn: separate_files(separator, songs, folder / f"here{turn}"))
            )
            there.append(wall_seconds(lambda turn=turn: on_ray(f"there{turn}")))
    audio = options.songs * options.seconds
    print(f"{options.songs} songs of {options.seconds:g} s, {cores} cores; seconds of audio per second\n")
    print("| | rounds | median |\n|---|---|---|")
    for label, times in ((f"one process, {torch.get_num_threads()} threads", here), ("Ray", there)):
        speeds = [audio / value for value in times]
        print(f"| {label} | {', '.join(f'{speed:.1f}' for speed in speeds)} | {np.median(speeds):.1f} |")
    print(
        f"\nRay compared with one process: {np.median([a / b for a, b in zip(here, there, strict=True)]):.2f}"
    )


if __name__ == "__main__":
    main()
