"""Parts shared by nets that map complex spectrograms instead of masking them.

Shape letters: ``B`` batch, ``S`` source, ``C`` channel, ``F`` frequency bin, ``T`` frame, ``N`` sample.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from auralflow.transforms import CenteredSTFT

__all__ = ["CroppedSTFT", "channels_to_complex", "complex_to_channels"]


def complex_to_channels(spectrogram: Tensor) -> Tensor:
    """Lay real and imaginary parts out as channels: ``[..., C, F, T]`` complex to ``[..., 2C, F, T]`` real.

    The order is real and imaginary part of the first channel, then of the second, and so on.

    Example:
        >>> complex_to_channels(torch.tensor([1 + 2j, 3 + 4j]).reshape(2, 1, 1)).flatten().tolist()
        [1.0, 2.0, 3.0, 4.0]
    """
    parts = torch.view_as_real(spectrogram).movedim(-1, -3)  # [..., C, 2, F, T]
    return parts.flatten(-4, -3)


def channels_to_complex(channels: Tensor) -> Tensor:
    """Undo `complex_to_channels`: ``[..., 2C, F, T]`` real to ``[..., C, F, T]`` complex.

    Example:
        >>> spectrogram = torch.randn(3, 2, 5, 7, dtype=torch.complex64)
        >>> torch.equal(channels_to_complex(complex_to_channels(spectrogram)), spectrogram)
        True
    """
    parts = channels.unflatten(-3, (-1, 2)).movedim(-3, -1)
    return torch.view_as_complex(parts.contiguous())


class CroppedSTFT(CenteredSTFT):
    """A transform without its highest bins, whose number of frames a U-Net can halve repeatedly.

    Args:
        num_fft: Length of the Fourier transform in samples.
        hop_length: Samples between frames.
        num_bins: Number of bins ``F`` to keep, counted from the lowest; the inverse sets the others to zero.
        frame_multiple: The number of frames is a multiple of this; audio is zero-padded for it. Default: 1.

    Shape:
        - Input: ``[..., N]``
        - Output: ``[..., F, T]`` complex

    Example:
        >>> transform = CroppedSTFT(512, 128, num_bins=192, frame_multiple=8)
        >>> list(transform(torch.randn(2, 890)).shape)
        [2, 192, 8]
    """

    def __init__(self, num_fft: int, hop_length: int, *, num_bins: int, frame_multiple: int = 1) -> None:
        super().__init__(num_fft, num_fft, hop_length)
        self.num_bins = num_bins
        self.frame_multiple = frame_multiple

    def filled_length(self, num_samples: int) -> int:
        """The padded length in samples that gives a multiple of ``frame_multiple`` frames."""
        frames = math.ceil(num_samples / self.hop_length) + 1
        return (math.ceil(frames / self.frame_multiple) * self.frame_multiple - 1) * self.hop_length

    def forward(self, audio: Tensor) -> Tensor:
        """Transform audio to complex spectrograms."""
        filled = F.pad(audio, (0, self.filled_length(audio.shape[-1]) - audio.shape[-1]))
        return super().forward(filled)[..., : self.num_bins, :]

    def inverse(self, spectrogram: Tensor, num_samples: int) -> Tensor:
        """Transform complex spectrograms back to audio ``[..., num_samples]``."""
        missing = self.num_fft // 2 + 1 - spectrogram.shape[-2]
        whole = F.pad(spectrogram, (0, 0, 0, missing))
        return super().inverse(whole, self.filled_length(num_samples))[..., :num_samples]
