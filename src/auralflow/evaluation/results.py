"""Several systems side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auralflow.evaluation.scores import DEFINITIONS, Report
from auralflow.evaluation.statistics import PairedDifference, Summary, paired_difference, summarize
from auralflow.metrics import METRICS

if TYPE_CHECKING:
    from auralflow.evaluation.fitting import FittedWeights

__all__ = ["BOUNDS", "Comparison"]

BOUNDS = ("mixture", "ideal binary mask", "ideal ratio mask")
"""Names of the bounds: the floor, and the ideal masks, which are oracles."""


@dataclass(frozen=True)
class Comparison:
    """Reports of several systems on the same tracks.

    Attributes:
        reports: One for each system, including bounds.
        about: Dataset, subset and similar information, as JSON values. Default: none.
        fitted: Weights of ensembles that were fitted on other tracks, by ensemble. Default: none.
    """

    reports: Sequence[Report]
    about: Mapping[str, Any] = ()  # type: ignore[assignment]
    fitted: Mapping[str, Sequence["FittedWeights"]] = field(default_factory=dict)

    @property
    def systems(self) -> list[Report]:
        """The reports of all systems except bounds."""
        return [report for report in self.reports if report.name not in BOUNDS]

    @property
    def where(self) -> str:
        """The data set, its split and the number of tracks.

        Example:
            >>> Comparison([Report([], (), {}, "model")], {"dataset": "data/songs", "subset": "test"}).where
            'songs, test, 0 tracks'
        """
        about = dict(self.about)
        count = len({track.track for report in self.reports for track in report.tracks})
        place = Path(str(about.get("dataset", ""))).name
        tracks = f"{count} track{'s' * (count != 1)}"
        return ", ".join(part for part in (place, str(about.get("subset", "")), tracks) if part)

    @property
    def targets(self) -> list[str]:
        """All scored targets."""
        return list(dict.fromkeys(target for report in self.reports for target in report.targets))

    @property
    def failed(self) -> dict[str, str]:
        """The errors of everything that could not be scored, by system and track."""
        return {
            f"{report.name}: {track}": error
            for report in self.reports
            for track, error in report.failed.items()
        }

    @property
    def fits(self) -> list[str]:
        """A sentence for each target of each ensemble with fitted weights."""
        return [f"{name}, {each.sentence}" for name, found in self.fitted.items() for each in found]

    def has(self, metric: str) -> bool:
        """Whether there are any scores for this metric."""
        return any(report.column(target, metric) for report in self.reports for target in report.targets)

    def summaries(self, metric: str) -> dict[str, dict[str, Summary]]:
        """Mean and median of one metric, by system and target."""
        return {
            report.name: {
                target: summarize(list(report.column(target, metric).values())) for target in report.targets
            }
            for report in self.reports
        }

    def pairs(self, metric: str) -> dict[str, dict[str, PairedDifference]]:
        """Differences of one metric on common tracks, by pair of systems ("A - B") and target."""
        systems = self.systems
        return {
            f"{first.name} - {second.name}": {
                target: paired_difference(
                    first.column(target, metric),
                    second.column(target, metric),
                    lower_is_better=METRICS[metric].lower_is_better,
                )
                for target in first.targets
                if target in second.targets
            }
            for index, first in enumerate(systems)
            for second in systems[index + 1 :]
        }

    def to_json(self) -> dict[str, Any]:
        """All scores and statistics as JSON values."""
        metrics = [metric for metric in DEFINITIONS if self.has(metric)]
        return {
            **dict(self.about),
            **({"fitted_weights": self._fitted_json()} if self.fitted else {}),
            "definitions": DEFINITIONS,
            "units": {metric.name: metric.unit for metric in METRICS.values()},
            "targets": self.targets,
            "summary": {
                metric: {
                    system: {target: asdict(summary) for target, summary in columns.items()}
                    for system, columns in self.summaries(metric).items()
                }
                for metric in metrics
            },
            "pairs": {
                metric: {
                    pair: {target: asdict(found) for target, found in columns.items()}
                    for pair, columns in self.pairs(metric).items()
                }
                for metric in metrics
            },
            "systems": {report.name: report.to_json() for report in self.reports},
        }

    def _fitted_json(self) -> dict[str, Any]:
        return {name: {each.target: asdict(each) for each in found} for name, found in self.fitted.items()}
