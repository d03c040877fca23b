"""The output of ``separate``, during and after a run."""

import time
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, Self

from auralflow.cli.console import (
    error_line,
    is_quiet,
    json_line,
    note,
    print_json,
    result_line,
    song_progress,
)
from auralflow.config import SeparateConfig
from auralflow.errors import ExitCode

if TYPE_CHECKING:
    from auralflow.separation import Outcome, Song
    from auralflow.separation.lists import FailedSongs

__all__ = ["Output", "Show", "spoken"]

Output = Literal["text", "json", "json-lines"]
"""What to write to standard output."""

# Seconds between two writes of the list of failed songs.
_WRITE_EVERY = 2.0


class Show:
    """Shows the progress of a run, the result of each song, and a summary.

    Args:
        songs: The songs.
        options: The settings of the run.
        failed: The list of failed songs, which is kept up to date.
        output: What to write to standard output.
        stems: Names of the stems, for the summary.
    """

    def __init__(
        self,
        songs: "Sequence[Song]",
        options: SeparateConfig,
        failed: "FailedSongs",
        output: Output,
        stems: Sequence[str],
    ) -> None:
        self.songs = songs
        self.options = options
        self.failed = failed
        self.output = output
        self.stems = stems
        self.outcomes: list[Outcome] = []
        self._started = self._written = time.monotonic()
        self._listed = 0
        self._lock = Lock()
        self._under_way: dict[Path, float] = {}
        self._progress = song_progress()
        self._task = self._progress.add_task("", total=len(songs), done=0)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress.live.is_started:
            self._progress.stop()
        # After Ctrl-C too, to list what had failed by then.
        self._update_list()

    def under_way(self, song: "Song", fraction: float) -> None:
        """Show the progress of a song."""
        with self._lock:
            self._under_way[song.path] = fraction
            self._move(song.path.name)

    def ended(self, outcome: "Outcome") -> None:
        """Show the result of a song."""
        with self._lock:
            self.outcomes.append(outcome)
            self._under_way.pop(outcome.song.path, None)
            self._move(None)
        if outcome.error:
            if time.monotonic() - self._written > _WRITE_EVERY:
                self._update_list()
            error_line(_named(outcome.song.path, str(outcome.error)))
        if self.output == "json-lines":
            json_line(_as_line(outcome))
        elif self.output == "text" and not outcome.error and not is_quiet():
            self._print(outcome)

    def finish(self) -> int:
        """Print the summary, and return the exit code."""
        self._update_list()
        failures = sum(outcome.error is not None for outcome in self.outcomes)
        if self.output == "json":
            print_json({"songs": [outcome.to_json() for outcome in self.outcomes], "failed": failures})
        summary = self._summary(failures)
        if failures and not self.options.accept_failed:
            error_line(summary)
            return ExitCode.FAILED
        if self.output != "text":
            note(summary)
        elif not is_quiet():
            if len(self.songs) > 1 and failures < len(self.songs):
                result_line(f"stems: {', '.join(self.stems)}")
            result_line(summary)
        return ExitCode.DONE

    def _move(self, name: str | None) -> None:
        done = len(self.outcomes)
        completed = done + sum(self._under_way.values())
        self._progress.update(self._task, completed=completed, done=done, description=name)

    def _print(self, outcome: "Outcome") -> None:
        remarks = "; ".join(_remarks(outcome, alone=self.options.layout == "tree"))
        if len(self.songs) > 1 and self.options.layout == "tree":
            result_line(f"{outcome.folder} ({remarks})" if remarks else f"{outcome.folder}", copyable=True)
            return
        for file in outcome.report["files"]:
            result_line(str(outcome.folder / file), copyable=True)
        if remarks:
            result_line(f"({remarks})")

    def _update_list(self) -> None:
        self._written = time.monotonic()
        new, self._listed = self.outcomes[self._listed :], len(self.outcomes)
        try:
            self.failed.update(
                failed=[outcome.song.path for outcome in new if outcome.error],
                done=[outcome.song.path for outcome in new if not outcome.error],
            )
        except OSError as error:
            error_line(f"cannot write '{self.failed.path}': {error.strerror}")

    def _summary(self, failures: int) -> str:
        """The last line, as in "60 of 63 songs, 2 h 3 min of audio in 9 min, 13x real time; 3 failed, …"."""
        elapsed = time.monotonic() - self._started
        count, total = len(self.outcomes) - failures, len(self.songs)
        kept = sum(outcome.status == "kept" for outcome in self.outcomes)
        seconds = sum(outcome.seconds for outcome in self.outcomes if outcome.status == "separated")
        what = "1 song" if count == total == 1 else f"{count} of {total} songs"
        if seconds:
            speed = seconds / max(elapsed, 1e-3)
            digits = 0 if speed >= 10 else 1 if speed >= 1 else 2
            what += f", {spoken(seconds)} of audio in {spoken(elapsed)}, {speed:.{digits}f}x real time"
        if kept:
            what += f"; {kept} kept from an earlier run"
        if failures:
            what += f"; {failures} failed, listed in {self.failed.path}"
        return what


def spoken(seconds: float) -> str:
    """Format a duration with units.

    Example:
        >>> spoken(8.41), spoken(41), spoken(200), spoken(7390)
        ('8.4 s', '41 s', '3 min 20 s', '2 h 3 min')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minute} min"
    if minutes >= 10 or (minutes and not second):
        return f"{minutes} min"
    return f"{minutes} min {second} s" if minutes else f"{second} s"


def _named(path: Path, error: str) -> str:
    """An error message, with the path of the song in front unless the message contains it verbatim."""
    return error if str(path) in error else f"'{path}': {error}"


def _as_line(outcome: "Outcome") -> dict[str, Any]:
    """The result of a song, for one line of JSON."""
    return {
        "path": str(outcome.song.path),
        "status": outcome.status,
        "seconds": round(outcome.seconds, 3),
        "elapsed": round(outcome.elapsed, 3),
        "stems": [str(outcome.folder / file) for file in outcome.report.get("files", ())],
        "error": str(outcome.error) if outcome.error else None,
    }


def _remarks(outcome: "Outcome", *, alone: bool) -> list[str]:
    """Remarks on a finished song.

    Args:
        outcome: The result of the song.
        alone: Whether the song has a separate folder.
    """
    remarks = []
    if outcome.status == "kept":
        remarks.append("kept from an earlier run")
    if others := _other_files(outcome) if alone else []:
        remarks.append(f"also here, from another run: {', '.join(others)}")
    gain = outcome.report.get("gain_db", 0.0)
    if gain:
        remarks.append(f"all files lowered by {-gain:.2f} dB to avoid clipping")
    return remarks


def _other_files(outcome: "Outcome") -> list[str]:
    """Audio files beside a song's stems from other runs: other targets, or another format."""
    from auralflow.audio import is_audio

    own = outcome.report.get("files", ())
    return sorted(path.name for path in outcome.folder.iterdir() if is_audio(path) and path.name not in own)
