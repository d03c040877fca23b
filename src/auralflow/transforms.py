"""Between audio and spectrograms, and from chunks back to a whole signal.

Every transform comes twice: as a module, which carries its window or filters as buffers and so follows
``.to(device)``, and as a function of the same name in lower case.

Shape letters: ``B`` batch, ``S`` source, ``C`` channel, ``F`` frequency bin, ``T`` frame, ``N`` sample,
``M`` mel band.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = [
    "STFT",
    "MelScale",
    "cross_fade_window",
    "decibel",
    "magnitude",
    "mel_filters",
    "mel_scale",
    "overlap_add",
    "phase",
    "reconstruct",
]


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
        audio = torch.istft(
            spectrogram.reshape(-1, *spectrogram.shape[-2:]),
            n_fft=self.num_fft,
            hop_length=self.hop_length,
            win_length=self.window_size,
            window=self.window,
            center=True,
        )
        return audio[..., :num_samples].reshape(*spectrogram.shape[:-2], num_samples)

    def extra_repr(self) -> str:
        """Settings in the printed module."""
        return f"num_fft={self.num_fft}, window_size={self.window_size}, hop_length={self.hop_length}"


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


def mel_filters(num_bins: int, num_mels: int, sample_rate: int) -> Tensor:
    """Triangular filters that sum frequency bins to mel bands.

    Slaney's auditory scale (linear below 1 kHz, logarithmic above) without area normalisation.
    Source: M. Slaney, "Auditory Toolbox", 1998; checked against the definition of librosa.

    Args:
        num_bins: Number of frequency bins ``F``.
        num_mels: Number of mel bands ``M``.
        sample_rate: In hertz; the bands span 0 to half of it.

    Returns:
        ``[M, F]``, peaks at 1.

    Example:
        >>> list(mel_filters(513, 64, 44100).shape)
        [64, 513]
    """
    edges = _mel_to_hertz(
        torch.linspace(0.0, _hertz_to_mel(sample_rate / 2), num_mels + 2, dtype=torch.float64)
    )
    bins = torch.linspace(0.0, sample_rate / 2, num_bins, dtype=torch.float64)
    lower, centre, upper = (edges[i : i + num_mels, None] for i in range(3))
    rising = (bins - lower) / (centre - lower)
    falling = (upper - bins) / (upper - centre)
    return torch.minimum(rising, falling).clamp_min(0.0).float()


_MEL_BREAK_HERTZ = 1000.0
_MELS_PER_HERTZ = 3 / 200
_LOG_STEP = math.log(6.4) / 27


def _hertz_to_mel(hertz: float) -> float:
    if hertz < _MEL_BREAK_HERTZ:
        return hertz * _MELS_PER_HERTZ
    return _MEL_BREAK_HERTZ * _MELS_PER_HERTZ + math.log(hertz / _MEL_BREAK_HERTZ) / _LOG_STEP


def _mel_to_hertz(mel: Tensor) -> Tensor:
    knee = _MEL_BREAK_HERTZ * _MELS_PER_HERTZ
    return torch.where(
        mel < knee, mel / _MELS_PER_HERTZ, _MEL_BREAK_HERTZ * torch.exp((mel - knee) * _LOG_STEP)
    )


class MelScale(nn.Module):
    """Magnitude (or power) spectrograms summed to mel bands.

    Args:
        num_bins: Number of frequency bins ``F``.
        num_mels: Number of mel bands ``M``. Defaults to 128.
        sample_rate: In hertz. Defaults to 44100.

    Shape:
        - Input: ``[..., F, T]``
        - Output: ``[..., M, T]``

    Example:
        >>> list(MelScale(513, num_mels=64)(torch.rand(2, 513, 7)).shape)
        [2, 64, 7]
    """

    filters: Tensor

    def __init__(self, num_bins: int, num_mels: int = 128, sample_rate: int = 44100) -> None:
        super().__init__()
        self.register_buffer("filters", mel_filters(num_bins, num_mels, sample_rate), persistent=False)

    def forward(self, magnitudes: Tensor) -> Tensor:
        """Sum ``[..., F, T]`` to ``[..., M, T]``."""
        return self.filters @ magnitudes


def mel_scale(magnitudes: Tensor, num_mels: int = 128, sample_rate: int = 44100) -> Tensor:
    """Functional twin of `MelScale`, which see: ``[..., F, T]`` to ``[..., M, T]``."""
    return MelScale(magnitudes.shape[-2], num_mels, sample_rate).to(magnitudes.device)(magnitudes)  # type: ignore[no-any-return]


def cross_fade_window(length: int, step: int) -> Tensor:
    """Weights of a chunk for `overlap_add`: linear fades over the overlap, flat between, never zero.

    A net knows least about the ends of its chunk, where it sees only one side of what it has to judge; so
    the ends count least where another chunk covers the same samples.

    Args:
        length: Samples in a chunk.
        step: Samples from one chunk's start to the next.

    Returns:
        ``[length]``, in (0, 1].

    Example:
        >>> cross_fade_window(6, 4).tolist()
        [0.25, 0.75, 1.0, 1.0, 0.75, 0.25]
    """
    fade = max(1.0, min(length - step, length / 2))
    ramp = torch.arange(length, dtype=torch.float32) + 0.5
    return (torch.minimum(ramp, ramp.flip(0)) / fade).clamp_max(1.0)


def overlap_add(
    blocks: Iterable[Tensor],
    process: Callable[[Tensor], Tensor],
    *,
    chunk_length: int,
    step: int,
    batch_size: int = 1,
) -> Iterator[Tensor]:
    """Run a function of fixed-length chunks over a signal of any length, as a stream.

    The signal is cut into chunks of ``chunk_length`` every ``step`` samples, ``process`` sees them in
    batches, and its results are cross-faded and divided by the sum of the weights: if ``process`` returns
    its input, the output is the input. The last chunk is padded with zeros. A new chunk is only begun for
    samples that no earlier chunk covers. Memory does not grow with the signal: at most
    ``chunk_length + (batch_size - 1) * step`` samples plus one block are held.

    Args:
        blocks: The signal as consecutive pieces ``[C, n]`` of any length.
        process: Maps ``[B, C, chunk_length]`` to ``[B, ..., chunk_length]``, ``B`` up to ``batch_size``.
        chunk_length: Samples in a chunk.
        step: Samples from one chunk's start to the next, from 1 to ``chunk_length``.
        batch_size: Chunks that ``process`` gets at once.

    Yields:
        Finished pieces ``[..., n]``; together they are as long as the signal. A sample is finished at the
        latest when ``chunk_length + batch_size * step`` samples after it have been read.

    Raises:
        ValueError: If ``step`` is not from 1 to ``chunk_length``.

    Example:
        >>> signal = torch.randn(2, 1000)
        >>> parts = overlap_add(signal.split(300, dim=-1), lambda chunk: chunk, chunk_length=64, step=48)
        >>> torch.allclose(torch.cat(list(parts), dim=-1), signal, atol=1e-6)
        True
    """
    if not 1 <= step <= chunk_length:
        raise ValueError(f"step is {step}: it must be from 1 to chunk_length ({chunk_length})")
    window = cross_fade_window(chunk_length, step)
    tail: Tensor | None = None  # weighted sum of what is not finished yet, [..., chunk_length - step]
    weight = torch.zeros(chunk_length - step)  # sum of the weights there

    for batch, num_samples, is_last in _batches(blocks, chunk_length, step, batch_size):
        estimates = process(batch)
        window, weight = window.to(estimates), weight.to(estimates)
        finished = []
        for estimate in estimates * window:
            total = estimate
            sums = window
            if tail is not None:
                total = total.clone()
                total[..., : chunk_length - step] += tail
                sums = window.clone()
                sums[: chunk_length - step] += weight
            finished.append(total[..., :step] / sums[:step])
            tail, weight = total[..., step:], sums[step:]
        if is_last and tail is not None:
            finished.append(tail / weight)
        yield torch.cat(finished, dim=-1)[..., :num_samples]


def _batches(
    blocks: Iterable[Tensor], chunk_length: int, step: int, batch_size: int
) -> Iterator[tuple[Tensor, int, bool]]:
    """Cut a stream into batches of chunks: the batch, how many samples it finishes, whether it is the last.

    A batch of ``k`` chunks finishes ``k * step`` samples, the last one all that is left.
    """
    pending: deque[Tensor] = deque()
    held = 0
    span = chunk_length + (batch_size - 1) * step  # samples under a full batch
    # One sample more than a batch spans must have been read to know that the batch is not the last.
    for block in blocks:
        pending.append(block)
        held += block.shape[-1]
        if held <= span:
            continue
        signal = torch.cat(list(pending), dim=-1)
        while signal.shape[-1] > span:
            yield signal[..., :span].unfold(-1, chunk_length, step).movedim(-2, 0), batch_size * step, False
            signal = signal[..., batch_size * step :]
        pending = deque([signal])
        held = signal.shape[-1]
    if held == 0:
        return
    signal = torch.cat(list(pending), dim=-1)
    count = 1 + math.ceil(max(0, held - chunk_length) / step)
    padded = F.pad(signal, (0, chunk_length + (count - 1) * step - held))
    yield padded.unfold(-1, chunk_length, step).movedim(-2, 0), held, True
