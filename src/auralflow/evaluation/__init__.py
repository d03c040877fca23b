"""Scores separators on a dataset, side by side, between a floor and a ceiling.

`evaluate` scores one model. `compare` scores several systems, including existing stems of other separators,
and the bounds: the mixture itself, and ideal masks (oracles). Results can be saved as tables, files and a web
page.

Example:
    >>> report = Report([TrackScores("song", 3.0, {"bass": Score(si_sdr=2.0)})], ("bass",), {}, name="model")
    >>> Comparison([report]).summaries("si_sdr")["model"]["bass"].median
    2.0
"""

from auralflow.evaluation.fitting import FittedWeights, fit_weights, refitted
from auralflow.evaluation.museval import read_museval, write_museval
from auralflow.evaluation.results import BOUNDS, Comparison
from auralflow.evaluation.run import compare, evaluate
from auralflow.evaluation.saving import save_report
from auralflow.evaluation.scores import DEFINITIONS, METRICS, Report, Score, TrackScores
from auralflow.evaluation.statistics import PairedDifference, Summary, paired_difference, summarize
from auralflow.evaluation.systems import IdealMask, MixtureAsEstimate, ModelSystem, StemFolder, System

__all__ = [
    "BOUNDS",
    "DEFINITIONS",
    "METRICS",
    "Comparison",
    "FittedWeights",
    "IdealMask",
    "MixtureAsEstimate",
    "ModelSystem",
    "PairedDifference",
    "Report",
    "Score",
    "StemFolder",
    "Summary",
    "System",
    "TrackScores",
    "compare",
    "evaluate",
    "fit_weights",
    "paired_difference",
    "read_museval",
    "refitted",
    "save_report",
    "summarize",
    "write_museval",
]
