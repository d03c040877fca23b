"""In which form the stems of a song are written: that of the song, unless another was asked for."""

from dataclasses import dataclass

import numpy as np
import soundfile

from auralflow.audio import Audio, AudioInfo
from auralflow.config import StemConfig
from auralflow.errors import UsageError

__all__ = ["Encoding", "check_options", "choose_encoding"]

_BITS = {"PCM_U8": 8, "PCM_S8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
_FLOATS = ("FLOAT", "DOUBLE")
_CONTAINERS = {"wav": "WAV", "flac": "FLAC", "ogg": "OGG", "mp3": "MP3"}
_LOSSY = {"ogg": "VORBIS", "mp3": "MPEG_LAYER_III"}

# What decoders call the depths, by what libsndfile calls them.
_DEPTHS = {
    "PCM_S8": "PCM_U8",
    "PCM_S16LE": "PCM_16",
    "PCM_S16BE": "PCM_16",
    "PCM_S24LE": "PCM_24",
    "PCM_S24BE": "PCM_24",
    "PCM_S32LE": "PCM_32",
    "PCM_S32BE": "PCM_32",
    "PCM_F32LE": "FLOAT",
    "PCM_F32BE": "FLOAT",
    "PCM_F64LE": "DOUBLE",
    "PCM_F64BE": "DOUBLE",
    # Lossless codecs of 16 or 24 bits, which the decoder does not tell apart.
    **dict.fromkeys(("ALAC", "ALAC_24", "FLAC", "APE", "TTA", "WAVPACK"), "PCM_24"),
    "ALAC_16": "PCM_16",
    "ALAC_32": "PCM_32",
}


@dataclass(frozen=True)
class Encoding:
    """The form of a song's files.

    Attributes:
        format: Container, as `AudioWriter` takes it.
        subtype: Encoding in it.
    """

    format: str
    subtype: str

    @property
    def bits(self) -> int | None:
        """Bits of an integer encoding, None for floats and lossy ones."""
        return _BITS.get(self.subtype)

    @property
    def bytes_per_sample(self) -> float:
        """Bytes of one sample of one channel, at most."""
        if self.bits:
            return self.bits / 8
        return {"FLOAT": 4.0, "DOUBLE": 8.0}.get(self.subtype, 1.5)

    @property
    def is_float(self) -> bool:
        """Whether samples beyond full scale survive."""
        return self.subtype in _FLOATS

    def excess(self, audio: Audio) -> float:
        """How far samples go beyond what the encoding holds: above 1, they would clip.

        Example:
            >>> Encoding("WAV", "PCM_16").excess(np.array([[-1.0, 0.5]]))
            1.0
            >>> Encoding("WAV", "FLOAT").excess(np.array([[-2.0]]))
            0.0
        """
        if self.is_float or not audio.size:
            return 0.0
        # The highest integer is one step below full scale. What rounding brings back is no excess, nor is
        # what the net's own arithmetic adds to a sample at full scale.
        top = 1.0 - 2.0 ** (1 - self.bits) if self.bits else 1.0
        tolerance = max(2.0**-self.bits, 2e-7) if self.bits else 2e-7
        highest, lowest = float(audio.max()), float(-audio.min())
        highest = min(highest, top) if highest <= top + tolerance else highest
        lowest = min(lowest, 1.0) if lowest <= 1.0 + tolerance else lowest
        return max(highest / top, lowest)

    def rounded(self, audio: Audio) -> Audio:
        """Samples as the file will hold them, in double precision: on its grid of integers.

        Example:
            >>> Encoding("WAV", "PCM_U8").rounded(np.array([[0.004, 1.5]])).tolist()
            [[0.0078125, 0.9921875]]
        """
        if self.bits is None:
            return audio
        full = 2.0 ** (self.bits - 1)
        return np.clip(np.rint(audio.astype(np.float64) * full), -full, full - 1) / full


def choose_encoding(info: AudioInfo, options: StemConfig) -> Encoding:
    """Choose the form of the stems.

    Without a wish it is that of the input: its bit depth, or float. What a lossy codec holds has no depth; it
    becomes 16 bits. FLAC holds 24 bits at most, and takes that for deeper inputs.

    Args:
        info: The input.
        options: What the user wants.

    Raises:
        UsageError: If the format does not have the wished encoding.

    Example:
        >>> from pathlib import Path
        >>> info = AudioInfo(Path("a.wav"), 44100, 2, 0, "WAV", "PCM_24")
        >>> choose_encoding(info, StemConfig()).subtype
        'PCM_24'
    """
    check_options(options)
    subtype = options.subtype or _natural_subtype(info.subtype, options.format)
    return Encoding(_CONTAINERS[options.format], subtype)


def check_options(options: StemConfig) -> None:
    """Refuse an encoding that the wished format does not have.

    Raises:
        UsageError: If it has not.
    """
    container = _CONTAINERS[options.format]
    if options.subtype and not soundfile.check_format(container, options.subtype):
        raise UsageError(
            f"--subtype is {options.subtype}: {options.format} has no such encoding",
            expected=f"one of {', '.join(soundfile.available_subtypes(container))}",
        )


def _natural_subtype(subtype: str, format: str) -> str:  # noqa: A002 - the field's own word
    if format in _LOSSY:
        return _LOSSY[format]
    own = _DEPTHS.get(subtype, subtype)
    depth = own if own in _BITS or own in _FLOATS else "PCM_16"
    if format == "flac":
        return {"PCM_U8": "PCM_S8", "PCM_16": "PCM_16"}.get(depth, "PCM_24")
    return depth
