"""Describes a separated song for the players of the page."""

from importlib.resources import files
from typing import Any
from urllib.parse import quote

from auralflow.app.downloads import ALL, possible_formats
from auralflow.app.routes import PREFIX
from auralflow.app.tracks import Result, Track

__all__ = ["CODE", "STYLE", "describe"]

_STATIC = files("auralflow.app") / "static"
_PROGRAM = ("player.js", "downloads.js", "mixer.js")
CODE = "\n".join((_STATIC / name).read_text(encoding="utf-8") for name in _PROGRAM)
"""JavaScript of the players."""
STYLE = (_STATIC / "mixer.css").read_text(encoding="utf-8")
"""CSS of the players."""


def describe(result: Result, job: str) -> dict[str, Any]:
    """Describe a separated song as JSON values.

    Args:
        result: The song.
        job: Name of its job, by which the server finds its files.

    Returns:
        The values for the players.
    """
    return {
        "title": result.title,
        "formats": list(possible_formats(result)),
        "downloads": f"{PREFIX}/jobs/{job}/download",
        "all": ALL,
        "tracks": [_describe_track(track, job) for track in result.tracks],
        "notes": _notes(result),
    }


def _describe_track(track: Track, job: str) -> dict[str, Any]:
    def address(name: str) -> str:
        return f"{PREFIX}/jobs/{job}/listen/{quote(name)}"

    return {
        "name": track.name,
        "file": address(track.file.name),
        "picture": address(track.picture.name),
        "low": track.low,
        "high": track.high,
        "level": _level(track),
        "repeats": track.repeats,
    }


def _level(track: Track) -> str:
    """The peak level of a track, and the enlargement of its waveform."""
    if track.peak_db is None:
        return "silent"
    zoom = f", drawn {track.scale:.1f}x" if track.scale >= 1.05 else ""
    return f"peak {track.peak_db:.1f} dBFS{zoom}"


def _notes(result: Result) -> list[str]:
    """Remarks on the tracks."""
    report = result.report
    names = {track.name for track in result.tracks}
    notes = []
    if report.gain_db:
        notes.append(f"All files were lowered by {-report.gain_db:.2f} dB to avoid clipping.")
    if "instrumental" in names:
        notes.append("The instrumental is the original minus the vocals.")
    if report.residual_db is not None and "residual" in names:
        notes.append(
            "The residual is the original minus the stems; its level is "
            f"{report.residual_db:+.1f} dB relative to the original."
        )
    notes.append(
        "Waveforms are enlarged so that quiet stems are visible: each one fills its lane up to its peak, "
        "which is stated together with the enlargement. "
        f"Spectrograms: mel scale from 0 to {report.sample_rate / 2000:g} kHz, "
        "from -100 dBFS (dark) to 0 dBFS (bright)."
    )
    return notes
