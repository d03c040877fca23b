"""Fits the weights of an ensemble's members to minimise the error.

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
from auralflow.config import EngineConfig
from auralflow.datasets import Split, Track
from auralflow.errors import UsageError
from auralflow.evaluation.run import Plan
from auralflow.evaluation.streams import BlockReader, mixture_blocks, track_channels
from auralflow.models.ensembles import Draft
from auralflow.separation import Separator

__all__ = ["FittedWeights", "as_typed", "best_weights", "fit_weights", "refitted"]

Matrix = npt.NDArray[np.float64]
NEGATIVE = -1e-9
"""Weights below this are negative, rather than zero with a rounding error."""


@dataclass(frozen=True)
class FittedWeights:
    """Fitted weights of the members for one target.

    Attributes:
        target: The target.
        weights: One weight per member of the ensemble, with the sum 1; 0 for members that do not estimate it.
        before: The ensemble's current weights, also with the sum 1.
        gain_db: Reduction of the error's energy, in dB, relative to the current weights.
        num_tracks: Number of tracks used.
    """

    target: str
    weights: tuple[float, ...]
    before: tuple[float, ...]
    gain_db: float
    num_tracks: int

    @property
    def sentence(self) -> str:
        """A one-line description.

        Example:
            >>> FittedWeights("bass", (0.75, 0.25), (0.5, 0.5), 1.25, 3).sentence
            'bass: weights 0.75 and 0.25 instead of 0.5 and 0.5: 1.25 dB less error on 3 tracks'
            >>> FittedWeights("bass", (0.5, 0.5), (0.5, 0.5), 0.0, 3).sentence
            'bass: weights 0.5 and 0.5, unchanged, are the best on 3 tracks'
        """
        tracks = f"{self.num_tracks} track{'s' * (self.num_tracks != 1)}"
        found, before = _listed(self.weights), _listed(self.before)
        if found == before:
            return f"{self.target}: weights {found}, unchanged, are the best on {tracks}"
        gain = f"{self.gain_db:.2f} dB less error on {tracks}"
        return f"{self.target}: weights {found} instead of {before}: {gain}"


def _listed(weights: Sequence[float]) -> str:
    """Format weights for reading: "0.5, 0.25 and 0.25"."""
    *others, last = (f"{weight:.3g}" for weight in weights)
    return f"{', '.join(others)} and {last}" if others else last


def as_typed(weights: Sequence[float]) -> str:
    """Format weights for ``--weights``."""
    return ",".join(f"{weight:.4g}" for weight in weights)


def best_weights(errors: Matrix) -> Matrix:
    r"""Compute the weights of a mean that minimise its energy.

    With the energies :math:`E_{ij} = \sum_n e_i[n]\, e_j[n]` of the members' errors, the energy of the
    weighted mean is :math:`w^\top E w` if the weights sum to 1. At its minimum over non-negative weights, the
    members with non-zero weights satisfy :math:`E w = \lambda 1`; all subsets of members are tried.

    Args:
        errors: Energies ``[M, M]``, symmetric.

    Returns:
        Non-negative weights ``[M]`` with the sum 1.

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
            # Identical members make the solution ambiguous: least squares gives them equal weights.
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
    on_progress: Callable[[str, float], None] | None = None,
) -> list[FittedWeights]:
    """Fit the weights of an ensemble's mean to minimise the error on a dataset, in closed form.

    Each track is separated once and processed block by block; only sums are kept.

    Args:
        separator: The separator of an ensemble. Members with a weight of 0 for a target keep it.
        dataset: A dataset in the layout of MUSDB18 that the members were not trained on.
        subset: ``"train"``, ``"valid"`` or ``"test"``. Default: ``"valid"``.
        on_progress: Called with the name of the current track and the fraction of it that is done.

    Returns:
        The weights for each target that has references.

    Raises:
        UsageError: If the model is not an ensemble with the method ``mean``.
        NotFoundError: If the dataset does not exist.
        DatasetError: If the subset has no suitable tracks.
        AudioError: If a track cannot be read.
    """
    ensemble = separator.model.ensemble
    if ensemble is None or ensemble.method != "mean":
        method = "a single model" if ensemble is None else f"an ensemble with the method {ensemble.method}"
        raise UsageError(
            "there are no weights to fit", found=method, expected="an ensemble with the method mean"
        )
    rows = {
        target: ensemble.weights[:, separator.model.targets.index(target)].tolist()
        for target in separator.run.targets
    }
    # A separator leaves out members with a weight of 0 for all requested targets.
    running = [place for place, counts in enumerate(zip(*rows.values(), strict=True)) if any(counts)]
    sums = {
        target: _Sums(row, [i for i, place in enumerate(running) if row[place] > 0], running)
        for target, row in rows.items()
    }
    plan = Plan.of(Path(dataset), subset, separator.run.targets)
    for track in plan.tracks:
        _add_track(separator, track, plan.sources, sums, on_progress)
    return [each.fitted(target) for target, each in sums.items() if each.num_tracks]


def refitted(
    draft: Draft,
    dataset: str | Path,
    *,
    settings: EngineConfig | None = None,
    subset: Split = "valid",
    on_progress: Callable[[str, float], None] | None = None,
) -> tuple[Draft, list[FittedWeights]]:
    """Fit the weights of an ensemble to minimise the error on a dataset.

    Args:
        draft: The ensemble.
        dataset: See `fit_weights`.
        settings: How its members separate. Default: the defaults of `EngineConfig`.
        subset: See `fit_weights`. Default: ``"valid"``.
        on_progress: See `fit_weights`.

    Returns:
        The ensemble with the fitted weights, and the weights. Targets without any reference keep theirs.

    Raises:
        AuralflowError: See `fit_weights`.
    """
    separator = Separator(draft.load(), settings)
    found = fit_weights(separator, dataset, subset=subset, on_progress=on_progress)
    return draft.weighted({**draft.table(), **{each.target: each.weights for each in found}}), found


class _Sums:
    """Sums the energies of the errors of all members that estimate a target.

    Args:
        row: Weights of the ensemble's members for the target.
        members: Indices of members with a non-zero weight, among the running members.
        running: Indices of the running members in the ensemble.
    """

    def __init__(self, row: Sequence[float], members: Sequence[int], running: Sequence[int]) -> None:
        self.members = members
        self.before = np.array(row) / sum(row)
        self.places = [running[member] for member in members]
        self.errors = np.zeros((len(members), len(members)))
        self.num_tracks = 0

    def add(self, estimates: Sequence[npt.NDArray[np.float32]], truth: npt.NDArray[np.float32]) -> None:
        """Add a block: the members' estimates and the reference ``[K, n]``."""
        errors = torch.from_numpy(np.stack(estimates) - truth).flatten(1).double()
        # Not NumPy's product: its library starts threads that compete with those of the net.
        self.errors += (errors @ errors.T).numpy()

    def fitted(self, target: str) -> FittedWeights:
        """The fitted weights, for all members of the ensemble."""
        weights = np.zeros(len(self.before))
        weights[self.places] = best_weights(self.errors)
        before, after = (float(w @ self.errors @ w) for w in (self.before[self.places], weights[self.places]))
        gain = 10 * math.log10(before / after) if before > 0 and after > 0 else 0.0
        return FittedWeights(
            target, tuple(weights.tolist()), tuple(self.before.tolist()), gain, self.num_tracks
        )


def _add_track(
    separator: Separator,
    track: Track,
    sources: Sequence[str],
    sums: dict[str, _Sums],
    on_progress: Callable[[str, float], None] | None,
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
        if on_progress:
            on_progress(track.name, min(1.0, done / (track.seconds * rate)))
