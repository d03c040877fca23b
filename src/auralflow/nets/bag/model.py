"""Ensembles as a `SeparationModel`.

Shape letters: ``B`` batch, ``S`` source, ``C`` channel, ``N`` sample, ``M`` member.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from auralflow.errors import UsageError
from auralflow.nets.bag.config import EnsembleConfig
from auralflow.nets.bag.methods import SPECTRAL, combine
from auralflow.nets.door import Ensemble, Estimate, SeparationModel, Traits
from auralflow.nets.families import create_model
from auralflow.nets.shapes import shapes_only
from auralflow.transforms import STFT

__all__ = ["EnsembleModel"]

NUM_FFT = 4096
HOP_LENGTH = 1024


class EnsembleModel(SeparationModel):
    """An ensemble of several models. A `Separator` runs each of them as it would alone, on the same song.

    If called directly, all members process the same chunk.

    Args:
        config: Settings of the ensemble.

    Example:
        >>> from auralflow.nets.unet import SpectrogramNetConfig
        >>> member = {"model": SpectrogramNetConfig(num_hidden_channels=1), "weights": {"vocals": 1}}
        >>> model = EnsembleModel(EnsembleConfig(members=[member, member])).eval()
        >>> list(model(torch.rand(1, 1, 132300)).audio.shape)
        [1, 1, 1, 132300]
    """

    config: EnsembleConfig
    transform: STFT

    def __init__(self, config: EnsembleConfig) -> None:
        super().__init__()
        self.config = config
        self.transform = STFT(NUM_FFT, NUM_FFT, HOP_LENGTH)
        members = [create_model(member.model) for member in config.members]
        self.models = nn.ModuleList(members)
        errors = [member.traits.bfloat16_error for member in members]
        known = [error for error in errors if error is not None]
        worst = max(known) if len(known) == len(errors) else None
        self.traits = Traits(trainable=False, bfloat16_error=worst)

    @property
    def ensemble(self) -> Ensemble:
        """Its members, and how to combine their estimates."""
        members = tuple(model for model in self.models if isinstance(model, SeparationModel))
        weights = [[member.weight(target) for target in self.targets] for member in self.config.members]
        return Ensemble(
            members=members,
            weights=torch.tensor(weights),
            method=self.config.method,
            spectral=self.config.method in SPECTRAL,
            combine=combine,
        )

    def forward(self, mixture: Tensor) -> Estimate:
        """Run the members on chunks of audio ``[B, C, N]``, and combine their estimates.

        Raises:
            UsageError: If the members differ in sample rate or channels.
        """
        return Estimate(
            mixture, self.transform, audio=self._combined([m(mixture).audio for m in self._alike()])
        )

    def separate(self, audio: Tensor, *, overlap: float | None = None, batch_size: int = 4) -> Tensor:
        """Separate audio of any length, each member in its own chunks. `Separator` can do more.

        Args:
            audio: Samples ``[B, C, N]`` with the members' sample rate and number of channels ``C``, float32.
            overlap: Fraction of a chunk that overlaps the next one. Default: each member's.
            batch_size: Number of chunks per batch. Default: 4.

        Returns:
            Estimates ``[B, S, C, N]`` on the model's device.

        Raises:
            UsageError: If ``audio`` has another shape, or the members differ in sample rate or channels.
        """
        return self._combined(
            [member.separate(audio, overlap=overlap, batch_size=batch_size) for member in self._alike()]
        )

    def restricted(self, targets: tuple[str, ...]) -> "SeparationModel":
        """An ensemble for some of the targets, in the given order, with the members they need."""
        self.check_restriction(targets)
        config, places = self.config.restricted(targets)
        model = shapes_only(lambda: EnsembleModel(config))
        model.transform = self.transform
        model.models = nn.ModuleList(self.models[place] for place in places)
        return model.train(self.training)

    def _alike(self) -> Sequence[SeparationModel]:
        members = self.ensemble.members
        for name in ("sample_rate", "num_channels"):
            found = sorted({getattr(member.config, name) for member in members})
            if len(found) > 1:
                raise UsageError(
                    "these members cannot process the same chunk",
                    found=f"{name} {' and '.join(map(str, found))}",
                    expected="the same value for all",
                    advice="Use auralflow.Separator, which adapts the audio for each member.",
                )
        return members

    def _combined(self, estimates: Sequence[Tensor]) -> Tensor:
        """Combine the members' estimates ``[B, S, C, N]`` into those of the ensemble."""
        ensemble = self.ensemble
        found = []
        for column, target in enumerate(self.targets):
            chosen = [index for index, row in enumerate(ensemble.weights) if row[column] > 0]
            parts = [estimates[index][:, ensemble.members[index].targets.index(target)] for index in chosen]
            found.append(self._combined_target(torch.stack(parts), ensemble.weights[chosen, column]))
        return torch.stack(found, dim=1)

    def _combined_target(self, parts: Tensor, weights: Tensor) -> Tensor:
        ensemble, weights = self.ensemble, weights.to(parts.device)
        if not ensemble.spectral:
            return combine(parts, weights, ensemble.method)
        return self.transform.inverse(
            combine(self.transform(parts), weights, ensemble.method), parts.shape[-1]
        )
