"""In which form the stems of a song are written: that of the song, unless another was asked for."""

from dataclasses import dataclass

import numpy as np
import soundfile

from auralflow.audio.checks import Audio
from auralflow.audio.formats import FORMATS, SUBTYPES, format_of
from auralflow.audio.reading import AudioInfo
from auralflow.errors import AudioError, UsageError

__all__ = ["Encoding", "check_subtype", "choose_encoding", "subtypes_of"]

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
        sample_rate: Rate of the files in hertz, where it is not the input's; else None.
        bitrate: Kilobits per second of all channels, where one was chosen; else None.
    """

    format: str
    subtype: str
    sample_rate: int | None = None
    bitrate: int | None = None

    @property
    def bits(self) -> int | None:
        """Bits of an integer encoding, None for floats and lossy ones."""
        known = SUBTYPES.get(self.subtype)
        return known.bits if known else None

    @property
    def bytes_per_sample(self) -> float:
        """Bytes of one sample of one channel, at most."""
        known = SUBTYPES.get(self.subtype)
        return float(known.size) if known else 1.5

    @property
    def is_float(self) -> bool:
        """Whether samples beyond full scale survive."""
        return self.subtype in SUBTYPES and self.bits is None

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


def choose_encoding(
    info: AudioInfo,
    format: str = "wav",  # noqa: A002 - the field's own word
    subtype: str | None = None,
    bitrate: int | None = None,
) -> Encoding:
    """Choose the form of the stems.

    Without a wish it is that of the input: its bit depth, or float. What a lossy codec holds has no depth; it
    becomes 16 bits. FLAC holds 24 bits at most, and takes that for deeper inputs. Opus has one sample rate,
    to which the stems are resampled.

    Args:
        info: The input.
        format: A name of `STEM_FORMATS`.
        subtype: The wished encoding.
        bitrate: The wished kilobits per second, of a lossy format.

    Raises:
        UsageError: If the format does not have the wished encoding.
        AudioError: If it cannot hold the input's rate or number of channels.

    Example:
        >>> from pathlib import Path
        >>> info = AudioInfo(Path("a.wav"), 44100, 2, 0, "WAV", "PCM_24")
        >>> choose_encoding(info).subtype
        'PCM_24'
    """
    check_subtype(format, subtype)
    row = FORMATS[format]
    if row.rates and info.sample_rate not in row.rates:
        raise AudioError(
            f"{format} cannot hold the stems of '{info.path}'",
            found=f"{info.sample_rate} Hz",
            expected=f"one of {', '.join(map(str, sorted(row.rates)))} Hz",
            advice="Choose another --format, such as flac.",
        )
    if info.channels > row.most_channels:
        raise AudioError(
            f"{format} cannot hold the stems of '{info.path}'",
            found=f"{info.channels} channels",
            expected=f"at most {row.most_channels}",
            advice="Choose another --format, such as wav.",
        )
    return Encoding(
        row.container,
        subtype or row.natural_subtype(_DEPTHS.get(info.subtype, info.subtype)),
        row.one_rate if row.one_rate not in (0, info.sample_rate) else None,
        bitrate,
    )


def subtypes_of(container: str) -> tuple[str, ...]:
    """The encodings of a container, by libsndfile's names.

    Example:
        >>> subtypes_of("MP4"), "PCM_24" in subtypes_of("WAV"), subtypes_of("MIDI")
        (('AAC',), True, ())
    """
    row = format_of(container)
    return (row.lossy,) if row and row.encoder else tuple(soundfile.available_subtypes(container))


def check_subtype(format: str, subtype: str | None) -> None:  # noqa: A002 - the field's own word
    """Refuse an encoding that the wished format does not have.

    Raises:
        UsageError: If it has not.
    """
    known = subtypes_of(FORMATS[format].container)
    if subtype and subtype not in known:
        raise UsageError(
            f"--subtype is {subtype}: {format} has no such encoding",
            expected=f"one of {', '.join(known)}",
        )
