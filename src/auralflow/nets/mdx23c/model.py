"""MDX23C as a `SeparationModel`.

Shape letters: ``B`` batch, ``S`` source, ``C`` channel, ``N`` sample.
"""

from torch import Tensor

from auralflow.nets.door import Chunking, Estimate, SeparationModel, Traits
from auralflow.nets.mdx23c.config import MDX23CConfig
from auralflow.nets.mdx23c.net import TFCTDF3
from auralflow.nets.msst import demix_chunking
from auralflow.nets.spectral_mapping import CroppedSTFT, channels_to_complex, complex_to_channels

__all__ = ["MDX23CModel"]


class MDX23CModel(SeparationModel):
    """An MDX23C.

    Args:
        config: Settings of the model.

    Example:
        >>> import torch
        >>> config = MDX23CConfig(
        ...     num_fft=512, hop_length=128, num_bins=256, num_scales=2, num_hidden_channels=4, growth=4
        ... )
        >>> list(MDX23CModel(config).eval()(torch.randn(1, 2, 3000)).audio.shape)
        [1, 1, 2, 3000]
    """

    config: MDX23CConfig
    transform: CroppedSTFT

    def __init__(self, config: MDX23CConfig) -> None:
        super().__init__()
        self.config = config
        self.traits = Traits(standardized=config.standardized, cpu_batch=1)
        self.transform = CroppedSTFT(
            config.num_fft,
            config.hop_length,
            num_bins=config.num_bins,
            frame_multiple=2**config.num_scales,
        )
        self.net = TFCTDF3(config)

    def forward(self, mixture: Tensor) -> Estimate:
        """Estimate the targets of chunks of audio ``[B, C, N]``."""
        spectrogram = self.transform(mixture)
        mapped = self.net(complex_to_channels(spectrogram)).float()
        return Estimate(mixture, self.transform, spectrogram=channels_to_complex(mapped), mixture=spectrogram)

    def chunking(self, *, length: int | None = None, overlap: float | None = None) -> Chunking:
        """How to divide a song into chunks: as for the published scores, with a whole number of frames."""
        chosen = self.config.chunk_samples if length is None else length
        return demix_chunking(
            self.transform.filled_length(chosen), self.config.overlap if overlap is None else overlap
        )
