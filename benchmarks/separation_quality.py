"""What the quality options of a separation gain, in dB, and what they cost, on songs with known stems.

    python benchmarks/separation_quality.py MODEL DATASET [--subset valid] [--only wiener]

Run it on validation songs: choosing defaults on the test set makes the test set worthless. The cost is the
CPU time of each setting relative to that of the defaults, which are measured first.
"""

import argparse
import statistics
import time
from pathlib import Path

from auralflow.evaluation import evaluate
from auralflow.models import load
from auralflow.separation import Separator

SETTINGS = {
    "default": {},
    "bfloat16": {"precision": "bfloat16"},
    "overlap 0": {"overlap": 0.0},
    "overlap 0.5": {"overlap": 0.5},
    "overlap 0.75": {"overlap": 0.75},
    "chunk 6": {"chunk": 6.0},
    "chunk 12": {"chunk": 12.0},
    "chunk 24": {"chunk": 24.0},
    "shifts 2": {"shifts": 2},
    "shifts 4": {"shifts": 4},
    "wiener 1": {"wiener": 1},
    "wiener 2": {"wiener": 2},
    "griffin-lim": {"phase": "griffin_lim"},
    "consistent": {"consistent": True},
    "consistent, wiener 1": {"consistent": True, "wiener": 1},
}


def measure(model: Path, dataset: Path, subset: str, options: dict) -> tuple[dict, float]:
    """Scores by target, and CPU seconds."""
    separator = Separator(load(model), **options)
    started = time.process_time()
    report = evaluate(separator, dataset, subset=subset)
    return report.summary(statistics.fmean), time.process_time() - started


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--subset", default="valid")
    parser.add_argument(
        "--only", default="", help="settings whose names contain one of these words, separated by commas"
    )
    arguments = parser.parse_args()
    baseline, baseline_time = measure(arguments.model, arguments.dataset, arguments.subset, {})
    targets = list(baseline)
    print("SDR in dB, mean over tracks; the last two columns: change of the mean, cost in CPU time")
    print(f"{'':22}" + "".join(f"{target:>9}" for target in targets) + "     mean   change   cost")
    for name, options in SETTINGS.items():
        if not any(word in name for word in arguments.only.split(",")):
            continue
        scores, cost = measure(arguments.model, arguments.dataset, arguments.subset, options)
        mean = statistics.fmean(scores[target].sdr for target in targets)
        change = mean - statistics.fmean(baseline[target].sdr for target in targets)
        cells = "".join(f"{scores[target].sdr:9.2f}" for target in targets)
        print(f"{name:22}{cells}{mean:9.2f}{change:+9.3f}{cost / baseline_time:7.2f}", flush=True)


if __name__ == "__main__":
    main()
