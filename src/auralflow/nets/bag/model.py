"""An ensemble as a separator.

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
    """Several models. A `Separator` runs each of them as it is run alone, on the same song.

    Called by itself, it shows all of its members the same chunk.

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
        """Its members, and how their estimates become one."""
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
        """Show the members chunks of audio ``[B, C, N]``, and combine what they return.

        Raises:
            UsageError: If the members differ in sample rate or channels.
        """
        return Estimate(
            mixture, self.transform, audio=self._combined([m(mixture).audio for m in self._alike()])
        )

    def separate(self, audio: Tensor, *, overlap: float | None = None, batch_size: int = 4) -> Tensor:
        """Separate audio of any length, each member in its own chunks. `Separator` can do more.

        Args:
            audio: ``[B, C, N]`` with ``C`` the members' channels, float32, at their sample rate.
            overlap: Share of a chunk that the next one covers again. Default: each member's own.
            batch_size: Chunks that a net sees at once.

        Returns:
            ``[B, S, C, N]`` on the model's device.

        Raises:
            UsageError: If ``audio`` has another shape, or the members differ in sample rate or channels.
        """
        return self._combined(
            [member.separate(audio, overlap=overlap, batch_size=batch_size) for member in self._alike()]
        )

    def restricted(self, targets: tuple[str, ...]) -> "SeparationModel":
        """An ensemble of the members that some of the targets need, in the given order."""
        self.check_restriction(targets)
        config, places = self.config.restricted(targets)
        with shapes_only():
            model = EnsembleModel(config)
        model.transform = self.transform
        model.models = nn.ModuleList(self.models[place] for place in places)
        return model.train(self.training)

    def _alike(self) -> Sequence[SeparationModel]:
        members = self.ensemble.members
        for name in ("sample_rate", "num_channels"):
            found = sorted({getattr(member.config, name) for member in members})
            if len(found) > 1:
                raise UsageError(
                    "these members cannot be shown the same chunk",
                    found=f"{name} {' and '.join(map(str, found))}",
                    expected="the same for all",
                    advice="Use auralflow.Separator, which brings each its own.",
                )
        return members

    def _combined(self, estimates: Sequence[Tensor]) -> Tensor:
        """Estimates ``[B, S, C, N]`` of the members' own targets to those of the ensemble."""
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
