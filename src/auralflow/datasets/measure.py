"""Measuring the audio of one track: read to its end, in blocks, all files in parallel."""

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auralflow.audio import Audio, AudioInfo, probe, stream_audio
from auralflow.config import SOURCES
from auralflow.datasets.facts import MIXTURE, TrackFacts
from auralflow.errors import AuralflowError

__all__ = ["StemReport", "TrackReport", "measure_track"]

BLOCK = 1 << 17
FULL_SCALE = 1 - 2**-14
EXACT_DB = -150.0
"""Residual in dB of a mixture that is exactly the sum of its stems."""
CLIPPED_RUN = 3
"""Consecutive samples at full scale that count as clipping; a single one may be a peak."""


@dataclass
class StemReport:
    """What a file holds.

    Attributes:
        path: The file.
        info: What its header says, None if it cannot be read.
        peak: Largest absolute sample in dBFS, None if all are zero.
        rms: Level in dBFS, None if all samples are zero.
        clipped: How often three samples in a row are at full scale.
        content: Hash of the samples to 16 bits, whatever the format; empty for silence.
        error: Why it cannot be decoded to its end.
    """

    path: Path
    info: AudioInfo | None = None
    peak: float | None = None
    rms: float | None = None
    clipped: int = 0
    content: str = ""
    error: str = ""


@dataclass
class TrackReport:
    """What a track holds.

    Attributes:
        folder: Its folder.
        stems: Its files by stem, including the mixture's.
        facts: What its ``track.json`` states.
        residual: Level of ``mixture - sum(stems)`` relative to the mixture in dB; None if it is undefined.
        error: Why its files cannot be used together.
    """

    folder: Path
    stems: dict[str, StemReport] = field(default_factory=dict)
    facts: TrackFacts = field(default_factory=TrackFacts)
    residual: float | None = None
    error: str = ""


class _Gauge:
    """Accumulates the measurements of a file."""

    def __init__(self, report: StemReport) -> None:
        self.report = report
        self.frames = 0
        self.energy = 0.0
        self.peak = 0.0
        self.digest = hashlib.blake2b(digest_size=16)

    def add(self, block: Audio) -> None:
        size = np.abs(block)
        self.frames += block.size
        self.energy += float(np.einsum("cn,cn->", block, block, dtype=np.float64))
        self.peak = max(self.peak, float(size.max(initial=0.0)))
        if self.peak >= FULL_SCALE:
            self.report.clipped += _runs(size >= FULL_SCALE)
        self.digest.update(np.rint(block.T * 32768).astype("<i4").tobytes())

    def finish(self) -> None:
        if self.peak:
            self.report.peak = _decibels(self.peak**2)
            self.report.rms = _decibels(self.energy / self.frames)
            self.report.content = self.digest.hexdigest()


def _runs(full: NDArray[np.bool_]) -> int:
    return int(np.count_nonzero(full[:, 2:] & full[:, 1:-1] & full[:, :-2]))


def _decibels(power: float) -> float:
    return 10 * math.log10(power)


def measure_track(folder: Path, files: Mapping[str, Path], facts: TrackFacts) -> TrackReport:
    """Read all files of a track to their ends and measure them.

    Args:
        folder: The track's folder.
        files: Its files by stem, including the mixture's.
        facts: What its ``track.json`` states.

    Returns:
        What was found; a file that cannot be decoded is reported, not raised.
    """
    report = TrackReport(folder, {stem: StemReport(path) for stem, path in files.items()}, facts)
    for part in report.stems.values():
        part.info = _take(part, lambda part=part: probe(part.path))
    gauges = {stem: _Gauge(part) for stem, part in report.stems.items() if not part.error}
    streams = {stem: stream_audio(files[stem], block=BLOCK) for stem in gauges}
    sources = _summed(report)
    difference = total = 0.0
    while streams:
        blocks = _next_blocks(report, streams)
        for stem, block in blocks.items():
            gauges[stem].add(block)
        if sources and {MIXTURE, *sources} <= blocks.keys():
            mixture = blocks[MIXTURE]
            rest = _difference(mixture, [blocks[source] for source in sources])
            difference += float(np.einsum("cn,cn->", rest, rest, dtype=np.float64))
            total += float(np.einsum("cn,cn->", mixture, mixture, dtype=np.float64))
    for gauge in gauges.values():
        gauge.finish()
    if total and not any(part.error for part in report.stems.values()):
        report.residual = _decibels(max(difference / total, 10 ** (EXACT_DB / 10)))
    return report


def _take(stem: StemReport, action: Any) -> Any:
    try:
        return action()
    except AuralflowError as error:
        stem.error = str(error)
    return None


def _next_blocks(report: TrackReport, streams: dict[str, Iterator[Audio]]) -> dict[str, Audio]:
    blocks = {}
    for stem in list(streams):
        block = _take(report.stems[stem], lambda stem=stem: next(streams[stem], None))
        if block is None:
            del streams[stem]
        else:
            blocks[stem] = block
    return blocks


def _summed(report: TrackReport) -> tuple[str, ...]:
    """The stems whose sum should be the mixture; none if that is unknown."""
    infos = [part.info for part in report.stems.values()]
    alike = None not in infos and len({info.sample_rate for info in infos if info}) == 1
    if not alike or not {MIXTURE, *SOURCES} <= report.stems.keys() | set(report.facts.silent):
        return ()
    return tuple(source for source in SOURCES if source in report.stems)


def _difference(mixture: Audio, stems: list[Audio]) -> Audio:
    frames = min(block.shape[1] for block in (mixture, *stems))
    wide = max(len(block) for block in (mixture, *stems))
    rest = np.broadcast_to(mixture[:, :frames], (wide, frames)).copy() if len(mixture) in (1, wide) else None
    if rest is None or any(len(stem) not in (1, wide) for stem in stems):
        return np.zeros((1, 0), dtype=np.float32)
    for stem in stems:
        rest -= stem[:, :frames]
    return rest
