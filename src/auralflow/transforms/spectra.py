"""The short-time Fourier transform, its inverse, and what can be read from a complex spectrogram.

Shape letters: ``B`` batch, ``S`` source, ``C`` channel, ``F`` frequency bin, ``T`` frame, ``N`` sample.
"""

import math
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = [
    "STFT",
    "CenteredSTFT",
    "Transform",
    "add_frames",
    "decibel",
    "istft",
    "magnitude",
    "phase",
    "reconstruct",
    "stft",
]


class Transform(Protocol):
    """Anything that transforms audio ``[..., N]`` to complex spectrograms ``[..., F, T]`` and back."""

    def __call__(self, audio: Tensor) -> Tensor:
        """Transform audio ``[..., N]`` to spectrograms ``[..., F, T]``."""
        ...

    def inverse(self, spectrogram: Tensor, num_samples: int) -> Tensor:
        """Transform spectrograms ``[..., F, T]`` back to audio ``[..., num_samples]``."""
        ...


class STFT(nn.Module):
    """Short-time Fourier transform and its inverse, with a Hann window.

    The signal is padded with zeros to a whole number of hops and by half a transform at both ends. So any
    length from one sample up can be transformed, and every sample lies well inside at least one window:
    without the padding to whole hops the last samples would be divided by nearly nothing in the inverse.

    Args:
        num_fft: Length of the Fourier transform in samples; gives ``F = num_fft // 2 + 1`` bins.
        window_size: Length of the window in samples, at most ``num_fft``. Defaults to ``num_fft``.
        hop_length: Samples between frames, at most half the window. Defaults to half the window.

    Shape:
        - Input: ``[..., N]``
        - Output: ``[..., F, T]`` complex, with ``T = ceil(N / hop_length) + 1``

    Example:
        >>> stft = STFT(num_fft=512, window_size=512, hop_length=256)
        >>> audio = torch.randn(2, 1000)
        >>> spectrogram = stft(audio)
        >>> list(spectrogram.shape)
        [2, 257, 5]
        >>> torch.allclose(stft.inverse(spectrogram, 1000), audio, atol=1e-5)
        True
    """

    window: Tensor

    def __init__(self, num_fft: int, window_size: int | None = None, hop_length: int | None = None) -> None:
        super().__init__()
        self.num_fft = num_fft
        self.window_size = window_size or num_fft
        self.hop_length = hop_length or self.window_size // 2
        # Not persistent: the window follows from the settings and has no place in a file of weights.
        self.register_buffer("window", torch.hann_window(self.window_size), persistent=False)

    def num_frames(self, num_samples: int) -> int:
        """Number of frames ``T`` that a signal of ``num_samples`` gives."""
        return math.ceil(num_samples / self.hop_length) + 1

    def forward(self, audio: Tensor) -> Tensor:
        """Transform audio ``[..., N]`` to complex spectrograms ``[..., F, T]``."""
        num_samples = audio.shape[-1]
        half = self.num_fft // 2
        padded = F.pad(audio, (half, half + (-num_samples) % self.hop_length))
        spectrogram = torch.stft(
            padded.reshape(-1, padded.shape[-1]),
            n_fft=self.num_fft,
            hop_length=self.hop_length,
            win_length=self.window_size,
            window=self.window,
            center=False,
            return_complex=True,
        )
        return spectrogram.reshape(*audio.shape[:-1], *spectrogram.shape[-2:])

    def inverse(self, spectrogram: Tensor, num_samples: int) -> Tensor:
        """Transform complex spectrograms ``[..., F, T]`` back to audio ``[..., num_samples]``."""
        # Written out, so that the frames are added in a few long strides: twice as fast as torch.istft, which
        # spends most of its time elsewhere than in the transform.
        frames = torch.fft.irfft(spectrogram.transpose(-1, -2), n=self.num_fft)
        window = F.pad(self.window, self._window_padding)
        weight = self._added_up(window.square().expand(frames.shape[-2], -1), num_samples)
        return self._added_up(frames * window, num_samples) / weight

    @property
    def _window_padding(self) -> tuple[int, int]:
        missing = self.num_fft - self.window_size
        return missing // 2, missing - missing // 2

    def _added_up(self, frames: Tensor, num_samples: int) -> Tensor:
        """Overlap-add frames ``[..., T, num_fft]`` to ``[..., num_samples]``, without the padding."""
        half = self.num_fft // 2
        return add_frames(frames, self.hop_length)[..., half : half + num_samples]

    def extra_repr(self) -> str:
        """Settings in the printed module."""
        return f"num_fft={self.num_fft}, window_size={self.window_size}, hop_length={self.hop_length}"


class CenteredSTFT(STFT):
    """The transform of ``torch.stft`` with ``center=True``, on which many published nets were trained.

    The signal is mirrored at both ends by half a transform. The samples after the last whole hop lie under
    one edge of a window only, so a mask on their frame may leave a click in them; chunks of whole hops have
    none.

    Args:
        num_fft: Length of the Fourier transform in samples; gives ``F = num_fft // 2 + 1`` bins.
        window_size: Length of the window in samples, at most ``num_fft``. Defaults to ``num_fft``.
        hop_length: Samples between frames, at most half the window. Defaults to half the window.

    Shape:
        - Input: ``[..., N]``
        - Output: ``[..., F, T]`` complex, with ``T = N // hop_length + 1``

    Example:
        >>> transform = CenteredSTFT(num_fft=512, hop_length=128)
        >>> audio = torch.randn(2, 1000)
        >>> spectrogram = transform(audio)
        >>> list(spectrogram.shape)
        [2, 257, 8]
        >>> torch.allclose(transform.inverse(spectrogram, 1000), audio, atol=1e-5)
        True
    """

    def num_frames(self, num_samples: int) -> int:
        """Number of frames ``T`` that a signal of ``num_samples`` gives."""
        return max(num_samples, self.num_fft // 2 + 1) // self.hop_length + 1

    def forward(self, audio: Tensor) -> Tensor:
        """Transform audio ``[..., N]`` to complex spectrograms ``[..., F, T]``."""
        # A signal shorter than its mirror image is zero-padded first.
        missing = max(0, self.num_fft // 2 + 1 - audio.shape[-1])
        rows = F.pad(audio, (0, missing)).reshape(-1, audio.shape[-1] + missing)
        spectrogram = torch.stft(
            rows,
            n_fft=self.num_fft,
            hop_length=self.hop_length,
            win_length=self.window_size,
            window=self.window,
            center=True,
            pad_mode="reflect",
            return_complex=True,
        )
        return spectrogram.reshape(*audio.shape[:-1], *spectrogram.shape[-2:])


def add_frames(frames: Tensor, hop_length: int) -> Tensor:
    """Overlap and add frames.

    Args:
        frames: ``[..., T, n]``.
        hop_length: Samples from one frame's start to the next.

    Returns:
        ``[..., (T + R - 1) * hop_length]`` with ``R = ceil(n / hop_length)``.

    Example:
        >>> add_frames(torch.ones(3, 4), hop_length=2).tolist()
        [1.0, 1.0, 2.0, 2.0, 2.0, 2.0, 1.0, 1.0]
    """
    num_frames, length = frames.shape[-2:]
    rows = math.ceil(length / hop_length)
    pieces = F.pad(frames, (0, rows * hop_length - length))
    pieces = pieces.reshape(*frames.shape[:-1], rows, hop_length)
    signal = frames.new_zeros(*frames.shape[:-2], num_frames + rows - 1, hop_length)
    for row in range(rows):
        signal[..., row : row + num_frames, :] += pieces[..., row, :]
    return signal.flatten(-2)


def stft(
    audio: Tensor, num_fft: int, window_size: int | None = None, hop_length: int | None = None
) -> Tensor:
    """Functional twin of `STFT`, which see: audio ``[..., N]`` to complex ``[..., F, T]``."""
    return STFT(num_fft, window_size, hop_length).to(audio.device, audio.dtype)(audio)  # type: ignore[no-any-return]


def istft(
    spectrogram: Tensor, num_samples: int, window_size: int | None = None, hop_length: int | None = None
) -> Tensor:
    """Functional twin of `STFT.inverse`: complex ``[..., F, T]`` to audio ``[..., num_samples]``."""
    transform = STFT(2 * (spectrogram.shape[-2] - 1), window_size, hop_length)
    return transform.to(spectrogram.device, spectrogram.real.dtype).inverse(spectrogram, num_samples)


def magnitude(spectrogram: Tensor) -> Tensor:
    """Magnitude ``|X|`` of a complex spectrogram of any shape.

    Example:
        >>> magnitude(torch.tensor([3 + 4j])).tolist()
        [5.0]
    """
    return spectrogram.abs()


def phase(spectrogram: Tensor) -> Tensor:
    """Phase of a complex spectrogram of any shape, in radians from -pi to pi.

    Example:
        >>> phase(torch.tensor([1j])).tolist() == [math.pi / 2]
        False
        >>> round(phase(torch.tensor([1j])).item(), 4)
        1.5708
    """
    return spectrogram.angle()


def reconstruct(magnitudes: Tensor, mixture: Tensor) -> Tensor:
    """Give magnitudes the phase of the mixture: ``|Y| * exp(j * phase(X))``.

    Written as ``|Y| * X / |X|``, which is the same without the detour over the angle; where the mixture is
    zero its phase is taken as 0, as ``angle`` does.

    Args:
        magnitudes: ``[B, S, C, F, T]``, or any shape that broadcasts with the mixture's.
        mixture: Complex spectrogram ``[B, C, F, T]`` or ``[B, 1, C, F, T]``.

    Returns:
        Complex spectrogram of the shape of ``magnitudes``.

    Example:
        >>> reconstruct(torch.tensor([10.0]), torch.tensor([3 + 4j])).tolist()
        [(6+8j)]
    """
    if mixture.ndim == magnitudes.ndim - 1:
        mixture = mixture.unsqueeze(-4)
    size = mixture.abs()
    direction = torch.where(size > 0, mixture / size.clamp_min(torch.finfo(size.dtype).tiny), 1.0)
    return magnitudes * direction


def decibel(magnitudes: Tensor, *, reference: float = 1.0, floor: float = -120.0) -> Tensor:
    """Magnitudes in decibel: ``20 log10(|X| / reference)``, not below ``floor``.

    Args:
        magnitudes: Non-negative tensor of any shape.
        reference: The magnitude that is 0 dB.
        floor: The lowest value in dB; silence ends there instead of at minus infinity.

    Example:
        >>> decibel(torch.tensor([1.0, 0.1, 0.0])).tolist()
        [0.0, -20.0, -120.0]
    """
    return 20 * torch.log10((magnitudes / reference).clamp_min(10 ** (floor / 20)))
