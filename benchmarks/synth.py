"""How generated songs compare with real ones, and how fast they are generated.

Run ``python benchmarks/synth.py REAL GENERATED`` with two folders of tracks, such as ``songs/train``. For
every stem, it prints the median over the tracks and the range of the middle 80 % of: level relative to the
drums, crest factor, level of the sides relative to the middle, spread of the loudness (all in dB), onsets per
second, and the fraction of seconds in which the stem sounds; then the long-term spectrum in third-octaves,
and the difference between the two medians. Without folders, it measures the speed of generating songs of 60
seconds, relative to real time.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.signal import find_peaks

from auralflow.audio import is_audio, read_audio
from auralflow.config import SOURCES
from auralflow.synth import generate_song

BANDS = 31.5 * 2 ** (np.arange(28) / 3)
SILENT = -50.0  # dBFS over a second
SIZE = 8192
FIGURES = ("level", "crest", "sides", "spread", "onsets", "active")


def figures(audio: np.ndarray, rate: int) -> dict[str, float | np.ndarray] | None:
    """The figures of a stem; None if it is almost always silent."""
    stereo = np.broadcast_to(audio, (2, audio.shape[1])) if len(audio) == 1 else audio[:2]
    seconds = stereo[:, : stereo.shape[1] // rate * rate].reshape(2, -1, rate)
    power = np.mean(seconds**2, axis=(0, 2))
    sounds = 10 * np.log10(power + 1e-12) > SILENT
    if sounds.sum() < 5:
        return None
    heard = seconds[:, sounds]
    middle, sides = heard.sum(axis=0) / 2, (heard[0] - heard[1]) / 2
    line = heard.reshape(2, -1)
    short = rate // 20
    moments = line[:, : line.shape[1] // short * short].reshape(2, -1, short)
    loudness = 10 * np.log10(np.mean(moments**2, axis=(0, 2)) + 1e-9)
    peaks = np.abs(heard).max(axis=(0, 2)) / np.sqrt(power[sounds])
    return {
        "level": 10 * np.log10(np.mean(heard**2)),
        "crest": float(np.median(20 * np.log10(peaks))),
        "sides": 10 * np.log10((np.mean(sides**2) + 1e-12) / (np.mean(middle**2) + 1e-12)),
        "spread": float(np.subtract(*np.percentile(loudness, (90, 20)))),
        "onsets": onsets(line.mean(axis=0)[: 60 * rate], rate),
        "active": float(sounds.mean()),
        "spectrum": spectrum(line, rate),
    }


def spectrum(line: np.ndarray, rate: int) -> np.ndarray:
    """Third-octave levels in dB relative to the entire spectrum."""
    blocks = line[:, : line.shape[1] // SIZE * SIZE].reshape(2, -1, SIZE) * np.hanning(SIZE)
    power = np.mean(np.abs(np.fft.rfft(blocks)) ** 2, axis=(0, 1))
    frequency = np.fft.rfftfreq(SIZE, 1 / rate)
    edges = 2 ** (1 / 6)
    shares = [power[(frequency >= band / edges) & (frequency < band * edges)].sum() for band in BANDS]
    return 10 * np.log10(np.array(shares) / power[frequency > 20].sum() + 1e-12)


def onsets(line: np.ndarray, rate: int, hop: int = 512) -> float:
    """Peaks of the spectral flux per second."""
    frames = np.lib.stride_tricks.sliding_window_view(line, 2 * hop)[::hop] * np.hanning(2 * hop)
    magnitudes = np.abs(np.fft.rfft(frames))
    flux = np.maximum(np.diff(np.log1p(1000 * magnitudes / magnitudes.max()), axis=0), 0).mean(axis=1)
    found, _ = find_peaks(flux, height=flux.mean() + 0.8 * flux.std(), distance=4)
    return len(found) / (len(line) / rate)


def tracks(folder: Path) -> Iterator[dict[str, dict[str, float | np.ndarray]]]:
    """The figures of the stems of each track, with levels relative to the drums."""
    for track in sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] != "."):
        files = {path.stem: path for path in track.iterdir() if is_audio(path) and path.stem in SOURCES}
        stems = {name: found for name, path in files.items() if (found := figures(*read_audio(path)))}
        drums = stems["drums"]["level"] if "drums" in stems else np.nan
        yield {name: stem | {"level": stem["level"] - drums} for name, stem in stems.items()}


def compare(real: Path, generated: Path) -> None:
    """Print the figures of two folders of tracks, each real row above the generated one."""
    both = {"real": list(tracks(real)), "generated": list(tracks(generated))}
    for source in SOURCES:
        print(f"\n{source:10}" + "".join(f"{name:>22}" for name in FIGURES))
        middles = {}
        for kind, found in both.items():
            stems = [track[source] for track in found if source in track]
            cells = []
            for name in FIGURES:
                values = [stem[name] for stem in stems if np.isfinite(stem[name])]
                low, middle, high = np.percentile(values, (10, 50, 90)) if values else [np.nan] * 3
                cells.append(f"{middle:6.1f} ({low:5.1f} to {high:5.1f})")
            print(f"{kind:10}" + "".join(f"{cell:>22}" for cell in cells))
            middles[kind] = np.median([stem["spectrum"] for stem in stems], axis=0)
        apart = middles["generated"] - middles["real"]
        print("hertz     " + "".join(f"{band:6.0f}" for band in BANDS))
        for kind, levels in (*middles.items(), ("difference", apart)):
            print(f"{kind:10}" + "".join(f"{level:6.0f}" for level in levels))


def measure(seconds: float, songs: int = 5) -> None:
    """Print the speed of generating songs relative to real time, by CPU time."""
    generate_song(0, seconds=1.0)
    speeds = []
    for seed in range(songs):
        start = time.process_time()
        generate_song(seed, seconds=seconds)
        speeds.append(seconds / (time.process_time() - start))
    print(f"{np.median(speeds):.0f} times faster than real time ({min(speeds):.0f} to {max(speeds):.0f})")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", type=Path, nargs="*", metavar="FOLDER", help="real songs, generated songs")
    parser.add_argument("--seconds", type=float, default=60, help="length of a song")
    arguments = parser.parse_args()
    if len(arguments.folders) == 2:
        compare(*arguments.folders)
    elif not arguments.folders:
        measure(arguments.seconds)
    else:
        parser.error("give two folders, or none")
