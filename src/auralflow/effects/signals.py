"""Arithmetic on sounds: adding one to another, and convolution. Shapes: ``N`` samples."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["Signal", "add_at", "convolve"]

Signal = NDArray[np.float32]
"""Audio or a control curve, float32."""

CONVOLUTION_BLOCK = 32768


def add_at(target: Signal, start: int, sound: Signal) -> None:
    """Add a sound to a longer signal in place; parts outside it are dropped.

    Args:
        target: Signal [..., N] to add to.
        start: Sample of the target at which the sound begins; may be negative.
        sound: Sound [..., M], broadcast against the target.

    Example:
        >>> canvas = np.zeros(4, dtype=np.float32)
        >>> add_at(canvas, 2, np.ones(5, dtype=np.float32))
        >>> canvas.tolist()
        [0.0, 0.0, 1.0, 1.0]
    """
    first, last = max(start, 0), min(start + sound.shape[-1], target.shape[-1])
    if first < last:
        target[..., first:last] += sound[..., first - start : last - start]


def convolve(signal: Signal, responses: Signal) -> Signal:
    """Convolve one signal with several impulse responses, block by block in the frequency domain.

    Args:
        signal: Signal [N].
        responses: Impulse responses [C, M].

    Returns:
        The first N samples of the convolutions [C, N].

    Example:
        >>> echo = np.zeros((1, 3), dtype=np.float32)
        >>> echo[0, 2] = 0.5
        >>> convolve(np.arange(5, dtype=np.float32), echo).round(3).tolist() == [[0.0, 0.0, 0.0, 0.5, 1.0]]
        True
    """
    samples, taps = signal.shape[-1], responses.shape[-1]
    block = max(CONVOLUTION_BLOCK, 1 << (taps - 1).bit_length())
    blocks = -(-samples // block)
    padded = np.zeros(blocks * block, dtype=np.float32)
    padded[:samples] = signal
    spectra = np.fft.rfft(padded.reshape(blocks, block), 2 * block, axis=-1)
    result = np.zeros((len(responses), blocks + 1, block), dtype=np.float32)
    for channel, response in enumerate(np.fft.rfft(responses, 2 * block, axis=-1)):
        parts = np.fft.irfft(spectra * response, 2 * block, axis=-1)
        result[channel, :-1] += parts[:, :block]
        result[channel, 1:] += parts[:, block:]
    return result.reshape(len(responses), -1)[:, :samples]
