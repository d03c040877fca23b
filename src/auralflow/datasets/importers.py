"""Importing MUSDB18, MUSDB18-HQ, or any multitrack collection with a mapping file.

A track is made in a hidden folder and then renamed, under a lock of its own: it is complete or absent, an
interrupted import resumes where it stopped, and the next one removes what a killed one left.
"""

import math
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from auralflow.audio import Audio, AudioWriter, probe, resample_stream, stream_audio
from auralflow.audio.containers import ContainerSource
from auralflow.config import ImportConfig
from auralflow.datasets.facts import TrackFacts, silent_stems, write_facts
from auralflow.datasets.import_plan import (
    ImportTrack,
    Part,
    plan_mapping,
    plan_musdb18,
    plan_musdb18hq,
    read_mapping,
)
from auralflow.datasets.tracks import stem_files
from auralflow.errors import AudioError, AuralflowError, NotFoundError, UsageError
from auralflow.storage import atomic_folder, claimed, remove_dead_folders

__all__ = ["ImportReport", "import_dataset"]

BLOCK = 1 << 16


@dataclass
class ImportReport:
    """What an import did.

    Attributes:
        made: Tracks that were made now.
        kept: Tracks that were there already.
        failed: Why a track could not be made, by its name.
        notes: What was left out or clipped.
    """

    made: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def import_dataset(
    source: Path,
    folder: Path,
    settings: ImportConfig | None = None,
    *,
    on_track: Callable[[int, int, str], None] | None = None,
) -> ImportReport:
    """Make a MUSDB18-shaped dataset from a collection.

    A stem that is one file is copied as it is; one that comes from a stem file, is the sum of several files
    or is shorter than its track becomes a WAV file. A track that fails does not stop the others.

    Args:
        source: Folder of the collection.
        folder: Folder of the dataset; existing tracks are kept.
        settings: Layout, mapping, encoding.
        on_track: Called with the number of tracks done, the number of all tracks and the last one's name.

    Returns:
        What was done.

    Raises:
        NotFoundError: If there is no such collection, or it has no tracks.
        UsageError: If the layout is not known and there is no mapping.
    """
    settings = settings or ImportConfig()
    plan = _plan(source, settings)
    report = ImportReport()
    for split in {track.split for track in plan}:
        remove_dead_folders(folder / split)
    for done, track in enumerate(plan, start=1):
        name = f"{track.split}/{track.name}"
        report.notes += track.notes
        try:
            notes = _make_track(track, folder / name, settings.sample_type.upper())
        except (AuralflowError, OSError) as error:
            report.failed[name] = f"{name}: {error}"
        else:
            (report.kept if notes is None else report.made).append(name)
            report.notes += notes or []
        if on_track:
            on_track(done, len(plan), name)
    return report


def _plan(source: Path, settings: ImportConfig) -> list[ImportTrack]:
    if not source.is_dir():
        raise NotFoundError(f"no collection '{source}'", expected="a folder")
    layout = settings.layout
    if layout == "mapping" or settings.mapping:
        if settings.mapping is None:
            raise UsageError("--layout mapping needs a file", advice="Name it with --mapping.")
        plan = plan_mapping(source, read_mapping(settings.mapping))
    else:
        plan = []
        if layout in ("auto", "musdb18"):
            plan = plan_musdb18(source, validation=settings.validation)
        if not plan and layout in ("auto", "musdb18hq"):
            plan = plan_musdb18hq(source, validation=settings.validation)
    if not plan:
        raise NotFoundError(
            f"there is nothing to import in '{source}'",
            expected="train/ and test/ with .stem.mp4 files, or with a folder of stems for each track",
            advice="Describe another layout in a file for --mapping.",
        )
    return plan


def _make_track(track: ImportTrack, target: Path, subtype: str) -> list[str] | None:
    """Make a track and return its notes; None if it exists."""
    if target.is_dir():
        return None
    if not any(track.stems.values()):
        raise AudioError("none of its files belongs to a stem")
    with claimed(target):
        if target.is_dir():
            # Another import was faster.
            return None
        with atomic_folder(target) as part:
            notes = _write_stems(track, part, subtype)
            if track.silent:
                write_facts(part, TrackFacts(silent=track.silent))
                # A statement that contradicts a file would make the track unusable.
                silent_stems(part, stem_files(part))
            return notes


def _write_stems(track: ImportTrack, folder: Path, subtype: str) -> list[str]:
    files = {part.path for parts in track.stems.values() for part in parts if part.stream is None}
    infos = {path: probe(path) for path in sorted(files)}
    rate = max((info.sample_rate for info in infos.values()), default=0)
    seconds = max((info.seconds for info in infos.values()), default=0.0)
    channels = max((info.channels for info in infos.values()), default=1)
    notes = []
    for stem, parts in track.stems.items():
        alone = infos.get(parts[0].path) if len(parts) == 1 else None
        if alone and alone.seconds == seconds:
            copy = folder / f"{stem}{alone.path.suffix.lower()}"
            shutil.copyfile(alone.path, copy)
            _flush(copy)
            continue
        if parts and parts[0].stream is not None:
            peak = _write_stream(folder / f"{stem}.wav", parts[0].path, parts[0].stream, subtype)
        else:
            blocks = _sum(parts, rate, channels, math.ceil(seconds * rate))
            peak = _write(folder / f"{stem}.wav", blocks, rate, channels, subtype)
        if peak > 1 and subtype != "FLOAT":
            over = 20 * math.log10(peak)
            notes.append(
                f"{track.name}: {stem} was clipped by {over:.1f} dB; `sample_type` float would keep it"
            )
    return notes


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _write_stream(path: Path, source: Path, stream: int, subtype: str) -> float:
    with ContainerSource(source, stream) as sound:
        blocks = sound.blocks(0, None, BLOCK, "float32")
        return _write(path, blocks, sound.sample_rate, sound.channels, subtype)


def _write(path: Path, blocks: Iterator[Audio], rate: int, channels: int, subtype: str) -> float:
    peak = 0.0
    with AudioWriter(path, rate, channels, subtype) as writer:
        for block in blocks:
            peak = max(peak, float(np.abs(block).max(initial=0.0)))
            writer.write(block)
    return peak


def _sum(parts: Sequence[Part], rate: int, channels: int, num_samples: int) -> Iterator[Audio]:
    """The sum of files as a stream ``[C, n]`` of a given length; silence if there are none."""
    readers = [_Reader(part.path, rate, channels) for part in parts]
    for start in range(0, num_samples, BLOCK):
        total = np.zeros((channels, min(BLOCK, num_samples - start)), dtype=np.float32)
        for reader in readers:
            total += reader.read(total.shape[1])
        yield total


class _Reader:
    """A file as a stream at another rate, read by any number of samples; silent after its end."""

    def __init__(self, path: Path, rate: int, channels: int) -> None:
        info = probe(path)
        if info.channels not in (1, channels):
            raise AudioError(
                f"cannot add '{path}'", found=f"{info.channels} channels", expected=f"1 or {channels}"
            )
        self._channels = info.channels
        self._blocks = resample_stream(stream_audio(path, block=BLOCK), info.sample_rate, rate, info.channels)
        self._waiting: Audio = np.zeros((info.channels, 0), dtype=np.float32)

    def read(self, count: int) -> Audio:
        while self._waiting.shape[1] < count:
            block = next(self._blocks, None)
            if block is None:
                block = np.zeros((self._channels, count - self._waiting.shape[1]), dtype=np.float32)
            self._waiting = np.concatenate([self._waiting, block], axis=1)
        ready, self._waiting = self._waiting[:, :count], self._waiting[:, count:]
        return ready
