"""What the players of the page are told about a song."""

from importlib.resources import files
from typing import Any

from auralflow.app.tracks import Result, Track

__all__ = ["CODE", "STYLE", "describe"]

_STATIC = files("auralflow.app") / "static"
CODE = "\n".join((_STATIC / name).read_text(encoding="utf-8") for name in ("player.js", "mixer.js"))
"""Program of the players."""
STYLE = (_STATIC / "mixer.css").read_text(encoding="utf-8")
"""Their looks."""


def describe(result: Result) -> dict[str, Any]:
    """A separated song as JSON values, for the players.

    Args:
        result: The song.
    """
    return {
        "title": result.title,
        "archive": result.archive.as_posix(),
        "archiveName": result.archive.name,
        "tracks": [_describe_track(track) for track in result.tracks],
        "notes": _notes(result),
    }


def _describe_track(track: Track) -> dict[str, Any]:
    return {
        "name": track.name,
        "file": track.file.as_posix(),
        "fileName": track.file.name,
        "picture": track.picture.as_posix(),
        "low": track.low,
        "high": track.high,
        "peak": "silent" if track.peak_db is None else f"peak {track.peak_db:+.1f} dBFS",
    }


def _notes(result: Result) -> list[str]:
    """What should be known about the stems."""
    report = result.report
    notes = []
    if report.gain_db:
        notes.append(f"All files were lowered by {-report.gain_db:.2f} dB, for one would have clipped.")
    if report.residual_db is not None:
        notes.append(
            "The residual is the original minus the stems; its level is "
            f"{report.residual_db:+.1f} dB relative to the original."
        )
    notes.append(
        f"Spectrograms: mel scale from 0 to {report.sample_rate / 2000:g} kHz, "
        "from -100 dBFS (dark) to 0 dBFS (bright)."
    )
    return notes
