"""How fast training chunks are read, remixed and augmented, compared with other packages.

Run ``python benchmarks/data.py``; ``--help`` lists the options. Everything is measured in one run on one
machine, in several rounds that take the variants in turn. The table shows the median, and the median of the
ratios, round by round, to plain soundfile reads of the same chunks from WAV. ``--large 100`` instead measures
how long it takes to index a sparse dataset of that many GB, and how much memory its training chunks take.

Two other packages are measured if they are installed: ``pip install musdb`` (needs FFmpeg:
``apt-get install ffmpeg``) and ``pip install --no-deps openunmix``.
"""

import argparse
import json
import os
import platform
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from statistics import median
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import soundfile
import torch

from auralflow.config import SOURCES, AugmentConfig, PrepareConfig, TrainConfig
from auralflow.datasets import EpochSampler, Track, TrainingChunks, train_loader, training_tracks
from auralflow.datasets.chunks import read_chunk
from auralflow.datasets.prepare import prepare
from auralflow.nets.unet import SpectrogramNetConfig
from auralflow.synth import write_dataset

CONFIG = SpectrogramNetConfig(
    targets=SOURCES, num_channels=2, num_fft=2048, window_size=2048, hop_length=1024
)
FORMATS = {
    "wav": ("WAV", "PCM_16", ".wav"),
    "flac": ("FLAC", "PCM_16", ".flac"),
    "vorbis": ("OGG", "VORBIS", ".ogg"),
}
UNCHANGED = AugmentConfig(gain=0, channel_swap=0, sign_flip=0, equalizer=0, low_pass=0, repitch=0)
REFERENCE = "soundfile wav"
PIECE = 1 << 16
BATCH = 4

Place = tuple[Any, str, float]
Result = tuple[float, float | None]
Case = tuple[str, Callable[[], Result]]


def make_data(root: Path, *, tracks: int, seconds: float) -> dict[str, Path]:
    """Write the same songs in every format, and caches of them."""
    write_dataset(root / "wav", tracks=tracks, seed=0, seconds=seconds)
    for name in ("flac", "vorbis"):
        form, subtype, suffix = FORMATS[name]
        for path in (root / "wav").rglob("*.wav"):
            copy = (root / name / path.relative_to(root / "wav")).with_suffix(suffix)
            copy.parent.mkdir(parents=True, exist_ok=True)
            audio, rate = soundfile.read(path, dtype="float32")
            with soundfile.SoundFile(copy, "w", rate, 2, subtype=subtype, format=form) as file:
                for start in range(0, len(audio), PIECE):
                    file.write(audio[start : start + PIECE])
    for sample_type in ("int16", "float32"):
        prepare(root / "wav", root / f"cache {sample_type}", PrepareConfig(sample_type=sample_type))
    return {path.name: path for path in sorted(root.iterdir())}


def draw_places(tracks: list[Track], count: int) -> list[Place]:
    """Random chunks of single stems."""
    generator = np.random.default_rng(0)
    return [
        (tracks[generator.integers(len(tracks))], str(generator.choice(SOURCES)), float(generator.random()))
        for _ in range(count)
    ]


def timed(read: Callable[[], None], count: int) -> Callable[[], Result]:
    """Chunks per second, and CPU milliseconds per chunk."""

    def run() -> Result:
        wall, cpu = time.perf_counter(), time.process_time()
        read()
        return count / (time.perf_counter() - wall), 1000 * (time.process_time() - cpu) / count

    return run


def read_ours(places: list[Place]) -> None:
    """Read chunks with auralflow."""
    for track, stem, position in places:
        torch.from_numpy(read_chunk(track, stem, position, CONFIG))


def read_plainly(places: list[Place]) -> None:
    """Read the same chunks with soundfile alone."""
    for track, stem, position in places:
        with soundfile.SoundFile(track.stems[stem]) as file:
            file.seek(int(position * (file.frames - CONFIG.chunk_samples)))
            audio = file.read(CONFIG.chunk_samples, dtype="float32", always_2d=True)
        torch.from_numpy(np.ascontiguousarray(audio.T))


def readers(data: dict[str, Path], count: int) -> Iterator[Case]:
    """Cases that read chunks of one stem: float32, contiguous, ``[C, N]``."""
    for name, folder in data.items():
        places = draw_places(training_tracks(folder)[0], count)
        if name in FORMATS:
            yield f"soundfile {name}", timed(partial(read_plainly, places), count)
        yield f"auralflow {name}", timed(partial(read_ours, places), count)
    yield from musdb_reader(data["wav"], count)
    yield from openunmix_readers(data["wav"], count)


def musdb_reader(folder: Path, count: int) -> Iterator[Case]:
    """The chunk reader of the ``musdb`` package, if it can be imported."""
    try:
        import musdb
    except (ImportError, RuntimeError) as error:
        print(f"musdb cannot be imported: {error}", file=sys.stderr)
        return
    places = draw_places(list(musdb.DB(root=str(folder), is_wav=True, subsets="train")), count)

    def read() -> None:
        for track, stem, position in places:
            track.chunk_duration = CONFIG.sample_length
            track.chunk_start = position * (track.duration - CONFIG.sample_length)
            audio = track.targets[stem].audio
            torch.from_numpy(np.ascontiguousarray(audio.T, dtype=np.float32))

    yield "musdb wav", timed(read, count)


def openunmix_readers(folder: Path, count: int) -> Iterator[Case]:
    """The chunk reader of the ``openunmix`` package, and its dataset that remixes four stems.

    Only its dataset module is loaded. It reads with torchaudio, which no longer has file readers, so a module
    that reads with soundfile takes its place, and Open-Unmix's own code is measured.
    """
    package = find_spec("openunmix")
    if package is None or not package.submodule_search_locations:
        print("openunmix is not installed: pip install --no-deps openunmix", file=sys.stderr)
        return
    sys.modules.setdefault("torchaudio", torchaudio_stand_in())
    path = Path(package.submodule_search_locations[0]) / "data.py"
    spec = spec_from_file_location("openunmix_data", path)
    assert spec is not None
    assert spec.loader is not None
    theirs = module_from_spec(spec)
    spec.loader.exec_module(theirs)
    places = draw_places(training_tracks(folder)[0], count)
    seconds = CONFIG.sample_length

    def read() -> None:
        for track, stem, position in places:
            info = theirs.load_info(track.stems[stem])
            start = position * (info["duration"] - seconds)
            theirs.load_audio(track.stems[stem], start=start, dur=seconds, info=info)

    yield "openunmix wav", timed(read, count)
    targets, interferers = f"{SOURCES[0]}.wav", [f"{source}.wav" for source in SOURCES[1:]]
    dataset = theirs.FixedSourcesTrackFolderDataset(
        str(folder),
        target_file=targets,
        interferer_files=interferers,
        seq_duration=seconds,
        random_chunks=True,
        random_track_mix=True,
        source_augmentations=theirs.aug_from_str(["gain", "channelswap"]),
    )

    def remix() -> None:
        for number in range(count):
            dataset[number % len(dataset)]

    yield "openunmix, remixed, gain and channels, wav", timed(remix, count)


def torchaudio_stand_in() -> ModuleType:
    """The functions that Open-Unmix calls, implemented with soundfile."""

    def info(path: str) -> SimpleNamespace:
        found = soundfile.info(path)
        return SimpleNamespace(
            sample_rate=found.samplerate, num_frames=found.frames, num_channels=found.channels
        )

    def load(path: Path, num_frames: int = -1, frame_offset: int = 0) -> tuple[torch.Tensor, int]:
        audio, rate = soundfile.read(
            path, frames=num_frames, start=frame_offset, dtype="float32", always_2d=True
        )
        return torch.from_numpy(np.ascontiguousarray(audio.T)), rate

    module = ModuleType("torchaudio")
    vars(module).update(info=info, load=load, get_audio_backend=lambda: "soundfile")
    return module


def pipelines(data: dict[str, Path], count: int, workers: list[int]) -> Iterator[Case]:
    """Complete training chunks: the mixture and four targets."""
    kinds = {
        "not remixed": UNCHANGED.model_copy(update={"remix": 0, "time_shift": 0}),
        "remixed": UNCHANGED,
        "remixed and augmented": AugmentConfig(),
    }
    for name, folder in data.items():
        tracks = training_tracks(folder)[0]
        for kind, augment in kinds.items():
            chunks = TrainingChunks(tracks, CONFIG, augment)
            yield f"{kind}, {name}, no loader", timed(partial(read_numbers, chunks, count), count)
            for number in workers:
                yield f"{kind}, {name}, {number} workers", partial(run_loader, chunks, count, number)


def read_numbers(chunks: TrainingChunks, count: int) -> None:
    """Read the first chunks of an epoch, one by one."""
    for number in range(count):
        chunks[number]


def run_loader(chunks: TrainingChunks, count: int, workers: int) -> Result:
    """Chunks per second in batches, after the first batch: starting the workers is not counted."""
    settings = TrainConfig(batch_size=BATCH, num_workers=workers)
    batches = iter(train_loader(chunks, EpochSampler(count), settings))
    next(batches)
    start = time.perf_counter()
    rest = sum(len(mixture) for mixture, *_ in batches)
    return rest / (time.perf_counter() - start), None


def training_step() -> float:
    """Chunks per second that a training step of SpectrogramNetSimple processes."""
    from auralflow.nets.unet.model import SpectrogramMaskModel
    from auralflow.trainer import Trainer

    config = CONFIG.model_copy(update={"targets": ("vocals",)})
    batch = (
        torch.randn(BATCH, 2, config.chunk_samples),
        torch.randn(BATCH, 1, 2, config.chunk_samples),
    )
    trainer = Trainer(SpectrogramMaskModel(config), TrainConfig(max_epochs=1))
    trainer._step(batch)
    start = time.perf_counter()
    trainer._step(batch)
    return BATCH / (time.perf_counter() - start)


def measure(cases: list[Case], rounds: int) -> dict[str, list[Result]]:
    """Run every case in turn, several times, after a round that is not counted."""
    found: dict[str, list[Result]] = {name: [] for name, _ in cases}
    for number in range(rounds + 1):
        for name, run in cases:
            result = run()
            if number:
                found[name].append(result)
    return found


def show(found: dict[str, list[Result]]) -> None:
    """Print medians, and the median ratio to soundfile, round by round."""
    reference = found.get(REFERENCE)
    print(f"{'':50}{'chunks/s':>10}{'CPU ms':>9}{'x soundfile wav' if reference else '':>17}")
    for name, results in found.items():
        ratios = [ours[0] / theirs[0] for ours, theirs in zip(results, reference or [], strict=False)]
        cpu = [milliseconds for _, milliseconds in results if milliseconds is not None]
        cells = (f"{median(cpu):.2f}" if cpu else "", f"{median(ratios):.2f}" if ratios else "")
        print(f"{name:50}{median(speed for speed, _ in results):10.0f}{cells[0]:>9}{cells[1]:>17}")


def write_sparse(path: Path, seconds: int) -> None:
    """Write a silent stereo WAV file that takes no space on disk."""
    soundfile.write(path, np.zeros((1, 2)), 44100)
    header = bytearray(path.read_bytes())
    size = seconds * 44100 * 4
    place = header.index(b"data") + 4
    header[place : place + 4] = size.to_bytes(4, "little")
    header[4:8] = (place + 4 + size - 8).to_bytes(4, "little")
    path.write_bytes(header)
    os.truncate(path, place + 4 + size)


def measure_large(root: Path, gigabytes: int) -> dict[str, float]:
    """Index a sparse dataset and read training chunks from it."""
    seconds = 240
    tracks = max(2, round(gigabytes * 1e9 / (len(SOURCES) * seconds * 44100 * 4)))
    for number in range(tracks):
        folder = root / ("valid" if number == 0 else "train") / f"{number:05d}"
        folder.mkdir(parents=True)
        for source in SOURCES:
            write_sparse(folder / f"{source}.wav", seconds)
    start = time.perf_counter()
    train, _ = training_tracks(root)
    indexed = time.perf_counter() - start
    chunks = TrainingChunks(train, CONFIG)
    chunks[0]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(300):
        chunks[number]
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "gigabytes": sum(path.stat().st_size for path in root.rglob("*.wav")) / 1e9,
        "tracks": tracks,
        "index_seconds": indexed,
        "memory_mb": after / 1024,
        "memory_growth_mb": (after - before) / 1024,
    }


def main() -> None:
    """Parse the options, measure and save the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tracks", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--chunks", type=int, default=100, help="chunks per round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--no-step", action="store_true", help="do not measure the training step")
    parser.add_argument(
        "--large", type=int, metavar="GB", help="measure a sparse dataset of this size instead"
    )
    parser.add_argument("--save", type=Path, help="JSON file for the results")
    options = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="auralflow-data-"))
    try:
        result = run(root, options)
    finally:
        shutil.rmtree(root)
    if options.save:
        options.save.write_text(json.dumps(result, indent=2) + "\n")


def run(root: Path, options: argparse.Namespace) -> dict[str, object]:
    """Measure in a temporary folder, and print the tables."""
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"{machine}, torch {torch.__version__}, soundfile {soundfile.__version__}")
    if options.large:
        large = measure_large(root, options.large)
        print(", ".join(f"{name} {value:.3g}" for name, value in large.items()))
        return {"machine": machine, "large": large}
    data = make_data(root, tracks=options.tracks, seconds=options.seconds)
    single = measure(list(readers(data, options.chunks)), options.rounds)
    print("one stem, 3 s, stereo")
    show(single)
    whole = measure(list(pipelines(data, options.chunks, options.workers)), options.rounds)
    print("mixture and four targets")
    show(whole)
    step = 0.0 if options.no_step else training_step()
    if step:
        print(f"a training step of SpectrogramNetSimple (stereo, vocals, batch 4): {step:.2f} chunks/s")
    return {"machine": machine, "single": single, "whole": whole, "training_step_chunks_per_second": step}


if __name__ == "__main__":
    main()
