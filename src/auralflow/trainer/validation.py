"""Scores a model on the validation chunks."""

import math

import torch
from torch import Tensor

from auralflow.metrics import pool_channels, si_sdr, snr

__all__ = ["ScoreSum"]

AUDIBLE_SHARE = 1e-3
"""Fraction of the mixture's energy above which a target counts as audible: -30 dB."""
SILENT_SHARE = 1e-6
"""Fraction of the mixture's energy up to which a target counts as silent: -60 dB."""
SMALLEST_LEAK = 1e-12
"""Lower limit of leaks, as a fraction of the mixture's energy: -120 dB."""


class ScoreSum:
    """Sums the loss and the scores over validation chunks, in one tensor that processes can add up.

    A chunk in which a target is more than 30 dB below the mixture only counts for the loss: its scores,
    unbounded and tens of dB away from the others, would dominate the mean. Targets that are unknown in a
    chunk are not scored there. If a target is silent, the energy of its estimate is a leak.

    Args:
        num_targets: Number of targets ``S``.
        device: The device of the sums.
    """

    def __init__(self, num_targets: int, device: torch.device) -> None:
        # Rows: SI-SDR improvement, its count, SNR, its count, SI-SDR of the mixture, its count, energy of
        # leaks, energy of their mixtures. The last column contains the loss and the number of chunks.
        self.sums = torch.zeros(8, num_targets + 1, dtype=torch.float64, device=device)

    def add(
        self,
        loss: Tensor,
        mixture: Tensor,
        estimates: Tensor,
        targets: Tensor,
        known: Tensor | None = None,
    ) -> None:
        """Add a batch.

        Args:
            loss: Mean loss of the batch.
            mixture: Mixtures ``[B, C, N]``.
            estimates: Estimates ``[B, S, C, N]``.
            targets: References ``[B, S, C, N]``.
            known: Which targets are known, ``[B, S]``. Default: all.
        """
        mixtures = pool_channels(mixture.unsqueeze(1).expand_as(targets))
        estimates, targets = pool_channels(estimates), pool_channels(targets)
        energies, whole = targets.square().sum(-1), mixtures.square().sum(-1)
        audible, silent = energies > AUDIBLE_SHARE * whole, energies <= SILENT_SHARE * whole
        if known is not None:
            audible, silent = audible & known.to(audible.device), silent & known.to(silent.device)
        floor = si_sdr(mixtures, targets)
        gained = si_sdr(estimates, targets) - floor
        for row, scores in ((0, gained), (2, snr(estimates, targets)), (4, floor)):
            counts = audible & scores.isfinite()
            self.sums[row, :-1] += torch.where(counts, scores, 0.0).sum(0)
            self.sums[row + 1, :-1] += counts.sum(0)
        for row, leaked in ((6, estimates.square().sum(-1)), (7, whole)):
            self.sums[row, :-1] += torch.where(silent, leaked, 0.0).sum(0)
        self.sums[0, -1] += loss.double() * len(mixture)
        self.sums[1, -1] += len(mixture)

    @property
    def loss(self) -> float:
        """Mean loss over the chunks."""
        return (self.sums[0, -1] / self.sums[1, -1]).item()

    def means(self, row: int, targets: tuple[str, ...]) -> dict[str, float | None]:
        """Mean score by target, None if a target was never scored.

        Args:
            row: 0 for the SI-SDR improvement, 2 for the SNR, 4 for the SI-SDR of the mixture.
            targets: Names of the targets.
        """
        sums, counts = self.sums[row, :-1].tolist(), self.sums[row + 1, :-1].tolist()
        return {
            target: total / count if count else None
            for target, total, count in zip(targets, sums, counts, strict=True)
        }

    def leaks(self, targets: tuple[str, ...]) -> dict[str, float | None]:
        """Leak by target, in dB relative to the mixture, over chunks where it is silent; None without any."""
        leaked, whole = self.sums[6, :-1].tolist(), self.sums[7, :-1].tolist()
        return {
            target: 10 * math.log10(energy / mixture + SMALLEST_LEAK) if mixture else None
            for target, energy, mixture in zip(targets, leaked, whole, strict=True)
        }

    @property
    def mean_improvement(self) -> float:
        """Mean SI-SDR improvement over the scored targets, in dB; minus infinity if there are none."""
        counted = self.sums[1, :-1] > 0
        if not counted.any():
            return -float("inf")
        return (self.sums[0, :-1][counted] / self.sums[1, :-1][counted]).mean().item()
