"""What an evaluation finds: scores of targets in tracks."""

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

__all__ = ["ACCOMPANIMENT", "DEFINITIONS", "METRICS", "RESIDUAL", "Report", "Score", "TrackScores"]

ACCOMPANIMENT = "accompaniment"
"""The mixture minus the vocals."""
RESIDUAL = "residual"
"""The mixture minus all targets of a model."""

DEFINITIONS = {
    "si_sdr": "scale-invariant SDR in dB over the whole track, one scale for all channels",
    "si_sdr_improvement": "SI-SDR of the estimate minus SI-SDR of the mixture, in dB",
    "sdr": "10 log10(|s|^2 / |s - e|^2) in dB over the whole track and all channels (uSDR)",
    "si_snr": "SI-SDR after the mean over time and channels is taken off both signals, in dB",
    "snr": "like sdr, without the 1e-7 that uSDR adds to both energies",
    "sd_sdr": "scale-dependent SDR in dB: a wrong level counts as an error",
    "framewise_sdr": "museval v4 SDR: median over 1-s frames in which no source is silent, in dB",
    "isr": "museval v4 image to spatial distortion ratio, median over frames, in dB; on request",
    "sir": "museval v4 signal to interference ratio, median over frames, in dB; on request",
    "sar": "museval v4 signal to artifacts ratio, median over frames, in dB; on request",
    "log_spectral_distance": "mean over frames of the RMS difference of levels, dB, low is good; on request",
    "stoi": "short-time objective intelligibility of the vocals, 0 to 1; on request",
}
"""What the scores mean; stored with every report."""


@dataclass(frozen=True)
class Score:
    """Scores of one target in one track; None where a signal is silent or the score was not asked for.

    What each means is in `DEFINITIONS`.
    """

    si_sdr: float | None = None
    si_sdr_improvement: float | None = None
    sdr: float | None = None
    si_snr: float | None = None
    snr: float | None = None
    sd_sdr: float | None = None
    framewise_sdr: float | None = None
    isr: float | None = None
    sir: float | None = None
    sar: float | None = None
    log_spectral_distance: float | None = None
    stoi: float | None = None


METRICS = tuple(entry.name for entry in fields(Score))


@dataclass(frozen=True)
class TrackScores:
    """Scores of one track.

    Attributes:
        track: Its name.
        seconds: Its length.
        scores: By target; targets whose truth is unknown are missing.
        frames: By target, then ``sdr``, ``isr``, ``sir``, ``sar``: the score of each window.
        window: Length of a window in seconds.
        reasons: By target, why it has no score.
    """

    track: str
    seconds: float
    scores: Mapping[str, Score]
    frames: Mapping[str, Mapping[str, Sequence[float | None]]] = field(default_factory=dict)
    window: float = 1.0
    reasons: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The scores as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "TrackScores":
        """The scores from what `to_json` gave."""
        scores = {target: Score(**values) for target, values in content["scores"].items()}
        return cls(**{**content, "scores": scores})


@dataclass(frozen=True)
class Report:
    """Scores of one system on one part of a dataset.

    Attributes:
        tracks: Scores of each track.
        targets: What the system estimates, with accompaniment and residual where they were scored.
        skipped: Tracks without any scores, with the reason.
        name: The system's name.
        failed: Tracks that could not be separated or read, with the error.
    """

    tracks: Sequence[TrackScores]
    targets: tuple[str, ...]
    skipped: Mapping[str, str]
    name: str = ""
    failed: Mapping[str, str] = field(default_factory=dict)

    def summary(self, statistic: Callable[[list[float]], float]) -> dict[str, Score]:
        """One number per target and metric over all tracks that have one.

        Args:
            statistic: Mean or median, for instance.

        Example:
            >>> tracks = [TrackScores(name, 3.0, {"bass": Score(level, level, level)})
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
        """The scores of one target by one metric, by track; tracks without one are left out."""
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
            "mean": {target: asdict(score) for target, score in self.summary(statistics.fmean).items()},
            "median": {target: asdict(score) for target, score in self.summary(statistics.median).items()},
            "tracks": [track.to_json() for track in self.tracks],
            "skipped": dict(self.skipped),
            "failed": dict(self.failed),
        }
