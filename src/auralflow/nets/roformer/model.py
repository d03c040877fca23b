"""The RoFormers as a `SeparationModel`.

Shape letters: ``B`` batch, ``S`` source, ``C`` channel, ``F`` frequency bin, ``T`` frame, ``N`` sample.
"""

from typing import Self

import torch
from torch import Tensor, nn

from auralflow.nets.door import Chunking, Estimate, SeparationModel, Traits
from auralflow.nets.msst import demix_chunking
from auralflow.nets.roformer.config import BSRoformerConfig, MelBandRoformerConfig
from auralflow.nets.roformer.net import BandTransformer
from auralflow.transforms import CenteredSTFT

__all__ = ["RoformerModel"]


class RoformerModel(SeparationModel):
    """BS-RoFormer and Mel-Band RoFormer as a `SeparationModel`.

    Args:
        config: Settings of the model.

    Raises:
        SettingsError: If there are too many mel bands for the bins of the transform.

    Example:
        >>> config = MelBandRoformerConfig(dim=16, depth=1, heads=2, dim_head=8, mask_hidden=16, num_bands=20)
        >>> model = RoformerModel(config).eval()
        >>> list(model(torch.randn(1, 2, 4410)).audio.shape)
        [1, 1, 2, 4410]
    """

    config: BSRoformerConfig | MelBandRoformerConfig
    transform: CenteredSTFT

    def __init__(self, config: BSRoformerConfig | MelBandRoformerConfig) -> None:
        super().__init__()
        self.config = config
        # Each layer adds its rounding to the sum: -42.8 dB were measured at depth 6, -38.8 at depth 12.
        error = -42 if config.depth <= 6 else -38
        self.traits = Traits(standardized=config.standardized, bfloat16_error=error, cpu_batch=1)
        self.transform = CenteredSTFT(config.num_fft, config.window_size, config.hop_length)
        self.net = BandTransformer(config)

    def forward(self, mixture: Tensor) -> Estimate:
        """Estimate the targets of chunks of audio ``[B, C, N]``."""
        spectrogram = self.transform(mixture)
        estimates = self.net(spectrogram) * spectrogram.unsqueeze(1)
        if self.config.zero_dc:
            # Not in place: gradients still need the product.
            audible = torch.ones(self.config.num_bins, 1, device=estimates.device)
            audible[0] = 0
            estimates = estimates * audible
        return Estimate(mixture, self.transform, spectrogram=estimates, mixture=spectrogram)

    def chunking(self, *, length: int | None = None, overlap: float | None = None) -> Chunking:
        """How to divide a song into chunks: as for the published scores."""
        return demix_chunking(
            self.config.chunk_samples if length is None else length,
            self.config.overlap if overlap is None else overlap,
        )

    def for_inference(self) -> Self:
        """A frozen copy with the gains of the norms folded into the layers after them."""
        faster = super().for_inference()
        faster.net.fold_norms()
        return faster

    def restricted(self, targets: tuple[str, ...]) -> "RoformerModel":
        """A model with the mask estimators of only some targets, in the given order."""
        self.check_restriction(targets)
        smaller = RoformerModel(self.config.model_copy(update={"targets": targets}))
        smaller.net.load_state_dict(self.net.state_dict(), strict=False)
        kept = [self.net.decoders[self.targets.index(target)] for target in targets]
        smaller.net.decoders.load_state_dict(nn.ModuleList(kept).state_dict())
        return smaller.train(self.training)
