"""Scores one system on one track, with memory that does not depend on its length.

Shape letters: ``R`` row (a target, the accompaniment or the residual), ``S`` source, ``K`` channel, ``n``
sample of a block, ``N`` sample, ``T`` window.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from auralflow.audio import stream_audio
from auralflow.datasets import Track
from auralflow.evaluation.scores import ACCOMPANIMENT, RESIDUAL, Score, TrackScores
from auralflow.evaluation.streams import BlockReader, mixture_blocks, track_channels
from auralflow.evaluation.systems import System
from auralflow.metrics import METRICS, Metric, RatioSums
from auralflow.metrics.table import OPTIONS, FrameMetric, SumMetric, TrackMetric

__all__ = ["Extras", "score_track"]

FRAME_SECONDS = 1.0
"""Length of a window for framewise scores in seconds, as in museval."""


class Extras:
    """Optional scores, which take longer and keep an entire track in memory.

    Args:
        wanted: Whether to compute each of `auralflow.metrics.table.OPTIONS`, by name. Default: none.

    Raises:
        TypeError: If a name is unknown.

    Example:
        >>> Extras(stoi=True).to_json()
        {'bss_eval': False, 'log_spectral_distance': False, 'stoi': True}
    """

    def __init__(self, **wanted: bool) -> None:
        if unknown := wanted.keys() - OPTIONS.keys():
            raise TypeError(f"unknown options: {', '.join(sorted(unknown))}")
        self._wanted = {name: wanted.get(name, False) for name in OPTIONS}

    @property
    def any(self) -> bool:
        """Whether any of them is requested."""
        return any(self._wanted.values())

    def asks_for(self, metric: Metric) -> bool:
        """Whether an optional metric is requested."""
        return metric.option is not None and self._wanted[metric.option.name]

    def to_json(self) -> dict[str, bool]:
        """Whether each option is requested, by name."""
        return dict(self._wanted)


def score_track(
    system: System,
    track: Track,
    sources: Sequence[str],
    targets: Sequence[str],
    *,
    extras: Extras | None = None,
    device: torch.device | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> TrackScores:
    """Score the estimates of a system for one track.

    Args:
        system: The system to score.
        track: A track with a known mixture.
        sources: The stems that sum to the mixture.
        targets: What to score: stems of the track, ``"accompaniment"`` (the mixture minus the vocals) and
            ``"residual"`` (the mixture minus all stems among the targets).
        extras: Optional scores. Default: none.
        device: Device to compute on. Default: the CPU.
        on_progress: Called with the fraction done, from 0 to 1.

    Returns:
        The scores of all targets that the system estimates, directly or by subtraction.

    Raises:
        AudioError: If a file cannot be read.
        DatasetError: If stems and mixture do not match.
    """
    place, extras = device or torch.device("cpu"), extras or Extras()
    rows = _Rows.of(system, track, targets)
    window = max(1, round(FRAME_SECONDS * track.sample_rate))
    sums, floors = RatioSums(window), RatioSums(window)
    kept: list[tuple[Tensor, Tensor]] = []
    done = 0
    for estimate, truth, mixture in rows.blocks(system, track, sources, place):
        sums.add(estimate, truth)
        floors.add(mixture.expand_as(truth), truth)
        if extras.any:
            kept.append((estimate.cpu(), truth.cpu()))
        done += truth.shape[-1]
        if on_progress:
            on_progress(done / max(1, track.num_samples))
    already = floors.exact().tolist()
    values = {
        metric.name: metric.function(sums, floors).tolist()
        for metric in METRICS.values()
        if isinstance(metric, SumMetric)
    }
    scores = {
        name: Score(**{metric: defined(column[index]) for metric, column in values.items()})
        for index, name in enumerate(rows.names)
    }
    frames = _framewise(sums, rows.names)
    if extras.any:
        whole = tuple(torch.cat(parts, dim=-1).to(place) for parts in zip(*kept, strict=True))
        _add_extras(extras, scores, frames, rows.names, whole[0], whole[1], track.sample_rate)
    medians = {metric.column: metric.name for metric in METRICS.values() if isinstance(metric, FrameMetric)}
    for name, columns in frames.items():
        found = {medians[column]: _median(values) for column, values in columns.items()}
        scores[name] = scores[name].updated(**found)
    reasons = _reasons(sums, rows.names)
    for name, exact in zip(rows.names, already, strict=True):
        if exact and name in {ACCOMPANIMENT, RESIDUAL}:
            # There was nothing to remove from the mixture: its perfect score would distort the means.
            scores[name], reasons[name] = Score(), "is the mixture itself"
    length = min(window, track.num_samples) / track.sample_rate
    return TrackScores(track.name, track.seconds, scores, frames, length, reasons)


def defined(value: float) -> float | None:
    """A score, or None if it is undefined."""
    return value if math.isfinite(value) else None


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None


def _reasons(sums: RatioSums, names: Sequence[str]) -> dict[str, str]:
    truth, estimate = (flags.tolist() for flags in sums.silent())
    return {
        name: "the reference is silent" if truth[index] else "the estimate is silent"
        for index, name in enumerate(names)
        if truth[index] or estimate[index]
    }


def _runs(names: Sequence[str]) -> Iterator[tuple[list[str], list[str]]]:
    """Groups of rows that museval scores together, and the rows that take their scores from that group.

    A frame in which one source of a group is silent counts for none of them. If there is an accompaniment,
    the scores of the vocals come from the group of these two.
    """
    stems = [name for name in names if name not in {ACCOMPANIMENT, RESIDUAL}]
    pair = ["vocals", ACCOMPANIMENT] if ACCOMPANIMENT in names and "vocals" in names else []
    if stems:
        yield stems, [name for name in stems if name not in pair]
    if pair:
        yield pair, pair
    for name in names:
        if name not in stems and name not in pair:
            yield [name], [name]


def _framewise(sums: RatioSums, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    frames: dict[str, dict[str, Any]] = {name: {} for name in names}
    for metric in METRICS.values():
        if not isinstance(metric, FrameMetric) or metric.from_sums is None:
            continue
        for run, keepers in _runs(names):
            scores = metric.from_sums(sums, [names.index(name) for name in run]).tolist()
            for name in keepers:
                frames[name][metric.column] = [defined(v) for v in scores[run.index(name)]]
    return frames


def _add_extras(
    extras: Extras,
    scores: dict[str, Score],
    frames: Mapping[str, dict[str, Any]],
    names: Sequence[str],
    estimates: Tensor,
    truths: Tensor,
    sample_rate: int,
) -> None:
    wanted = [metric for metric in METRICS.values() if extras.asks_for(metric)]
    window = max(1, round(FRAME_SECONDS * sample_rate))
    _add_frames([m for m in wanted if isinstance(m, FrameMetric)], frames, names, estimates, truths, window)
    for metric in wanted:
        if isinstance(metric, TrackMetric):
            for index, name in enumerate(names):
                if not metric.targets or name in metric.targets:
                    value = metric.function(estimates[index], truths[index], sample_rate).item()
                    scores[name] = scores[name].updated(**{metric.name: defined(value)})


def _add_frames(
    wanted: Sequence[FrameMetric],
    frames: Mapping[str, dict[str, Any]],
    names: Sequence[str],
    estimates: Tensor,
    truths: Tensor,
    window: int,
) -> None:
    # One slow function computes the columns of several metrics.
    columns: dict[Callable[..., Any], list[str]] = {}
    for metric in wanted:
        if metric.from_audio:
            columns.setdefault(metric.from_audio, []).append(metric.column)
    for function, asked in columns.items():
        for run, keepers in _runs(names):
            rows = [names.index(name) for name in run]
            found = function(estimates[rows], truths[rows], window)
            for name in keepers:
                for key in asked:
                    # In a group of one source, there is no interference.
                    column = getattr(found, key)[run.index(name)].tolist()
                    frames[name][key] = [defined(v) for v in column] if len(run) > 1 else [None] * len(column)


@dataclass(frozen=True)
class _Rows:
    """The signals of a track that are scored, and the sources of their estimates."""

    stems: tuple[str, ...]  # stems that the system estimates and that have a reference
    given: tuple[str, ...]  # all signals that the system estimates directly
    names: tuple[str, ...]
    all_stems: tuple[str, ...]  # all requested stems

    @classmethod
    def of(cls, system: System, track: Track, targets: Sequence[str]) -> "_Rows":
        available = system.available(track)
        all_stems = tuple(name for name in targets if name not in {ACCOMPANIMENT, RESIDUAL})
        stems = tuple(name for name in all_stems if name in available and name in track.stems)
        left = []
        if ACCOMPANIMENT in targets and "vocals" in track.stems:
            left += [ACCOMPANIMENT] if "vocals" in stems or ACCOMPANIMENT in available else []
        if RESIDUAL in targets and set(all_stems) <= set(track.stems):
            left += [RESIDUAL] if stems == all_stems else []
        given = (*stems, *(name for name in left if name in available))
        return cls(stems, given, (*stems, *left), all_stems)

    def blocks(
        self, system: System, track: Track, sources: Sequence[str], device: torch.device
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Estimates and references ``[R, K, n]`` and the mixture ``[K, n]``, up to the end of the track."""
        channels = track_channels(track, sources)
        mixtures = BlockReader(mixture_blocks(track, sources), channels, track.name)
        needed = set(self.stems)
        needed |= {"vocals"} if ACCOMPANIMENT in self.names else set()
        needed |= set(self.all_stems) if RESIDUAL in self.names else set()
        truths = {
            name: BlockReader(stream_audio(track.stems[name]), channels, f"{track.name}/{name}")
            for name in sorted(needed)
        }
        left = track.num_samples
        silence = np.zeros((len(self.given), channels, 0), dtype=np.float32)
        for block in self._to_the_end(system.stream(track, sources, self.given), left, silence):
            count = block.shape[-1]
            mixture = torch.from_numpy(mixtures.take(count)).to(device)
            true = {name: torch.from_numpy(truths[name].take(count).copy()).to(device) for name in truths}
            own = dict(zip(self.given, torch.from_numpy(np.ascontiguousarray(block)).to(device), strict=True))
            estimate = torch.stack([self._signal(name, own, mixture) for name in self.names])
            yield estimate, torch.stack([self._signal(name, true, mixture) for name in self.names]), mixture

    @staticmethod
    def _to_the_end(blocks: Iterator[Any], left: int, silence: Any) -> Iterator[Any]:
        # Due to rounding in a resampler, there may be a sample or two too few or too many.
        for block in blocks:
            if left and block.shape[-1]:
                yield block[..., :left]
                left -= min(left, block.shape[-1])
        if left:
            yield np.zeros((*silence.shape[:-1], left), dtype=np.float32)

    def _signal(self, name: str, signals: Mapping[str, Tensor], mixture: Tensor) -> Tensor:
        if name in signals:
            return signals[name]
        if name == ACCOMPANIMENT:
            return mixture - signals["vocals"]
        return mixture - torch.stack([signals[stem] for stem in self.all_stems]).sum(dim=0)
