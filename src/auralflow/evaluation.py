"""Scores of a model on a dataset, track by track."""

import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from auralflow.audio import Audio, probe, read_audio, stream_audio
from auralflow.datasets import Split, Track, index_split, sources_of
from auralflow.errors import DatasetError
from auralflow.metrics import pool_channels, sdr, si_sdr
from auralflow.separation import Separator

__all__ = ["DEFINITIONS", "Report", "Score", "TrackScores", "evaluate"]

DEFINITIONS = {
    "si_sdr": "scale-invariant SDR in dB over the whole track, one scale for all channels",
    "si_sdr_improvement": "SI-SDR of the estimate minus SI-SDR of the mixture, in dB",
    "sdr": "10 log10(|s|^2 / |s - e|^2) in dB over the whole track and all channels (uSDR)",
}
"""What the scores mean; stored with every report."""


@dataclass(frozen=True)
class Score:
    """Scores of one target in one track, in dB; None where the truth or the estimate is silent."""

    si_sdr: float | None
    si_sdr_improvement: float | None
    sdr: float | None


METRICS = tuple(Score.__dataclass_fields__)


@dataclass(frozen=True)
class TrackScores:
    """Scores of one track.

    Attributes:
        track: Its name.
        seconds: Its length.
        scores: By target; targets whose truth is unknown are missing.
    """

    track: str
    seconds: float
    scores: Mapping[str, Score]


@dataclass(frozen=True)
class Report:
    """Scores of a model on one part of a dataset.

    Attributes:
        tracks: Scores of each track.
        targets: The model's targets.
        skipped: Tracks without any scores, with the reason.
    """

    tracks: Sequence[TrackScores]
    targets: tuple[str, ...]
    skipped: Mapping[str, str]

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
            scores = [track.scores[target] for track in self.tracks if target in track.scores]
            columns = {
                metric: [value for score in scores if (value := getattr(score, metric)) is not None]
                for metric in METRICS
            }
            result[target] = Score(
                **{m: statistic(values) if values else None for m, values in columns.items()}
            )
        return result

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values, with the definitions of its metrics."""
        return {
            "definitions": DEFINITIONS,
            "targets": list(self.targets),
            "mean": {target: asdict(score) for target, score in self.summary(statistics.fmean).items()},
            "median": {target: asdict(score) for target, score in self.summary(statistics.median).items()},
            "tracks": [asdict(track) for track in self.tracks],
            "skipped": dict(self.skipped),
        }


def evaluate(
    separator: Separator,
    dataset: Path,
    *,
    subset: Split = "test",
    on_progress: Callable[[str, float], None] = lambda *_: None,
) -> Report:
    """Separate the tracks of a dataset and compare the estimates with the stems.

    The mixture is the track's own file, or the sum of its stems when all of them are there. Estimates are
    compared at the track's sample rate and channels.

    Args:
        separator: The separator.
        dataset: A MUSDB-shaped dataset.
        subset: ``"train"``, ``"valid"`` or ``"test"``.
        on_progress: Is told the track under way and the share of it that is done.

    Returns:
        The scores.

    Raises:
        NotFoundError: If there is no such dataset.
        DatasetError: If the subset has no track that can be scored.
    """
    tracks = index_split(dataset, subset)
    sources = sources_of(tracks, separator.targets)
    results, skipped = [], {}
    for track in tracks:
        known = [target for target in separator.targets if target in track.stems]
        if not known:
            skipped[track.name] = f"has none of the targets {', '.join(separator.targets)}"
        elif not track.knows(known, sources):
            skipped[track.name] = "has no mixture and not all stems to sum to one"
        else:
            results.append(_score_track(separator, track, sources, on_progress))
    if not results:
        raise DatasetError(
            f"no track of '{dataset}' can be scored",
            found=f"{len(tracks)} tracks in {subset}/" if tracks else f"no track in {subset}/",
            expected="tracks with the targets' stems and a mixture, or all stems",
        )
    return Report(results, separator.targets, skipped)


def _mixture_files(track: Track, sources: Sequence[str]) -> list[Path]:
    return [track.mixture] if track.mixture else [track.stems[source] for source in sources]


def _mixture_blocks(track: Track, sources: Sequence[str]) -> Iterator[Audio]:
    # Blocks of one size each, so the stems stay abreast.
    for blocks in zip(*map(stream_audio, _mixture_files(track, sources)), strict=True):
        yield np.asarray(sum(blocks[1:], start=blocks[0]), dtype=np.float32)


def _score_track(
    separator: Separator, track: Track, sources: Sequence[str], on_progress: Callable[[str, float], None]
) -> TrackScores:
    originals, estimates, done = [], [], 0
    channels = max(probe(path).channels for path in _mixture_files(track, sources))
    for block in separator.stream(_mixture_blocks(track, sources), track.sample_rate, channels):
        originals.append(block.original)
        estimates.append(block.targets)
        done += block.original.shape[-1]
        on_progress(track.name, done / track.num_samples)
    mixture = torch.from_numpy(np.concatenate(originals, axis=-1))
    estimate = torch.from_numpy(np.concatenate(estimates, axis=-1))
    scores = {}
    for index, target in enumerate(separator.targets):
        if target in track.stems:
            truth = torch.from_numpy(read_audio(track.stems[target])[0])
            # A mono stem of a stereo mixture is heard on both sides.
            scores[target] = _score(mixture, estimate[index], truth.expand_as(mixture))
    return TrackScores(track.name, track.seconds, scores)


def _score(mixture: Tensor, estimate: Tensor, truth: Tensor) -> Score:
    pooled = [pool_channels(audio) for audio in (mixture, estimate, truth)]
    own = si_sdr(pooled[1], pooled[2]).item()
    floor = si_sdr(pooled[0], pooled[2]).item()
    return Score(_defined(own), _defined(own - floor), _defined(sdr(estimate, truth).item()))


def _defined(value: float) -> float | None:
    return value if math.isfinite(value) else None
