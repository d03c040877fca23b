"""Whether a model lacks training or music: its scores on remixes of its training tracks, and of others.

    python benchmarks/generalisation.py MODEL [MODEL ...] DATASET [--chunks 60] [--only TEXT]

DATASET has the layout of MUSDB18, or is its prepared cache. Every chunk mixes stems of different tracks at
random levels, as in training, without any other augmentation: once from the training tracks, once from the
validation tracks, and the same chunks for every model. Scores are SI-SDR improvements over the mixture in dB,
averaged over the chunks in which a target is audible. A model with low scores on both needs more training or
a larger net; one that does well on its training tracks alone needs other music or stronger augmentation.
"""

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path

import torch

from auralflow.config import AugmentConfig
from auralflow.datasets import Track, TrainingChunks, training_tracks
from auralflow.models import load
from auralflow.nets.door import SeparationModel
from auralflow.trainer.validation import ScoreSum

BATCH = 4


def remixes(tracks: Sequence[Track], model: SeparationModel, seed: int) -> TrainingChunks:
    """Chunks that mix stems of the tracks, and do nothing else to them."""
    augment = AugmentConfig(
        remix=1.0, repitch=0.0, equalizer=0.0, low_pass=0.0, channel_swap=0.0, sign_flip=0.0, keep_silence=0.0
    )
    return TrainingChunks(tracks, model.config, augment, seed=seed)


@torch.inference_mode()
def score(model: SeparationModel, chunks: TrainingChunks, count: int) -> dict[str, float | None]:
    """Mean SI-SDR improvement by target over a number of chunks; None for a target that is never audible."""
    scores = ScoreSum(len(model.config.targets), torch.device("cpu"))
    for start in range(0, count, BATCH):
        batch = [chunks[number] for number in range(start, min(start + BATCH, count))]
        mixtures = torch.stack([chunk.mixture for chunk in batch])
        targets = torch.stack([chunk.targets for chunk in batch])
        scores.add(torch.zeros(()), mixtures, model.separate(mixtures), targets)
    return scores.means(0, model.config.targets)


def row(name: str, kind: str, scores: dict[str, float | None]) -> str:
    """A line of the table."""
    cells = ["" if value is None else f"{value:+.1f}" for value in scores.values()]
    known = [value for value in scores.values() if value is not None]
    mean = f"{statistics.fmean(known):+.1f}" if known else ""
    return f"| {name} | {kind} | {' | '.join([*cells, mean])} |"


def main(words: list[str] | None = None) -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", metavar="MODEL", help="folders or names of models")
    parser.add_argument("dataset", type=Path, help="folder with the layout of MUSDB18, or its cache")
    parser.add_argument("--chunks", type=int, default=60, help="chunks of each kind")
    parser.add_argument("--only", default="", help="text in the names of the training tracks to use")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(words)
    train, valid = training_tracks(options.dataset)
    train = [track for track in train if options.only in track.name]
    if not train or not valid:
        parser.error(f"'{options.dataset}' has no tracks for {'valid' if train else 'train'}")
    models = {name: load(name).eval() for name in options.models}
    targets = next(iter(models.values())).config.targets
    if any(model.config.targets != targets for model in models.values()):
        parser.error("the models have different targets")
    print(f"| model | tracks | {' | '.join(targets)} | mean |")
    print(f"|{'---|' * (len(targets) + 3)}")
    for name, model in models.items():
        for kind, tracks in (("training", train), ("validation", valid)):
            chunks = remixes(tracks, model, options.seed)
            print(row(Path(name).name, kind, score(model, chunks, options.chunks)), flush=True)


if __name__ == "__main__":
    main()
