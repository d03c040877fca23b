"""Reads and writes scores in the file format of museval.

A file ``<subset>/<track>.json`` contains the SDR, ISR, SIR and SAR of each window for each target. Scores
that were not computed are NaN, as museval itself writes undefined scores.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from auralflow.errors import DatasetError, NotFoundError
from auralflow.evaluation.scores import Report, Score, TrackScores
from auralflow.storage import write_text

__all__ = ["read_museval", "write_museval"]

FORMAT_OF = "0.4.1"
"""The version of museval that uses this format."""
DIGITS = 5
"""Number of decimals, as in museval."""
COLUMNS = {"SDR": "sdr", "SIR": "sir", "SAR": "sar", "ISR": "isr"}


def write_museval(report: Report, folder: str | Path, *, subset: str = "test") -> list[Path]:
    """Write the scores of a system in the format of museval.

    Args:
        report: The scores.
        folder: Output folder, which ``museval.MethodStore().add_eval_dir(folder)`` can read; the name of the
            folder becomes the name of the method.
        subset: Split of the dataset; museval itself only reads ``test``. Default: ``"test"``.

    Returns:
        The files.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> frames = {"bass": {"sdr": [2.0, 4.0]}}
        >>> report = Report([TrackScores("song", 2.0, {"bass": Score()}, frames)], ("bass",), {})
        >>> [path.name for path in write_museval(report, folder)]
        ['song.json']
        >>> read_museval(folder).tracks[0].scores["bass"].framewise_sdr
        3.0
    """
    folder = Path(folder)
    paths = []
    for track in report.tracks:
        targets = [
            {
                "name": target,
                "frames": [
                    {
                        "time": index * track.window,
                        "duration": track.window,
                        "metrics": {name: _number(columns, key, index) for name, key in COLUMNS.items()},
                    }
                    for index in range(len(columns["sdr"]))
                ],
            }
            for target, columns in track.frames.items()
        ]
        path = folder / subset / f"{track.track}.json"
        write_text(path, json.dumps({"targets": targets, "museval_version": FORMAT_OF}, indent=2) + "\n")
        paths.append(path)
    return paths


def _number(columns: Any, key: str, index: int) -> float:
    value = columns[key][index] if key in columns else None
    return math.nan if value is None else round(value, DIGITS)


def read_museval(folder: str | Path, *, subset: str = "test") -> Report:
    """Read scores written by museval or `write_museval`.

    Args:
        folder: The folder with ``<subset>/<track>.json``.
        subset: Split of the dataset. Default: ``"test"``.

    Returns:
        The scores: framewise SDR, ISR, SIR and SAR, each the median of the frames that have one. The report
        is named after the folder.

    Raises:
        NotFoundError: If there are no such files.
        DatasetError: If a file is not in the format of museval.
    """
    folder = Path(folder)
    files = sorted((folder / subset).glob("**/*.json"))
    if not files:
        raise NotFoundError(
            f"no scores in '{folder / subset}'", expected="<track>.json, as written by museval"
        )
    tracks = [_read_track(path) for path in files]
    targets = tuple(dict.fromkeys(target for track in tracks for target in track.scores))
    return Report(tracks, targets, {}, folder.resolve().name)


def _read_track(path: Path) -> TrackScores:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        frames = {
            target["name"]: {
                key: [_score(frame["metrics"].get(name)) for frame in target["frames"]]
                for name, key in COLUMNS.items()
            }
            for target in content["targets"]
        }
        durations = [frame["duration"] for target in content["targets"] for frame in target["frames"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DatasetError(f"cannot read '{path}'", found=repr(error), expected="scores of museval") from None
    scores = {
        target: Score(
            framewise_sdr=_median(columns["sdr"]),
            isr=_median(columns["isr"]),
            sir=_median(columns["sir"]),
            sar=_median(columns["sar"]),
        )
        for target, columns in frames.items()
    }
    window = float(durations[0]) if durations else 1.0
    longest = max((len(columns["sdr"]) for columns in frames.values()), default=0)
    return TrackScores(path.stem, longest * window, scores, frames, window)


def _score(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None
