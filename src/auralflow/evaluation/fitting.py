"""What the members of an ensemble should count: the weights that leave the least error.

Shape letters: ``M`` member, ``S`` source, ``K`` channel, ``n`` sample of a block.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from auralflow.audio import stream_audio
from auralflow.datasets import Split, Track
from auralflow.errors import UsageError
from auralflow.evaluation.run import Plan
from auralflow.evaluation.streams import BlockReader, mixture_blocks, track_channels
from auralflow.separation import Separator

__all__ = ["FittedWeights", "best_weights", "fit_weights"]

Matrix = npt.NDArray[np.float64]
NEGATIVE = -1e-9
"""A weight below this is negative, and not only rounded."""


@dataclass(frozen=True)
class FittedWeights:
    """What the members should count for a target.

    Attributes:
        target: The target.
        weights: One for each member of the separator, which sum to 1; 0 for those that do not estimate it.
        gain_db: Energy of the error with equal weights over that with these, in dB.
        num_tracks: Tracks that were compared.
    """

    target: str
    weights: tuple[float, ...]
    gain_db: float
    num_tracks: int


def best_weights(errors: Matrix) -> Matrix:
    r"""The weights of a mean that has the least energy.

    With the energies :math:`E_{ij} = \sum_n e_i[n]\, e_j[n]` of the members' errors, that of the weighted
    mean is :math:`w^\top E w` where the weights sum to 1. Its minimum over weights of 0 and more lies where
    the members that count satisfy :math:`E w = \lambda 1`; which these are is found by trying.

    Args:
        errors: ``[M, M]``, symmetric.

    Returns:
        ``[M]``, each 0 or more, with the sum 1.

    Example:
        >>> best_weights(np.diag([1.0, 3.0])).round(6).tolist()
        [0.75, 0.25]
    """
    count = len(errors)
    scale = float(np.trace(errors)) / count or 1.0
    least, best = math.inf, np.full(count, 1 / count)
    for size in range(count, 0, -1):
        for chosen in combinations(range(count), size):
            system = np.ones((size + 1, size + 1))
            system[:size, :size] = errors[np.ix_(chosen, chosen)] / scale
            system[size, size] = 0
            # Members that are the same leave the choice between them open: they then share.
            found = np.linalg.lstsq(system, np.eye(size + 1)[size], rcond=None)[0][:size]
            if found.min() < NEGATIVE:
                continue
            weights = np.zeros(count)
            weights[list(chosen)] = found.clip(0) / found.clip(0).sum()
            energy = float(weights @ errors @ weights)
            if energy < least * (1 - 1e-12):
                least, best = energy, weights
    return best


def fit_weights(
    separator: Separator,
    dataset: str | Path,
    *,
    subset: Split = "valid",
    on_progress: Callable[[str, float], None] = lambda *_: None,
) -> list[FittedWeights]:
    """Find the weights of an ensemble's mean that leave the least error on a dataset, in closed form.

    Each track is separated once, and read block by block: only sums are kept.

    Args:
        separator: The separator of an ensemble. Members that count nothing for a target stay out of it.
        dataset: A MUSDB-shaped dataset that the members were not trained on.
        subset: ``"train"``, ``"valid"`` or ``"test"``.
        on_progress: Called with the track under way and the fraction of it that is done.

    Returns:
        The weights for each target whose truth is known.

    Raises:
        UsageError: If the model is no ensemble that takes the mean.
        NotFoundError: If there is no such dataset.
        DatasetError: If the subset has no track that can be compared.
        AudioError: If a track cannot be read.
    """
    ensemble = separator.model.ensemble
    if ensemble is None or ensemble.method != "mean":
        method = "a single model" if ensemble is None else f"an ensemble by {ensemble.method}"
        raise UsageError("there are no weights to fit", found=method, expected="an ensemble by mean")
    sums = {
        target: _Sums([i for i, member in enumerate(separator.members) if target in member.targets])
        for target in separator.run.targets
    }
    plan = Plan.of(Path(dataset), subset, separator.run.targets)
    for track in plan.tracks:
        _add_track(separator, track, plan.sources, sums, on_progress)
    return [each.fitted(target, len(separator.members)) for target, each in sums.items() if each.num_tracks]


class _Sums:
    """Energies of the errors of the members that estimate a target."""

    def __init__(self, members: Sequence[int]) -> None:
        self.members = members
        self.errors = np.zeros((len(members), len(members)))
        self.num_tracks = 0

    def add(self, estimates: Sequence[npt.NDArray[np.float32]], truth: npt.NDArray[np.float32]) -> None:
        """Add a block: the members' estimates and the truth ``[K, n]``."""
        errors = torch.from_numpy(np.stack(estimates) - truth).flatten(1).double()
        # Not by NumPy's product, whose library starts threads of its own beside those of the net.
        self.errors += (errors @ errors.T).numpy()

    def fitted(self, target: str, count: int) -> FittedWeights:
        """The weights, among those of all ``count`` members."""
        best = best_weights(self.errors)
        equal = np.full(len(best), 1 / len(best))
        before, after = (float(w @ self.errors @ w) for w in (equal, best))
        gain = 10 * math.log10(before / after) if before > 0 and after > 0 else 0.0
        weights = np.zeros(count)
        weights[list(self.members)] = best
        return FittedWeights(target, tuple(weights.tolist()), gain, self.num_tracks)


def _add_track(
    separator: Separator,
    track: Track,
    sources: Sequence[str],
    sums: dict[str, _Sums],
    on_progress: Callable[[str, float], None],
) -> None:
    rate, channels = track.sample_rate, track_channels(track, sources)
    levels = separator.measure(mixture_blocks(track, sources), rate, channels)
    truths = {
        target: BlockReader(stream_audio(track.stems[target]), channels, f"{track.name}/{target}")
        for target in sums
        if target in track.stems
    }
    for target in truths:
        sums[target].num_tracks += 1
    done = 0
    for parts in separator.stream_apart(mixture_blocks(track, sources), rate, channels, levels):
        size = parts[0].shape[-1]
        for target, reader in truths.items():
            estimates = [
                parts[index][separator.members[index].targets.index(target)] for index in sums[target].members
            ]
            sums[target].add(estimates, reader.take(size))
        done += size
        on_progress(track.name, min(1.0, done / (track.seconds * rate)))
