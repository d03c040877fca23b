"""Combines the estimates of an ensemble's members into one stream.

Shape letters: ``B`` batch, ``S`` source, ``K`` channel of the audio, ``M`` member, ``n`` sample.
"""

import copy
from collections.abc import Iterable, Iterator, Sequence
from itertools import tee

import torch
from torch import Tensor, nn

from auralflow.audio import Audio
from auralflow.config import EngineConfig
from auralflow.nets.door import Ensemble, SeparationModel
from auralflow.separation.engine import chosen_targets, shared_out
from auralflow.separation.member import Member
from auralflow.separation.pipeline import abreast
from auralflow.separation.statistics import Levels
from auralflow.transforms import Chunking, overlap_add

__all__ = ["Blend"]

CHUNK, STEP = 10.0, 9.0
"""Length of a chunk in which spectrograms are combined, and the step between chunks, in seconds."""


class Blend:
    """Runs the members of an ensemble side by side on the same stream, each with its own chunks.

    Args:
        model: The ensemble.
        ensemble: Its members, weights and method.
        settings: How to separate.
        device: The device to compute on.

    Attributes:
        targets: Names of the estimated targets: the requested ones, or all if their sum is needed.
        members: The members needed for these targets.

    Raises:
        NotFoundError: If the ensemble lacks a requested target.
        UsageError: If the settings do not suit a member or the machine.
    """

    def __init__(
        self, model: SeparationModel, ensemble: Ensemble, settings: EngineConfig, device: torch.device
    ) -> None:
        chosen = chosen_targets(model, settings)
        self.consistent = settings.consistent
        self.targets = model.targets if self.consistent else chosen
        self.ensemble = ensemble
        self.device = device
        self.sample_rate = model.config.sample_rate
        self.transform = copy.deepcopy(model.transform)
        if isinstance(self.transform, nn.Module):
            self.transform.to(device)
        columns = [model.targets.index(target) for target in self.targets]
        members, weights = [], []
        for member, row in zip(ensemble.members, ensemble.weights[:, columns], strict=True):
            own = tuple(target for target, weight in zip(self.targets, row, strict=True) if weight > 0)
            if own:
                # The residual is distributed once, after combining the members' estimates.
                alone = settings.model_copy(update={"targets": own, "consistent": False})
                members.append(Member(member, alone, device, self.sample_rate))
                weights.append(row)
        self.members = tuple(members)
        self.weights = torch.stack(weights)  # [M, S]

    @property
    def _is_spectral(self) -> bool:
        return self.ensemble.spectral or self.consistent

    @property
    def latency(self) -> float:
        """Maximum time in seconds between reading a sample and finishing it."""
        return max(member.latency for member in self.members) + (CHUNK if self._is_spectral else 0)

    def stream(self, blocks: Iterable[Audio], channels: int, levels: Levels) -> Iterator[Audio]:
        """Separate a signal.

        Args:
            blocks: The signal as consecutive blocks ``[K, n]`` of any length.
            channels: Number of channels ``K``.
            levels: See `Member.stream`.

        Yields:
            The targets ``[S * K, n]``.
        """
        if not self._is_spectral:
            for parts in self.apart(blocks, channels, levels):
                estimates = [torch.from_numpy(part).unflatten(0, (-1, channels)) for part in parts]
                yield self._combined(estimates).flatten(0, 1).numpy()
            return
        mixture, same = tee(blocks)
        streams = [mixture, *self._streams(same, channels, levels)]
        sizes = [channels, *(len(member.targets) * channels for member in self.members)]
        blended = overlap_add(
            (torch.cat([torch.from_numpy(part) for part in parts]) for parts in abreast(streams)),
            lambda chunks: self._in_spectra(chunks.to(self.device), sizes),
            Chunking(length=round(CHUNK * self.sample_rate), step=round(STEP * self.sample_rate)),
        )
        for part in blended:
            yield part.flatten(0, 1).cpu().numpy()

    def apart(self, blocks: Iterable[Audio], channels: int, levels: Levels) -> Iterator[list[Audio]]:
        """Separate a signal, and yield the targets ``[S * K, n]`` of each member separately."""
        return abreast(self._streams(blocks, channels, levels))

    def _streams(self, blocks: Iterable[Audio], channels: int, levels: Levels) -> list[Iterator[Audio]]:
        copies = tee(blocks, len(self.members))
        return [
            member.stream(same, channels, levels) for member, same in zip(self.members, copies, strict=True)
        ]

    def _in_spectra(self, chunks: Tensor, sizes: list[int]) -> Tensor:
        """Map the mixture and the members' targets ``[B, rows, n]`` to targets ``[B, S, K, n]``."""
        mixture, *parts = chunks.split(sizes, dim=1)
        found = [part.unflatten(1, (-1, mixture.shape[1])).movedim(1, 0) for part in parts]  # [S, B, K, n]
        if self.ensemble.spectral:
            spectra = self._combined([self.transform(part) for part in found])
        else:
            spectra = self.transform(self._combined(found))
        spectra = spectra.movedim(0, 1)
        if self.consistent:
            spectra = shared_out(spectra, self.transform(mixture), spectra.abs())
        audio: Tensor = self.transform.inverse(spectra, chunks.shape[-1])
        return audio

    def _combined(self, parts: Sequence[Tensor]) -> Tensor:
        """Combine the members' estimates ``[S, ...]`` into one for each target ``[S, ...]``."""
        found = []
        for column, target in enumerate(self.targets):
            chosen = [index for index, row in enumerate(self.weights) if row[column] > 0]
            estimates = [parts[index][self.members[index].targets.index(target)] for index in chosen]
            weights = self.weights[chosen, column].to(estimates[0].device)
            found.append(self.ensemble.combine(torch.stack(estimates), weights, self.ensemble.method))
        return torch.stack(found)
