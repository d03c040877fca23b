"""The transform of Spleeter, whose frames lie on a grid that begins one frame before the song.

Shape letters: ``F`` frequency bin, ``N`` sample, ``T`` frame.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from auralflow.transforms import add_frames

__all__ = ["FrameGrid"]


class FrameGrid(nn.Module):
    """Short-time Fourier transform with a Hann window and four frames over every sample.

    A complete signal is padded with one frame of zeros in front, and with zeros up to the end of the last
    frame that begins within it. A piece of a longer signal is not padded in front, and at most to the end of
    its last frame: the inverse transforms of neighbouring pieces then add up to that of the complete signal.
    Source: the functions ``_build_stft_feature`` and ``_inverse_stft`` of Spleeter.

    Args:
        num_fft: Length of a frame in samples; gives ``F = num_fft // 2 + 1`` bins.
        pieces: Whether signals are pieces of a longer one.

    Shape:
        - Input: ``[..., N]``
        - Output: ``[..., F, T]`` complex; ``T = ceil((N + num_fft) / hop_length)`` for a complete signal

    Example:
        >>> grid = FrameGrid(512)
        >>> audio = torch.randn(2, 1000)
        >>> list(grid(audio).shape)
        [2, 257, 12]
        >>> torch.allclose(grid.inverse(grid(audio), 1000), audio, atol=1e-5)
        True
    """

    window: Tensor

    def __init__(self, num_fft: int, *, pieces: bool = False) -> None:
        super().__init__()
        self.num_fft = num_fft
        self.hop_length = num_fft // 4
        self.pieces = pieces
        self.register_buffer("window", torch.hann_window(num_fft), persistent=False)

    def num_frames(self, num_samples: int) -> int:
        """Number of frames ``T`` of a signal."""
        if self.pieces:
            return 1 + max(0, math.ceil((num_samples - self.num_fft) / self.hop_length))
        return math.ceil((num_samples + self.num_fft) / self.hop_length)

    def forward(self, audio: Tensor) -> Tensor:
        """Transform audio ``[..., N]`` to complex spectrograms ``[..., F, T]``."""
        num_samples = audio.shape[-1]
        front = 0 if self.pieces else self.num_fft
        spanned = (self.num_frames(num_samples) - 1) * self.hop_length + self.num_fft
        padded = F.pad(audio, (front, spanned - front - num_samples))
        frames = padded.unfold(-1, self.num_fft, self.hop_length)
        spectrogram: Tensor = torch.fft.rfft(frames * self.window).transpose(-1, -2)
        return spectrogram

    def inverse(self, spectrogram: Tensor, num_samples: int) -> Tensor:
        """Transform complex spectrograms ``[..., F, T]`` back to audio ``[..., num_samples]``."""
        frames = torch.fft.irfft(spectrogram.transpose(-1, -2), n=self.num_fft)
        # The squares of four Hann windows add up to 3 / 2.
        signal = add_frames(frames * (self.window * (2 / 3)), self.hop_length)
        front = 0 if self.pieces else self.num_fft
        return signal[..., front : front + num_samples]

    def extra_repr(self) -> str:
        """Settings in the printed module."""
        return f"num_fft={self.num_fft}, pieces={self.pieces}"
