"""SCNet as a `SeparationModel`.

Shape letters: ``B`` batch, ``S`` source, ``C`` channel, ``N`` sample.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from auralflow.nets.door import Chunking, Estimate, SeparationModel, Traits
from auralflow.nets.msst import demix_chunking
from auralflow.nets.scnet.config import SCNetConfig
from auralflow.nets.scnet.net import SCNet
from auralflow.nets.spectral_mapping import channels_to_complex, complex_to_channels
from auralflow.transforms import CenteredSTFT

__all__ = ["EvenSTFT", "SCNetModel"]


class EvenSTFT(CenteredSTFT):
    """A transform without a window, scaled to preserve energy, with an even number of frames.

    The nets apply a Fourier transform over time to their features, which requires an even length.

    Args:
        num_fft: Length of the Fourier transform in samples.
        hop_length: Samples between frames.

    Example:
        >>> transform = EvenSTFT(512, 128)
        >>> audio = torch.randn(2, 1000)
        >>> list(transform(audio).shape)
        [2, 257, 10]
        >>> torch.allclose(transform.inverse(transform(audio), 1000), audio, atol=1e-5)
        True
    """

    def __init__(self, num_fft: int, hop_length: int) -> None:
        super().__init__(num_fft, num_fft, hop_length)
        self.window = torch.ones(num_fft)
        self.scale = num_fft**0.5

    def filled_length(self, num_samples: int) -> int:
        """The padded length in samples, above ``num_samples``, that gives an even number of frames."""
        hops = num_samples // self.hop_length + 1
        return (hops + 1 - hops % 2) * self.hop_length

    def forward(self, audio: Tensor) -> Tensor:
        """Transform audio ``[..., N]`` to complex spectrograms ``[..., F, T]``."""
        filled = F.pad(audio, (0, self.filled_length(audio.shape[-1]) - audio.shape[-1]))
        scaled: Tensor = super().forward(filled) / self.scale
        return scaled

    def inverse(self, spectrogram: Tensor, num_samples: int) -> Tensor:
        """Transform complex spectrograms back to audio ``[..., num_samples]``."""
        audio = super().inverse(spectrogram * self.scale, self.filled_length(num_samples))
        return audio[..., :num_samples]


class SCNetModel(SeparationModel):
    """SCNet as a `SeparationModel`.

    Args:
        config: Settings of the model.

    Example:
        >>> config = SCNetConfig(stage_channels=(4, 8), num_dual_paths=2, num_fft=512, hop_length=128)
        >>> model = SCNetModel(config).eval()
        >>> list(model(torch.randn(1, 2, 3000)).audio.shape)
        [1, 4, 2, 3000]
    """

    config: SCNetConfig
    transform: EvenSTFT

    def __init__(self, config: SCNetConfig) -> None:
        super().__init__()
        self.config = config
        self.traits = Traits(standardized=config.standardized, cpu_batch=1)
        self.transform = EvenSTFT(config.num_fft, config.hop_length)
        self.net = SCNet(config)

    def forward(self, mixture: Tensor) -> Estimate:
        """Estimate the targets of chunks of audio ``[B, C, N]``."""
        spectrogram = self.transform(mixture)
        mapped = self.net(complex_to_channels(spectrogram)).float()
        return Estimate(mixture, self.transform, spectrogram=channels_to_complex(mapped), mixture=spectrogram)

    def chunking(self, *, length: int | None = None, overlap: float | None = None) -> Chunking:
        """How to divide a song into chunks: as for the published scores."""
        return demix_chunking(
            self.config.chunk_samples if length is None else length,
            self.config.overlap if overlap is None else overlap,
        )
