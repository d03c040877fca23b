"""Results of an evaluation: scores of targets in tracks."""

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from auralflow.metrics.table import METRICS as TABLE

__all__ = ["ACCOMPANIMENT", "DEFINITIONS", "METRICS", "RESIDUAL", "Report", "Score", "TrackScores"]

ACCOMPANIMENT = "accompaniment"
"""The mixture minus the vocals."""
RESIDUAL = "residual"
"""The mixture minus all targets of a model."""

DEFINITIONS = {metric.name: metric.definition for metric in TABLE.values()}
"""Definitions of the scores; stored with every report."""
METRICS = tuple(TABLE)
"""Names of the scores."""


class Score:
    """Scores of one target in one track; None if a signal is silent or the score was not requested.

    Args:
        values: Scores by name, see `METRICS` and `DEFINITIONS`. The names are also attributes.

    Raises:
        TypeError: If a name is unknown.

    Example:
        >>> score = Score(si_sdr=2.5)
        >>> score.si_sdr, score.stoi
        (2.5, None)
    """

    __slots__ = ("_values",)

    def __init__(self, **values: float | None) -> None:
        if unknown := values.keys() - set(METRICS):
            raise TypeError(f"unknown metrics: {', '.join(sorted(unknown))}")
        self._values = {name: values.get(name) for name in METRICS}

    def __getattr__(self, name: str) -> float | None:
        if name not in METRICS:
            raise AttributeError(name)
        return self._values[name]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Score) and self._values == other._values

    def __hash__(self) -> int:
        return hash(tuple(self._values.values()))

    def __repr__(self) -> str:
        known = (f"{name}={value!r}" for name, value in self._values.items() if value is not None)
        return f"Score({', '.join(known)})"

    def to_json(self) -> dict[str, float | None]:
        """All scores by name."""
        return dict(self._values)

    def updated(self, **values: float | None) -> "Score":
        """A copy with some values changed."""
        return Score(**{**self._values, **values})


@dataclass(frozen=True)
class TrackScores:
    """Scores of one track.

    Attributes:
        track: Name of the track.
        seconds: Length of the track in seconds.
        scores: Scores by target; targets without a reference are missing.
        frames: Scores of each window, by target and then ``sdr``, ``isr``, ``sir`` or ``sar``. Default: none.
        window: Length of a window in seconds. Default: 1.
        reasons: Reasons why targets have no score, by target. Default: none.
    """

    track: str
    seconds: float
    scores: Mapping[str, Score]
    frames: Mapping[str, Mapping[str, Sequence[float | None]]] = field(default_factory=dict)
    window: float = 1.0
    reasons: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The scores as JSON values."""
        scores = {target: score.to_json() for target, score in self.scores.items()}
        return {**asdict(replace(self, scores={})), "scores": scores}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "TrackScores":
        """Restore scores from the result of `to_json`."""
        scores = {target: Score(**values) for target, values in content["scores"].items()}
        return cls(**{**content, "scores": scores})


@dataclass(frozen=True)
class Report:
    """Scores of one system on one split of a dataset.

    Attributes:
        tracks: Scores of each track.
        targets: Targets of the system, plus accompaniment and residual if they were scored.
        skipped: Reasons why tracks have no scores, by track.
        name: Name of the system. Default: empty.
        failed: Errors of tracks that could not be separated or read, by track. Default: none.
    """

    tracks: Sequence[TrackScores]
    targets: tuple[str, ...]
    skipped: Mapping[str, str]
    name: str = ""
    failed: Mapping[str, str] = field(default_factory=dict)

    def summary(self, statistic: Callable[[list[float]], float]) -> dict[str, Score]:
        """Aggregate the scores of all tracks that have one, by target and metric.

        Args:
            statistic: Maps scores to one number, such as the mean or the median.

        Returns:
            The aggregated scores by target.

        Example:
            >>> tracks = [TrackScores(name, 3.0, {"bass": Score(sdr=level)})
            ...           for name, level in (("a", 2.0), ("b", 4.0))]
            >>> Report(tracks, ("bass",), {}).summary(statistics.mean)["bass"].sdr
            3.0
        """
        result = {}
        for target in self.targets:
            columns = {metric: list(self.column(target, metric).values()) for metric in METRICS}
            result[target] = Score(
                **{m: statistic(values) if values else None for m, values in columns.items()}
            )
        return result

    def column(self, target: str, metric: str) -> dict[str, float]:
        """The scores of one target for one metric, by track; tracks without one are left out."""
        return dict(self._column(target, metric))

    def _column(self, target: str, metric: str) -> Iterator[tuple[str, float]]:
        for track in self.tracks:
            value = getattr(track.scores.get(target), metric, None)
            if value is not None:
                yield track.track, value

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values, with the definitions of its metrics."""
        return {
            "definitions": DEFINITIONS,
            "targets": list(self.targets),
            "mean": {target: score.to_json() for target, score in self.summary(statistics.fmean).items()},
            "median": {target: score.to_json() for target, score in self.summary(statistics.median).items()},
            "tracks": [track.to_json() for track in self.tracks],
            "skipped": dict(self.skipped),
            "failed": dict(self.failed),
        }
