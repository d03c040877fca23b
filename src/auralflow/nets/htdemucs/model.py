"""Demucs as a `SeparationModel`.

Shape letters: ``B`` batch, ``S`` source, ``C`` channel, ``N`` sample.
"""

from torch import Tensor
from torch.nn import functional as F

from auralflow.nets.door import Chunking, Estimate, SeparationModel, Traits
from auralflow.nets.htdemucs.config import DemucsConfig, HDemucsConfig, HTDemucsConfig
from auralflow.nets.htdemucs.net import HybridDemucs
from auralflow.nets.htdemucs.time_net import TimeDemucs
from auralflow.transforms import STFT

__all__ = ["DemucsModel"]

NUM_FFT = 4096


class DemucsModel(SeparationModel):
    """A hybrid or time-domain Demucs. It estimates audio; filters work on a transform of the estimates.

    Args:
        config: Settings of the model.

    Example:
        >>> import torch
        >>> config = HTDemucsConfig(
        ...     num_hidden_channels=4, branch_compress=2, transformer_depth=1, transformer_channels=16,
        ...     transformer_heads=2, sample_length=0.5,
        ... )
        >>> model = DemucsModel(config).eval()
        >>> list(model(torch.randn(1, 2, 10000)).audio.shape)
        [1, 4, 2, 10000]
    """

    config: HTDemucsConfig | HDemucsConfig | DemucsConfig
    transform: STFT

    def __init__(self, config: HTDemucsConfig | HDemucsConfig | DemucsConfig) -> None:
        super().__init__()
        self.config = config
        self.traits = Traits(standardized=config.standardized, bfloat16_error=-47, cpu_batch=1)
        self.transform = STFT(NUM_FFT, NUM_FFT, NUM_FFT // 4)
        # A transformer has only seen positions within its training chunks: always use that length.
        self.filled = isinstance(config, HTDemucsConfig)
        self.net: HybridDemucs | TimeDemucs = (
            TimeDemucs(config) if isinstance(config, DemucsConfig) else HybridDemucs(config)
        )

    def forward(self, mixture: Tensor) -> Estimate:
        """Estimate the targets of chunks of audio ``[B, C, N]``."""
        missing = max(0, self.config.chunk_samples - mixture.shape[-1]) if self.filled else 0
        audio = self.net(F.pad(mixture, (0, missing)))[..., : mixture.shape[-1]]
        return Estimate(mixture, self.transform, audio=audio)

    def chunking(self, *, length: int | None = None, overlap: float | None = None) -> Chunking:
        """How to divide a song into chunks: with a triangular window.

        With a transformer, the last chunk is centred in padding. In the time domain, a chunk is extended by
        as much context as the layers need for a valid length.
        """
        chosen = self.config.chunk_samples if length is None else length
        shared = self.config.overlap if overlap is None else overlap
        fit, context = None, 0
        if isinstance(self.net, TimeDemucs):
            fit, context = self.net.valid_length, self.net.furthest_context
        return Chunking(
            length=chosen,
            context=context,
            fit=fit,
            step=max(1, int((1 - shared) * chosen)),
            window="triangle",
            every_step=True,
            last="centre" if self.filled else "short",
        )
