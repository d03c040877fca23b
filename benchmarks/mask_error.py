"""What the error of a model consists of: the part of the target it misses, and the leakage it lets through.

    python benchmarks/mask_error.py MODEL DATASET [--subset valid] [--targets vocals,drums] [--save FILE.json]

The error of a mask M on a mixture of a target V and everything else A has two parts: what it removes of the
target, (1 - M) V, and what it lets through of the rest, M A. They are shown as *missed* and *leaked*, in dB
relative to the target, per song, target and frequency band. A target that is silent, by its file or by
track.json, has only leakage, in dB relative to the mixture. Stems that are unknown in a track are left out.
For a net without masks, the closest mask is used: the real part of estimate / mixture, clipped to [0, 1].

Run it on validation songs: decisions based on test songs make those worthless.
"""

import argparse
import json
import math
import statistics
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from auralflow.audio import read_audio, resample
from auralflow.config import SOURCES
from auralflow.datasets import Track, index_split
from auralflow.models import load
from auralflow.nets.door import SeparationModel
from auralflow.storage import write_json
from auralflow.transforms import STFT, Chunking, overlap_add

EDGES = (0, 120, 300, 1000, 3000, 8000, math.inf)
"""Edges of the bands in hertz: sub-bass, bass and fundamentals, low and high formants, sibilants, air."""
BANDS = ("0-120", "120-300", "300-1k", "1-3k", "3-8k", "8k-")
ANALYSIS = 4096
OVERLAP = 0.25
SILENT = 1e-9
"""Mean square below which a target counts as silent: -90 dBFS."""


def read_stems(track: Track, rate: int, channels: int) -> dict[str, Tensor]:
    """The mixture and the known stems of a track, each ``[C, N]``."""
    stems = {}
    for name, path in track.files.items():
        audio, own = read_audio(path)
        sound = torch.from_numpy(resample(audio, own, rate))
        stems[name] = sound.mean(0, keepdim=True) if channels == 1 else sound.expand(channels, -1)
    length = min(sound.shape[-1] for sound in stems.values())
    stems = {name: sound[:, :length] for name, sound in stems.items()}
    if "mixture" not in stems and set(SOURCES) <= stems.keys():
        stems["mixture"] = torch.stack([stems[source] for source in SOURCES]).sum(0)
    some = next(iter(stems.values()))
    return stems | {name: torch.zeros_like(some) for name in getattr(track, "silent", ())}


def masks_of(model: SeparationModel, mixture: Tensor) -> tuple[Tensor, Tensor]:
    """Masks ``[B, S, C, F, T]`` of a batch of mixtures ``[B, C, N]``, and the mixtures' spectrograms."""
    estimate = model(mixture)
    if estimate.mask is not None:
        return estimate.mask, estimate.mixture
    spectrogram = estimate.mixture.unsqueeze(1)
    ratio = (estimate.spectrogram * spectrogram.conj()).real / spectrogram.abs().square().clamp_min(1e-12)
    return ratio.clamp(0, 1), estimate.mixture


@torch.inference_mode()
def errors(model: SeparationModel, mixture: Tensor, targets: dict[int, Tensor]) -> Tensor:
    """The audio that a model misses and leaks.

    Args:
        model: The model.
        mixture: Audio ``[C, N]``.
        targets: References ``[C, N]``, by index of the target.

    Returns:
        Audio ``[target, 2, C, N]``: missed, leaked. Missed minus leaked is the target minus its estimate.
    """
    channels = mixture.shape[0]
    numbers = list(targets)

    def process(chunks: Tensor) -> Tensor:
        parts = chunks.unflatten(1, (1 + len(numbers), channels))
        masks, spectrogram = masks_of(model, parts[:, 0])
        truth = model.transform(parts[:, 1:])
        chosen = masks[:, numbers]
        missed, leaked = (1 - chosen) * truth, chosen * (spectrogram.unsqueeze(1) - truth)
        return model.transform.inverse(torch.stack((missed, leaked), dim=2), chunks.shape[-1])

    length = model.config.chunk_samples
    signal = torch.cat((mixture, *targets.values()))
    chunking = Chunking(length=length, step=max(1, round(length * (1 - OVERLAP))))
    pieces = overlap_add([signal], process, chunking, batch_size=2)
    return torch.cat(list(pieces), dim=-1)


def band_energies(audio: Tensor, rate: int) -> Tensor:
    """Energy of audio ``[..., C, N]`` in each band ``[..., band]``, channels together."""
    power = STFT(ANALYSIS)(audio).abs().square().sum((-3, -1))
    frequencies = torch.arange(power.shape[-1]) * rate / ANALYSIS
    inside = [(frequencies >= low) & (frequencies < high) for low, high in pairwise(EDGES)]
    return torch.stack([power[..., band].sum(-1) for band in inside], dim=-1)


def measure(model: SeparationModel, track: Track, targets: tuple[str, ...]) -> dict[str, dict]:
    """Energies missed and leaked in a track by target and band, relative to the target."""
    config = model.config
    stems = read_stems(track, config.sample_rate, config.num_channels)
    wanted = {config.targets.index(name): stems[name] for name in targets if name in stems}
    if not wanted or "mixture" not in stems:
        return {}
    mixture = stems["mixture"]
    found = {}
    for number, parts in zip(wanted, errors(model, mixture, wanted), strict=True):
        truth = wanted[number]
        silent = float(truth.square().mean()) < SILENT
        reference = float(band_energies(mixture if silent else truth, config.sample_rate).sum())
        missed, leaked = (band_energies(parts, config.sample_rate) / max(reference, 1e-12)).tolist()
        found[config.targets[number]] = {
            "silent": silent,
            "missed": None if silent else dict(zip(BANDS, missed, strict=True)),
            "leaked": dict(zip(BANDS, leaked, strict=True)),
        }
    return found


def decibels(energy: float) -> float:
    """Energy in dB, not below -99.9."""
    return max(10 * math.log10(max(energy, 1e-10)), -99.9)


def rows(report: dict[str, dict], targets: tuple[str, ...]) -> Iterator[str]:
    """The lines of the table, at most 80 columns wide with four targets."""
    head = "".join(f"{target[:12]:>13}" for target in targets)
    columns = "".join(f"{'missed':>7}{'leak':>6}" for _ in targets)
    yield f"{'':26}{head}"
    yield f"{'song':26}{columns}"
    for name, found in report.items():
        cells = [_cell(found.get(target)) for target in targets]
        # In a long name, the title is worth more than the artist.
        short = name if len(name) <= 26 else name.partition(" - ")[2] or name
        yield f"{short[:26]:26}{''.join(cells)}"
    parts = {target: [found[target] for found in report.values() if target in found] for target in targets}
    sounding = {target: [part for part in found if not part["silent"]] for target, found in parts.items()}
    for band in (*BANDS, "all"):
        cells = [_mean_cell(found, band) for found in sounding.values()]
        yield f"{'mean, ' + (band if band == 'all' else band + ' Hz'):26}{''.join(cells)}"
    if any(part["silent"] for found in parts.values() for part in found):
        yield "* silent: leakage relative to the mixture, not included in the means"


def _cell(part: dict | None) -> str:
    if part is None:
        return f"{'':13}"
    leaked = decibels(sum(part["leaked"].values()))
    if part["silent"]:
        return f"{'*':>7}{leaked:6.1f}"
    return f"{decibels(sum(part['missed'].values())):7.1f}{leaked:6.1f}"


def _mean_cell(found: list[dict], band: str) -> str:
    if not found:
        return f"{'':13}"
    cell = ""
    for kind, width in (("missed", 7), ("leaked", 6)):
        energies = [sum(part[kind].values()) if band == "all" else part[kind][band] for part in found]
        cell += f"{decibels(statistics.fmean(energies)):{width}.1f}"
    return cell


def main(words: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="model folder or name")
    parser.add_argument("dataset", type=Path, help="folder with the layout of MUSDB18")
    parser.add_argument("--subset", default="valid", choices=["train", "valid", "test"])
    parser.add_argument("--targets", help="names separated by commas; default: all of the model")
    parser.add_argument("--save", type=Path, help="JSON file: energies relative to the target, by song")
    options = parser.parse_args(words)
    model = load(options.model).eval()
    targets = tuple(options.targets.split(",")) if options.targets else model.config.targets
    if unknown := [target for target in targets if target not in model.config.targets]:
        parser.error(f"the model has no target {', '.join(unknown)}: {', '.join(model.config.targets)}")
    tracks = index_split(options.dataset, options.subset)
    if not tracks:
        parser.error(f"'{options.dataset}' has no tracks in {options.subset}")
    report = {track.name: found for track in tracks if (found := measure(model, track, targets))}
    print("\n".join(rows(report, targets)))
    if options.save:
        write_json(options.save, {"model": str(options.model), "edges": EDGES[:-1], "tracks": report})
        print(json.dumps({"saved": str(options.save)}))


if __name__ == "__main__":
    main()
