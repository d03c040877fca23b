"""Lossy coding of a mix: MP3 and Ogg Vorbis, encoded and decoded in memory.

Shape letters: ``C`` channel, ``N`` sample.
"""

import io
from dataclasses import dataclass
from typing import Literal

import numpy as np
import soundfile

from auralflow.effects.signals import Signal

__all__ = ["CODED_RATES", "LossyCoding", "draw_coding"]

CODED_RATES = (8000, 192000)
"""Lowest and highest supported sample rate in hertz."""
MP3_RATES = frozenset({8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000})
MP3_CHANNELS = 2
COMPRESSION = (0.3, 0.95)
"""Range of libsndfile's compression level, from 0, best, to 1, smallest: of music in stereo at 44.1 kHz about
60 to 200 kbit/s."""


@dataclass(frozen=True, slots=True)
class LossyCoding:
    """A codec and its compression level.

    Attributes:
        format: MP3 or Ogg Vorbis; audio that MP3 does not support is coded as Ogg Vorbis.
        compression: From 0 (best quality) to 1 (smallest file).
    """

    format: Literal["MP3", "OGG"]
    compression: float

    def applied(self, mix: Signal, sample_rate: int) -> Signal:
        """Encode and decode a mix.

        Args:
            mix: Audio ``[C, N]``; it is not changed.
            sample_rate: Sample rate in hertz, within `CODED_RATES`.

        Returns:
            Audio of the same shape, without a delay.

        Example:
            >>> tone = np.sin(np.arange(8000) / 8).astype(np.float32)[None]
            >>> error = LossyCoding("OGG", 0.5).applied(tone, 8000) - tone
            >>> bool(0 < np.square(error).mean() < 0.01)
            True
        """
        plain = self.format == "OGG" or sample_rate not in MP3_RATES or len(mix) > MP3_CHANNELS
        kind = "OGG" if plain else "MP3"
        file = io.BytesIO()
        soundfile.write(file, mix.T, sample_rate, format=kind, compression_level=self.compression)
        file.seek(0)
        decoded = soundfile.read(file, frames=mix.shape[1], dtype="float32", always_2d=True, fill_value=0)[0]
        return np.ascontiguousarray(decoded.T)


def draw_coding(rng: np.random.Generator) -> LossyCoding:
    """Draw a codec and a compression level.

    Args:
        rng: Random number generator; two numbers are drawn.

    Example:
        >>> draw_coding(np.random.default_rng(0)) == draw_coding(np.random.default_rng(0))
        True
    """
    which, amount = rng.random(2).tolist()
    low, high = COMPRESSION
    return LossyCoding("MP3" if which < 0.5 else "OGG", low + (high - low) * amount)
