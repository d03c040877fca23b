"""What the page's players need to know about a separated song."""

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
"""Program of the players."""
STYLE = (_STATIC / "mixer.css").read_text(encoding="utf-8")
"""Their looks."""


def describe(result: Result, job: str) -> dict[str, Any]:
    """A separated song as JSON values, for the players.

    Args:
        result: The song.
        job: Name of its job, by which the server finds its files.
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
    """How loud a track is, and how much larger than that its waveform is drawn."""
    if track.peak_db is None:
        return "silent"
    zoom = f", drawn {track.scale:.1f}x" if track.scale >= 1.05 else ""
    return f"peak {track.peak_db:.1f} dBFS{zoom}"


def _notes(result: Result) -> list[str]:
    """What should be known about the tracks."""
    report = result.report
    names = {track.name for track in result.tracks}
    notes = []
    if report.gain_db:
        notes.append(f"All files were lowered by {-report.gain_db:.2f} dB, because one would have clipped.")
    if "instrumental" in names:
        notes.append("The instrumental is the original minus the vocals.")
    if report.residual_db is not None and "residual" in names:
        notes.append(
            "The residual is the original minus the stems; its level is "
            f"{report.residual_db:+.1f} dB relative to the original."
        )
    notes.append(
        "Waveforms are enlarged so that quiet stems can be seen: each fills its lane up to its own peak, "
        "which is given with the enlargement. "
        f"Spectrograms: mel scale from 0 to {report.sample_rate / 2000:g} kHz, "
        "from -100 dBFS (dark) to 0 dBFS (bright)."
    )
    return notes
