"""The speed of each family of nets, compared with the package that its users run today.

    python benchmarks/families.py [NAME ...] [--rounds 3] [--threads 2] [--json FILE] [--memory] [--alone]

The nets, listed in ``family_rows.py``, have the published sizes and random weights. Both packages separate
the same stereo noise at 44.1 kHz, with equal chunks and overlap; nets without another package to compare them
with are timed alone. CPU time is that of the entire process, in rounds that take the two in
turn; the ratio is the median over the rounds, which other programs on the machine disturb least. The largest
nets process one chunk of a second or a few, without overlap, because a song would take an hour: the table
shows the length in seconds.

The share of the peak is the number of operations per CPU second of this package, counted in the layers of the
published net, relative to the fastest convolution or matrix product in the same run. The time of a song of 3
minutes, with the model's own chunks and overlap, is calculated from the measured CPU time and the numbers of
operations in both; two cores take half as long. That of a bag of models is the sum of its members' times.

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
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from family_rows import BAGS, ROWS, Row
from peers import RATE, Side
from torch.utils.flop_counter import FlopCounterMode

from auralflow.nets.door import SeparationModel

SONG_SECONDS = 180
CORES = 2
"""Cores of the machine that the time of a song of 3 minutes is stated for: as many threads, all busy."""


def noise(row: Row, seconds: float) -> np.ndarray:
    """Noise ``[C, N]`` with the channels of the row's model."""
    with torch.device("meta"):
        shape = row.model().config.num_channels, round(seconds * RATE)
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32) / 10


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
        audio = torch.zeros(1, model.config.num_channels, model.chunking().read_length)
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


def chunks_of(model: SeparationModel, overlap: float | None, seconds: float) -> int:
    """Number of chunks of a song."""
    chunking = model.chunking(overlap=overlap)
    return chunking.count(round(seconds * model.config.sample_rate) + chunking.before + chunking.after)


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
    audio = noise(row, row.seconds)
    sides = {"ours": row.ours(threads)}
    if row.theirs and not alone:
        sides["theirs"] = row.theirs(threads)
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
    if "theirs" in times:
        ratios = [a.cpu / b.cpu for a, b in zip(times["ours"], times["theirs"], strict=True)]
        found |= {"ratio": statistics.median(ratios), "low": min(ratios), "high": max(ratios)}
    with torch.device("meta"):
        model = row.model()
        published = row.model(published=True)
    gflop = chunks_of(model, row.overlap, row.seconds) * gflop_per_chunk(row)
    found["share_of_peak"] = gflop / found["ours_cpu"] / peak
    song_chunks = chunks_of(published, row.published_overlap, SONG_SECONDS)
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


def measure_memory(name: str, threads: int) -> dict[str, dict[str, float]]:
    """Peak memory of both sides, for each length of the song; printed too."""
    row, measured = ROWS[name], {}
    for seconds in row.memory:
        for side in ("ours", "theirs") if row.theirs else ("ours",):
            found = peak_megabytes(name, side, seconds, threads)
            if found:
                measured[f"{side}, {seconds:g} s"] = found
                size, grown = found["whole"], found["song"]
                print(f"  {side}, {seconds:.0f} s: {size:.0f} MB, of which the song took {grown:.0f} MB")
    return measured


def peak_kilobytes() -> int:
    """Peak memory of this process; getrusage would include the peak of the process that started it."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(status.read_text().partition("VmHWM:")[2].split()[0])


def own_peak(name: str, side: str, seconds: float, threads: int) -> dict[str, float]:
    """Measure in such a process: megabytes at its peak, and how many of them one song added."""
    separate = getattr(ROWS[name], side)(threads)
    audio = noise(ROWS[name], seconds)
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


def check_processor(path: Path, facts: dict[str, Any]) -> None:
    """Refuse to mix results of different processors in a file."""
    there = json.loads(path.read_text())["machine"]["processor"] if path.exists() else facts["processor"]
    if there != facts["processor"]:
        raise SystemExit(f"{path} has results of another processor: {there}. Write to a new file.")


def write(path: Path, facts: dict[str, Any], rows: dict[str, dict[str, Any]]) -> None:
    """Add the results to those in the file."""
    known = json.loads(path.read_text()) if path.exists() else {"rows": {}}
    for name, row in rows.items():
        known["rows"][name] = known["rows"].get(name, {}) | row
    known["machine"] = facts
    timed = {name: row["song_cpu"] for name, row in known["rows"].items() if "song_cpu" in row}
    songs = {card: taken for name, taken in timed.items() for card in ROWS[name].cards}
    songs |= {
        bag: sum(count * timed[name] for name, count in members.items())
        for bag, members in BAGS.items()
        if members.keys() <= timed.keys()
    }
    known["seconds_per_3_minutes"] = {card: round(songs[card] / CORES, 1) for card in sorted(songs)}
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
    if arguments.json:
        check_processor(arguments.json, facts)
    rows = {}
    for name in arguments.names or ROWS:
        row = ROWS[name]
        print(f"{row.title} …", flush=True)
        if arguments.memory:
            rows[name] = {"memory": measure_memory(name, arguments.threads)}
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
