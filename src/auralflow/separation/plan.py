"""What a run would do: how long it would take and how much of the disk."""

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from auralflow.config import StemConfig
from auralflow.errors import AuralflowError
from auralflow.separation.naming import check_names
from auralflow.separation.songs import OUTPUT_FOLDER, Song
from auralflow.separation.stream import Separator
from auralflow.separation.work import Worker, bytes_needed, failure_of

__all__ = ["Plan", "PlannedSong", "calibrate", "plan_files"]


@dataclass(frozen=True)
class PlannedSong:
    """What would be done with a song.

    Attributes:
        song: The song.
        action: "separate", "keep" what is finished, or "fail".
        seconds: Length of its audio.
        bytes: What its stems take on the disk at most.
        error: Why it would fail.
    """

    song: Song
    action: Literal["separate", "keep", "fail"]
    seconds: float = 0.0
    bytes: int = 0
    error: AuralflowError | None = None


@dataclass(frozen=True)
class Plan:
    """What a run would do.

    Attributes:
        songs: Each song.
        speed: Seconds of audio that are separated in one second, as measured.
        bytes_free: Space on the disk.
    """

    songs: Sequence[PlannedSong]
    speed: float
    bytes_free: int

    @property
    def seconds(self) -> float:
        """Time that the run would take."""
        return sum(song.seconds for song in self.songs if song.action == "separate") / self.speed

    @property
    def bytes(self) -> int:
        """Space that the run would take."""
        return sum(song.bytes for song in self.songs if song.action == "separate")

    @property
    def fits(self) -> bool:
        """Whether the disk can hold it."""
        return self.bytes <= self.bytes_free

    def to_json(self) -> dict[str, Any]:
        """The plan as JSON values."""
        return {
            "songs": [
                {
                    "source": str(planned.song.path),
                    "name": planned.song.name.as_posix(),
                    "action": planned.action,
                    "seconds": planned.seconds,
                    "bytes": planned.bytes,
                    "error": str(planned.error) if planned.error else None,
                }
                for planned in self.songs
            ],
            "speed": self.speed,
            "seconds": self.seconds,
            "bytes": self.bytes,
            "bytes_free": self.bytes_free,
            "fits": self.fits,
        }


def calibrate(separator: Separator, channels: int = 2, seconds: float = 0.0) -> float:
    """Measure how many seconds of audio are separated in one second, by a short piece of noise.

    Args:
        separator: The separator.
        channels: Channels of the noise.
        seconds: How long to measure at least; one round is made in any case.
    """
    rate = separator.model.config.sample_rate
    samples = round(separator.latency * rate)
    noise = np.random.default_rng(0).standard_normal((channels, samples), dtype=np.float32) / 10
    # The first time takes longer than all others.
    separator.separate(noise[:, : round(separator.model.config.sample_length * rate)], rate)
    rounds, started = 0, time.perf_counter()
    while not rounds or time.perf_counter() - started < seconds:
        separator.separate(noise, rate)
        rounds += 1
    return rounds * samples / rate / (time.perf_counter() - started)


def plan_files(
    separator: Separator,
    songs: Sequence[Song],
    save: str | Path,
    options: StemConfig,
    *,
    force: bool = False,
) -> Plan:
    """Tell what `separate_files` would do. Nothing is written.

    Args:
        separator: The separator.
        songs: The songs.
        save: The folder that the stems would go to.
        options: What would be written.
        force: Whether songs that are finished would be separated again.

    Raises:
        UsageError: If the files of two songs would have one name.
    """
    save = Path(save)
    check_names([song.name for song in songs], separator.targets, options)
    worker = Worker(separator, save / OUTPUT_FOLDER, options, force=force)
    planned = [_planned(worker, song) for song in songs]
    existing = next(folder for folder in (save.absolute(), *save.absolute().parents) if folder.exists())
    to_do = any(song.action == "separate" for song in planned)
    speed = calibrate(separator) if to_do else 1.0
    return Plan(planned, speed, shutil.disk_usage(existing).free)


def _planned(worker: Worker, song: Song) -> PlannedSong:
    if song.fault:
        return PlannedSong(song, "fail", error=song.fault)
    try:
        seconds, size = bytes_needed(worker.separator, song.path, worker.options)
        key = worker.key(worker.journal.mark(song.path.absolute()))
        done = not worker.force and worker.journal.finished(song.name.as_posix(), key)
    except Exception as error:  # noqa: BLE001 - as in a run, one song does not stop the others
        return PlannedSong(song, "fail", error=failure_of(song, error))
    return PlannedSong(song, "keep", seconds) if done else PlannedSong(song, "separate", seconds, size)
