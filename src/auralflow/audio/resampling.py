"""Changing the sample rate of a whole signal or of a stream, with exactly the same result.

The filter is soxr's HQ: linear phase, so that nothing is delayed, with a precision of 20 bits.

Source:
    The SoX resampler library, https://sourceforge.net/projects/soxr.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import soxr

from auralflow.audio.checks import Audio, SampleType
from auralflow.errors import AudioError

__all__ = ["StreamResampler", "resample", "resample_stream", "resampled_length"]

_LONGEST_PIECE = 1 << 17


def resampled_length(frames: int, source_rate: int, target_rate: int) -> int:
    """Number of samples of a signal at another rate.

    Args:
        frames: Samples at ``source_rate``.
        source_rate: Samples per second before.
        target_rate: Samples per second after.

    Returns:
        ``frames * target_rate / source_rate``, rounded half up, in exact arithmetic.

    Example:
        >>> resampled_length(3, 44100, 22050)
        2
    """
    return (2 * frames * target_rate + source_rate) // (2 * source_rate)


def resample(audio: Audio, source_rate: int, target_rate: int) -> Audio:
    """Change the sample rate of a whole signal.

    Args:
        audio: Samples ``[C, N]``.
        source_rate: Its samples per second.
        target_rate: The new sample rate in hertz; equal rates return ``audio`` itself.

    Returns:
        Samples ``[C, M]`` of the same type, with ``M`` from `resampled_length`. Events keep their time;
        frequencies beyond the new rate are filtered out.

    Raises:
        AudioError: If a rate is not positive.

    Example:
        >>> resample(np.zeros((2, 441), dtype=np.float32), 44100, 48000).shape
        (2, 480)
    """
    _check_rates(source_rate, target_rate)
    if source_rate == target_rate:
        return audio
    if not audio.size:
        return audio[:, :0].copy()
    # soxr processes the transpose of a [C, N] array channel by channel, without a copy.
    changed = soxr.resample(np.ascontiguousarray(audio).T, source_rate, target_rate, quality="HQ").T
    return _fitted(changed, resampled_length(audio.shape[1], source_rate, target_rate))


class StreamResampler:
    """Change the sample rate of a signal that arrives in blocks.

    The blocks returned by `push` and `finish`, joined, equal `resample` of the joined input.

    Args:
        source_rate: Samples per second of what is pushed.
        target_rate: Samples per second of what is returned; equal rates pass blocks through.
        channels: Number of channels.
        dtype: Sample type of the blocks.

    Raises:
        AudioError: If a rate is not positive.

    Example:
        >>> stream = StreamResampler(44100, 48000, channels=2)
        >>> block = np.zeros((2, 441), dtype=np.float32)
        >>> stream.push(block).shape[1] + stream.push(block).shape[1] + stream.finish().shape[1]
        960
    """

    def __init__(
        self, source_rate: int, target_rate: int, channels: int, dtype: SampleType = "float32"
    ) -> None:
        _check_rates(source_rate, target_rate)
        self.source_rate = source_rate
        self.target_rate = target_rate
        self._nothing: Audio = np.zeros((channels, 0), dtype=dtype)
        self._taken = 0
        self._given = 0
        self._stream = soxr.ResampleStream(source_rate, target_rate, channels, dtype=dtype, quality="HQ")

    def push(self, block: Audio) -> Audio:
        """Take the next block.

        Args:
            block: Samples ``[C, n]``, any ``n``.

        Returns:
            The samples ``[C, m]`` that are ready; ``m`` may be 0, because the filter looks ahead.
        """
        if self.source_rate == self.target_rate:
            return block
        self._taken += block.shape[1]
        ready = self._stream.resample_chunk(np.ascontiguousarray(block.T, dtype=self._nothing.dtype)).T
        self._given += ready.shape[1]
        return np.ascontiguousarray(ready)

    def finish(self) -> Audio:
        """Return the samples ``[C, m]`` that were still in the filter; call it once, at the end."""
        if self.source_rate == self.target_rate or not self._taken:
            return self._nothing
        rest = self._stream.resample_chunk(np.ascontiguousarray(self._nothing.T), last=True).T
        total = resampled_length(self._taken, self.source_rate, self.target_rate)
        return _fitted(rest, total - self._given)


def resample_stream(
    blocks: Iterable[Audio], source_rate: int, target_rate: int, channels: int
) -> Iterator[Audio]:
    """Resample a stream block by block; at equal rates the blocks pass unchanged.

    Args:
        blocks: Consecutive pieces ``[C, n]`` of any length.
        source_rate: Their sample rate in hertz.
        target_rate: The new one.
        channels: Number of channels ``C``.

    Yields:
        Consecutive pieces ``[C, m]``; joined, they equal `resample` of the whole.

    Example:
        >>> parts = resample_stream([np.zeros((1, 100), np.float32)] * 3, 8000, 16000, 1)
        >>> sum(part.shape[1] for part in parts)
        600
    """
    if source_rate == target_rate:
        yield from blocks
        return
    resampler = StreamResampler(source_rate, target_rate, channels)
    # A file's header chooses the ratio: resampling in pieces keeps it from choosing the memory of a block.
    piece = max(1, _LONGEST_PIECE * source_rate // target_rate)
    for block in blocks:
        for start in range(0, block.shape[1], piece):
            yield resampler.push(block[:, start : start + piece])
    yield resampler.finish()


def _fitted(audio: Audio, frames: int) -> Audio:
    """Cut or pad the end by the one sample that rounding may add or drop."""
    if audio.shape[1] < frames:
        return np.pad(audio, ((0, 0), (0, frames - audio.shape[1])))
    return np.ascontiguousarray(audio[:, :frames])


def _check_rates(source_rate: int, target_rate: int) -> None:
    if source_rate < 1 or target_rate < 1:
        raise AudioError(
            "cannot change the sample rate",
            found=f"{source_rate} Hz to {target_rate} Hz",
            expected="rates of at least 1 Hz",
        )
