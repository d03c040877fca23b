"""All formats that auralflow writes: a new one is a row here. Imports neither numpy nor a codec.

What a format is called, which encodings, rates, bit rates, tags and sizes it has, which library writes it and
which encoding stems get in it, stands here and nowhere else: options, writers, tags and the doctor's checks
take it from here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

__all__ = ["FORMATS", "STEM_FORMATS", "SUBTYPES", "OutputFormat", "Subtype", "format_of"]

TAGS = ("title", "artist", "album", "date", "genre", "tracknumber", "comment", "copyright", "license")
"""The tags that are carried from file to file, by libsndfile's names."""

SIZE_LIMIT = 2**32 - 2**16
"""Bytes of samples where sizes are 32-bit numbers; the difference leaves room for the header."""


@dataclass(frozen=True)
class Subtype:
    """An encoding that is no lossy one: bits of its integers, None for floats, and bytes of a sample."""

    bits: int | None
    size: int


SUBTYPES: Mapping[str, Subtype] = {
    "PCM_S8": Subtype(8, 1),
    "PCM_U8": Subtype(8, 1),
    "PCM_16": Subtype(16, 2),
    "PCM_24": Subtype(24, 3),
    "PCM_32": Subtype(32, 4),
    "FLOAT": Subtype(None, 4),
    "DOUBLE": Subtype(None, 8),
}
"""By libsndfile's names."""


@dataclass(frozen=True, kw_only=True)
class OutputFormat:
    """A format.

    Attributes:
        name: As ``--format`` takes it; the ending of stems.
        container: As libsndfile calls it, or what stands for it where FFmpeg writes it.
        endings: Endings of file names that mean it.
        lossy: Its encoding, if it is a lossy one.
        depths: For a depth of the input the encoding of stems, where it is not that depth.
        deepest: The encoding of stems for all other depths; empty: the input's own.
        tags: The tags that it holds so that others read them.
        plain_tags: Whether it does not say in which alphabet they are: then only plain letters are written.
        rates: Sample rates that it holds in hertz; empty: any.
        one_rate: The rate that all its files have, and to which stems are resampled; 0: the stems' own.
        bitrates: Kilobits per second that may be chosen, of all channels; empty: the format is lossless.
        channel_bitrate: Kilobits per second of a channel unless chosen; 0: its encoder decides.
        encoder: FFmpeg's name of the encoder; empty: libsndfile writes the format.
        muxer: FFmpeg's name of the container.
        most_channels: Channels that it holds.
        limited: Whether its sizes are 32-bit numbers.
        larger: The container that takes more.
        holds_nothing: Whether a file without samples is one of that format.
        for_stems: Whether stems may be written in it.
    """

    name: str
    container: str
    endings: tuple[str, ...]
    lossy: str = ""
    depths: Mapping[str, str] = field(default_factory=dict)
    deepest: str = ""
    tags: frozenset[str] = frozenset(TAGS)
    plain_tags: bool = False
    rates: frozenset[int] = frozenset()
    one_rate: int = 0
    bitrates: Sequence[int] = ()
    channel_bitrate: int = 0
    encoder: str = ""
    muxer: str = ""
    most_channels: int = 64
    limited: bool = False
    larger: str = ""
    holds_nothing: bool = True
    for_stems: bool = True

    def natural_subtype(self, depth: str) -> str:
        """The encoding of stems of an input.

        Args:
            depth: The input's encoding; a lossy one has no depth, and 16 bits stand for it.

        Example:
            >>> FORMATS["flac"].natural_subtype("FLOAT"), FORMATS["wav"].natural_subtype("VORBIS")
            ('PCM_24', 'PCM_16')
        """
        if self.lossy:
            return self.lossy
        known = depth if depth in SUBTYPES else "PCM_16"
        return self.depths.get(known) or self.deepest or known


FORMATS: Mapping[str, OutputFormat] = {
    row.name: row
    for row in (
        OutputFormat(
            name="wav",
            container="WAV",
            endings=(".wav",),
            tags=frozenset(TAGS) - {"license"},
            limited=True,
            larger="RF64",
        ),
        OutputFormat(
            name="flac",
            container="FLAC",
            endings=(".flac",),
            # 24 bits at most, and no unsigned numbers.
            depths={"PCM_U8": "PCM_S8", "PCM_16": "PCM_16"},
            deepest="PCM_24",
            most_channels=8,
            holds_nothing=False,
        ),
        OutputFormat(name="ogg", container="OGG", endings=(".ogg",), lossy="VORBIS", bitrates=range(64, 501)),
        OutputFormat(
            name="mp3",
            container="MP3",
            endings=(".mp3",),
            lossy="MPEG_LAYER_III",
            tags=frozenset(TAGS) - {"license", "copyright"},
            plain_tags=True,
            rates=frozenset((8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)),
            # Below 64, LAME changes the sample rate on its own.
            bitrates=(64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
            most_channels=2,
            holds_nothing=False,
        ),
        OutputFormat(
            name="m4a",
            container="MP4",
            endings=(".m4a",),
            lossy="AAC",
            tags=frozenset(TAGS) - {"license"},
            rates=frozenset(
                (7350, 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
            ),
            bitrates=range(32, 513),
            channel_bitrate=128,
            encoder="aac",
            muxer="ipod",
            # Of more, the codec takes one for the bass and cuts off its treble.
            most_channels=2,
            holds_nothing=False,
        ),
        OutputFormat(
            name="opus",
            container="OPUS",
            endings=(".opus",),
            lossy="OPUS",
            one_rate=48000,
            bitrates=range(16, 511),
            channel_bitrate=96,
            encoder="libopus",
            muxer="opus",
            most_channels=2,
            holds_nothing=False,
        ),
        # libsndfile spoils some of its tags.
        OutputFormat(
            name="aiff",
            container="AIFF",
            endings=(".aiff",),
            tags=frozenset(),
            limited=True,
            for_stems=False,
        ),
    )
}
"""By name, in the order of help pages."""

STEM_FORMATS = tuple(row.name for row in FORMATS.values() if row.for_stems)
"""The choices of ``--format``."""


def format_of(container: str) -> OutputFormat | None:
    """The format of a container, None for one that has no row.

    Example:
        >>> format_of("RF64").name, format_of("CAF")
        ('wav', None)
    """
    return next((row for row in FORMATS.values() if container in (row.container, row.larger)), None)
