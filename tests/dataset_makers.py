"""Creates small datasets for tests."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import soundfile

RATE = 8000
SOURCES = ("vocals", "drums", "bass", "other")


def noise(seconds: float, *, seed: int = 0, channels: int = 2, rate: int = RATE, level: float = 0.1):
    generator = np.random.default_rng(seed)
    return (level * generator.standard_normal((round(seconds * rate), channels))).clip(-0.9, 0.9)


def write_track(
    folder: Path,
    *,
    seconds: float = 2.0,
    seed: int = 0,
    sources=SOURCES,
    suffix: str = ".wav",
    mixture: bool = False,
    rates: Mapping[str, int] | None = None,
    **options,
) -> dict[str, np.ndarray]:
    """Write stems of noise, and return them as ``[N, C]``."""
    folder.mkdir(parents=True, exist_ok=True)
    stems = {}
    for number, source in enumerate(sources):
        rate = (rates or {}).get(source, RATE)
        stems[source] = noise(seconds, seed=100 * seed + number, rate=rate)
        soundfile.write(folder / f"{source}{suffix}", stems[source], rate, **options)
    if mixture:
        stems["mixture"] = np.sum(list(stems.values()), axis=0).clip(-1, 1)
        soundfile.write(folder / f"mixture{suffix}", stems["mixture"], RATE, **options)
    return stems


def write_dataset(folder: Path, *, train: int = 3, valid: int = 1, test: int = 0, **options) -> Path:
    for part, (split, count) in enumerate((("train", train), ("valid", valid), ("test", test))):
        for number in range(count):
            write_track(folder / split / f"Song {number}", seed=1 + number + 1000 * part, **options)
    return folder
