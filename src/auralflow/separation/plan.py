"""Dry runs: what a run would do, how long it would take and how much disk space it would need."""

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
    """What a run would do with a song.

    Attributes:
        song: The song.
        action: "separate", "keep" (already finished) or "fail".
        seconds: Length of the audio in seconds. Default: 0.
        bytes: Maximum disk space that the song needs. Default: 0.
        error: Why it would fail. Default: None.
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
        songs: What it would do with each song.
        speed: Measured speed, in seconds of audio per second.
        bytes_free: Free space on the disk in bytes.
    """

    songs: Sequence[PlannedSong]
    speed: float
    bytes_free: int

    @property
    def seconds(self) -> float:
        """Estimated duration of the run in seconds."""
        return sum(song.seconds for song in self.songs if song.action == "separate") / self.speed

    @property
    def bytes(self) -> int:
        """Maximum disk space that the run needs, in bytes."""
        return sum(song.bytes for song in self.songs if song.action == "separate")

    @property
    def fits(self) -> bool:
        """Whether the disk has enough space."""
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
    """Measure how many seconds of audio are separated per second, on a short stretch of noise.

    Args:
        separator: The separator.
        channels: Number of channels of the noise. Default: 2.
        seconds: Minimum duration of the measurement in seconds. Default: 0, a single round.

    Returns:
        The speed, in seconds of audio per second.
    """
    rate = separator.model.config.sample_rate
    samples = round(separator.latency * rate)
    noise = np.random.default_rng(0).standard_normal((channels, samples), dtype=np.float32) / 10
    # Warm up: the first run takes longer.
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
    """Plan what `separate_files` would do, without writing anything.

    Args:
        separator: The separator.
        songs: The songs.
        save: Folder in which ``separated_audio`` would be created.
        options: What to write.
        force: Separate finished songs again. Default: False.

    Returns:
        The plan, including the speed that was measured.

    Raises:
        UsageError: If two songs would have files of the same name.

    Example:
        >>> import tempfile
        >>> from auralflow.audio import write_audio
        >>> from auralflow.separation import find_songs
        >>> folder = Path(tempfile.mkdtemp())
        >>> write_audio(folder / "song.wav", np.zeros((2, 4000), dtype=np.float32), 44100)
        >>> plan = plan_files(Separator("SpectrogramNetSimple"), find_songs([folder]), folder, StemConfig())
        >>> [song.action for song in plan.songs], plan.fits
        (['separate'], True)
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
