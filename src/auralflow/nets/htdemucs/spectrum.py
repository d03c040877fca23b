"""The spectrogram of Hybrid Demucs: exactly one frame per hop, without the highest bin.

Source: A. Défossez, "Hybrid Spectrogram and Waveform Source Separation", ISMIR 2021 workshop on music
demixing.

Shape letters: ``F`` frequency bin, ``T`` frame, ``N`` sample.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from auralflow.transforms import add_frames

__all__ = ["HopTransform"]


class HopTransform(nn.Module):
    """Short-time Fourier transform with ``ceil(N / hop)`` frames and ``num_fft / 2`` bins, and its inverse.

    Args:
        num_fft: Length of the transform and of its Hann window in samples; the hop is a quarter of it.
        edges: Padding of the signal: reflection, or zeros as in the first hybrid models, whose inverse also
            differs.

    Shape:
        - Input: ``[..., N]``
        - Output: complex ``[..., num_fft / 2, ceil(N / hop)]``

    Example:
        >>> transform = HopTransform(64)
        >>> audio = torch.randn(2, 100)
        >>> list(transform(audio).shape)
        [2, 32, 7]
    """

    window: Tensor

    def __init__(self, num_fft: int = 4096, *, edges: Literal["reflect", "zeros"] = "reflect") -> None:
        super().__init__()
        self.num_fft = num_fft
        self.hop_length = num_fft // 4
        self.margin = self.hop_length // 2 * 3
        self.edges = edges
        self.register_buffer("window", torch.hann_window(num_fft), persistent=False)

    def forward(self, audio: Tensor) -> Tensor:
        """Transform audio to complex spectrograms."""
        num_samples = audio.shape[-1]
        num_frames = math.ceil(num_samples / self.hop_length)
        behind = self.margin + num_frames * self.hop_length - num_samples
        rows = audio.reshape(-1, num_samples)
        if self.edges == "zeros":
            rows = F.pad(rows, (self.margin, behind))
        else:
            # A signal must be longer than its reflection: pad short ones with zeros first.
            missing = max(0, max(self.margin, behind) + 1 - num_samples)
            filled = min(missing, behind)
            rows = F.pad(rows, (missing - filled, filled))
            rows = F.pad(rows, (self.margin - missing + filled, behind - filled), mode="reflect")
        spectrogram = torch.stft(
            rows, self.num_fft, self.hop_length, window=self.window, normalized=True, return_complex=True
        )
        kept = spectrogram[..., :-1, 2 : 2 + num_frames]
        return kept.reshape(*audio.shape[:-1], *kept.shape[-2:])

    def inverse(self, spectrogram: Tensor, num_samples: int) -> Tensor:
        """Transform complex spectrograms back to audio ``[..., num_samples]``."""
        front = 0 if self.edges == "zeros" else self.margin
        # The omitted highest bin is zero.
        frames = torch.fft.irfft(spectrogram.transpose(-1, -2), n=self.num_fft, norm="ortho")
        audio = add_frames(frames * self.window, self.hop_length)[..., front : front + num_samples]
        # Account for the windows of two silent frames before the first one and two after the last one.
        windows = self.window.square().expand(spectrogram.shape[-1] + 4, -1)
        start = 2 * self.hop_length + front
        return audio / add_frames(windows, self.hop_length)[start : start + num_samples]
