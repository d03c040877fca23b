"""Excerpts of a system's best and worst tracks, for plots and players.

Shape letters: ``S`` source, ``K`` channel, ``N`` sample.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from auralflow.audio import Audio, stream_audio
from auralflow.datasets import Split, Track, index_split, sources_of
from auralflow.evaluation.scores import ACCOMPANIMENT, RESIDUAL, Report, TrackScores
from auralflow.evaluation.streams import BlockReader, mixture_blocks, track_channels
from auralflow.evaluation.systems import System

__all__ = ["Example", "make_examples"]

EXCERPT_SECONDS = 8.0


@dataclass(frozen=True)
class Example:
    """An excerpt of a track.

    Attributes:
        system: Name of the system.
        kind: Whether it is from the system's best, worst or only track.
        scores: The scores of the entire track.
        start: Start of the excerpt in seconds.
        sample_rate: Sample rate in hertz.
        mixture: The mixture ``[K, N]``.
        truths: References ``[K, N]`` by target.
        estimates: Estimates ``[K, N]`` by target.
    """

    system: str
    kind: Literal["best", "worst", "only"]
    scores: TrackScores
    start: float
    sample_rate: int
    mixture: Audio
    truths: Mapping[str, Audio]
    estimates: Mapping[str, Audio]


def make_examples(
    system: System, report: Report, dataset: Path, *, subset: Split = "test", seconds: float = EXCERPT_SECONDS
) -> Iterator[Example]:
    """Take excerpts of a system's best and worst tracks, by the mean SI-SDR of its targets.

    Args:
        system: The system.
        report: Its scores.
        dataset: The dataset that it was scored on.
        subset: Split of the dataset. Default: ``"test"``.
        seconds: Length of an excerpt in seconds, chosen to contain as many scored windows as possible.
            Default: 8.

    Yields:
        The best and the worst, or only one if there is a single track, or none if nothing was scored.
    """
    tracks = {track.name: track for track in index_split(dataset, subset)}
    sources = sources_of(tracks.values(), system.targets)
    ranked = [(level, scores) for scores in report.tracks if (level := _level(scores)) is not None]
    ranked.sort(key=lambda pair: pair[0])
    if not ranked:
        return
    chosen: list[tuple[Literal["best", "worst", "only"], TrackScores]] = [("only", ranked[0][1])]
    if len(ranked) > 1:
        chosen = [("best", ranked[-1][1]), ("worst", ranked[0][1])]
    for kind, scores in chosen:
        if scores.track in tracks:
            yield _excerpt(system, kind, scores, tracks[scores.track], sources, seconds)


def _level(scores: TrackScores) -> float | None:
    known = [
        score.si_sdr
        for name, score in scores.scores.items()
        if score.si_sdr is not None and name not in {ACCOMPANIMENT, RESIDUAL}
    ]
    return sum(known) / len(known) if known else None


def _start(scores: TrackScores, seconds: float) -> float:
    """The start of the excerpt with the most scored windows; among several, the one nearest to the middle."""
    columns = [frames.get("sdr", ()) for frames in scores.frames.values()]
    count = max(map(len, columns), default=0)
    width = max(1, int(seconds / scores.window))
    known = np.zeros(count + 1)
    for column in columns:
        known[1 : len(column) + 1] += [value is not None for value in column]
    total = known.cumsum()
    last = max(0, count - width)
    places = [
        (total[min(count, first + width)] - total[first], -abs(first - last / 2), first)
        for first in range(last + 1)
    ]
    return max(places)[2] * scores.window


def _excerpt(
    system: System,
    kind: Literal["best", "worst", "only"],
    scores: TrackScores,
    track: Track,
    sources: Sequence[str],
    seconds: float,
) -> Example:
    start = _start(scores, seconds)
    first = round(start * track.sample_rate)
    count = min(round(seconds * track.sample_rate), track.num_samples - first)
    channels = track_channels(track, sources)
    targets = [name for name in system.available(track) if name in track.stems]

    def cut(blocks: Iterator[Audio]) -> Audio:
        reader = BlockReader(blocks, channels, track.name)
        reader.take(first)
        return reader.take(count)

    flat = (block.reshape(-1, block.shape[-1]) for block in system.stream(track, sources, targets))
    reader = BlockReader(flat, len(targets) * channels, track.name)
    reader.take(first)
    estimates = reader.take(count).reshape(len(targets), channels, -1)
    return Example(
        system.name,
        kind,
        scores,
        start,
        track.sample_rate,
        cut(mixture_blocks(track, sources)),
        {name: cut(stream_audio(track.stems[name])) for name in targets},
        dict(zip(targets, estimates, strict=True)),
    )
