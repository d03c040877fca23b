"""Open-Unmix: one recurrent net for each target, and a Wiener filter over all of them.

Shape letters: ``B`` batch, ``S`` source, ``C`` channel, ``F`` frequency bin, ``T`` frame, ``N`` sample.
"""

import copy
from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor, nn

from auralflow.nets.door import Chunking, Estimate, Graph, SeparationModel, Traits
from auralflow.nets.openunmix.config import OpenUnmixConfig
from auralflow.nets.openunmix.net import FoldedTargetNet, TargetNet
from auralflow.transforms import CenteredSTFT, wiener_filter

__all__ = ["GainNets", "OpenUnmixModel"]

WIENER_EPSILON = 1e-10


class GainNets(nn.Module):
    """Estimates a gain per target from magnitudes; the gains need not sum to one.

    Args:
        config: Settings of the model.

    Shape:
        - Input: magnitudes ``[B, C, F, T]``
        - Output: non-negative gains ``[B, S, C, F, T]``
    """

    def __init__(self, config: OpenUnmixConfig) -> None:
        super().__init__()
        self.targets = nn.ModuleList(
            TargetNet(
                config.num_channels,
                num_bins=config.num_bins,
                num_bins_read=config.num_bins_read,
                bin_hertz=config.sample_rate / config.num_fft,
                hidden_size=config.hidden_size,
                num_layers=config.num_layers,
                bidirectional=not config.unidirectional,
            )
            for _ in config.targets
        )

    def forward(self, magnitudes: Tensor) -> Tensor:
        """Estimate the gains."""
        frames = magnitudes.permute(3, 0, 1, 2)
        # [S, T, B, C, F]; frames stay innermost, as in the output of the transform.
        return torch.stack([net(frames) for net in self.targets]).permute(2, 0, 3, 4, 1)


class OpenUnmixModel(SeparationModel):
    """Open-Unmix as a `SeparationModel`.

    Args:
        config: Settings of the model.

    Example:
        >>> model = OpenUnmixModel(OpenUnmixConfig(hidden_size=16, targets=("vocals", "drums"))).eval()
        >>> list(model(torch.randn(1, 2, 30000)).audio.shape)
        [1, 2, 2, 30000]
    """

    config: OpenUnmixConfig
    transform: CenteredSTFT

    def __init__(self, config: OpenUnmixConfig) -> None:
        super().__init__()
        self.config = config
        self.traits = Traits(has_masks=True, bfloat16_error=-55)
        self.transform = CenteredSTFT(config.num_fft, config.num_fft, config.hop_length)
        self.net = GainNets(config)

    def forward(self, mixture: Tensor) -> Estimate:
        """Estimate the targets of chunks of audio ``[B, C, N]``, without the Wiener filter."""
        return self._estimate(mixture, lambda magnitudes: (self.net(magnitudes),))

    def _estimate(self, mixture: Tensor, net: Callable[[Tensor], tuple[Tensor, ...]]) -> Estimate:
        spectrogram = self.transform(mixture)
        (gains,) = net(spectrogram.abs())
        return Estimate(mixture, self.transform, mask=gains.float(), mixture=spectrogram)

    @property
    def wiener_iterations(self) -> int:
        """Default iterations of the Wiener filter: 0 if a single target would get the entire mixture."""
        return self.config.wiener if len(self.targets) > 1 or self.config.wiener_residual else 0

    def wiener_filtered(self, estimate: Estimate, iterations: int) -> Tensor:
        """Refine an estimate with the original's Wiener filter, excerpt by excerpt.

        Args:
            estimate: The model's output.
            iterations: Number of iterations, at least 1.

        Returns:
            Complex spectrograms of the targets ``[B, S, C, F, T]``.
        """
        config = self.config
        return wiener_filter(
            estimate.magnitudes,
            estimate.mixture,
            iterations=iterations,
            residual="complex" if config.wiener_residual else None,
            excerpt=config.wiener_frames,
            epsilon=WIENER_EPSILON,
        )

    def chunking(self, *, length: int | None = None, overlap: float | None = None) -> Chunking:
        """How to divide a song into chunks: long ones, with context on both sides."""
        config = self.config
        hop, rate = config.hop_length, config.sample_rate
        chosen = round(config.separation_length * rate) if length is None else length
        chosen = max(1, round(chosen / hop)) * hop
        shared = config.overlap if overlap is None else overlap
        return Chunking(
            length=chosen,
            step=max(1, round(chosen * (1 - shared))),
            context=round(config.separation_context * rate / hop) * hop,
            last="short",
        )

    def restricted(self, targets: tuple[str, ...]) -> "OpenUnmixModel":
        """A model with only the nets of some targets.

        Raises:
            NotFoundError: If the model lacks one of them.
        """
        self.check_restriction(targets)
        model = OpenUnmixModel(self.config.model_copy(update={"targets": targets}))
        kept = [self.net.targets[self.targets.index(target)] for target in targets]
        model.net.targets = nn.ModuleList(copy.deepcopy(kept))
        return model.train(self.training)

    def for_inference(self) -> Self:
        """A copy with scaling and normalisation folded into the dense layers."""
        fast = copy.deepcopy(self).eval()
        fast.net.targets = nn.ModuleList(
            FoldedTargetNet(net) if isinstance(net, TargetNet) else net for net in fast.net.targets
        )
        return fast.requires_grad_(False)

    def export_graph(self, *, num_samples: int | None = None) -> Graph:
        """The nets: magnitudes ``[B, C, F, T]`` in, gains ``[B, S, C, F, T]`` out, with dynamic ``B``."""
        config = self.config
        frames = self.transform.num_frames(num_samples or config.chunk_samples)
        return Graph(
            module=self.net,
            example=(torch.rand(2, config.num_channels, config.num_bins, frames),),
            inputs=("magnitudes",),
            outputs=("mask",),
            use=self._estimate,
        )
