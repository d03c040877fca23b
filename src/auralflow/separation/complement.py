"""The original minus one of its stems, such as the instrumental."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from auralflow.audio import Audio, AudioWriter, probe, read_tags, stream_audio
from auralflow.audio.formats import SUBTYPES

__all__ = ["write_complement"]


def write_complement(original: Path, stem: Path, path: Path) -> None:
    """Write the original minus a stem, exact to the last bit.

    The file has the same encoding as the other two, unless the difference exceeds full scale: then it is
    written as ``FLOAT``, or as ``DOUBLE`` where ``FLOAT`` would round.

    Args:
        original: The separated song, a WAV file.
        stem: One of its stems, with the same length and encoding.
        path: The file to write.

    Raises:
        AudioError: If a file cannot be read or written.

    Example:
        >>> import tempfile
        >>> from auralflow.audio import read_audio, write_audio
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name, level in (("original", 0.75), ("vocals", 0.25)):
        ...     write_audio(folder / f"{name}.wav", np.full((1, 3), level, dtype=np.float32), 8000)
        >>> write_complement(folder / "original.wav", folder / "vocals.wav", folder / "instrumental.wav")
        >>> read_audio(folder / "instrumental.wav")[0].tolist()
        [[0.5, 0.5, 0.5]]
    """
    info = probe(original)
    try:
        _write(original, stem, path, info.subtype)
    except _BeyondFullScale:
        wide = SUBTYPES[info.subtype].size > 3
        _write(original, stem, path, "DOUBLE" if wide else "FLOAT")


class _BeyondFullScale(Exception):  # noqa: N818 - never leaves this module
    """The difference exceeds the range of the file's integers."""


def _write(original: Path, stem: Path, path: Path, subtype: str) -> None:
    info = probe(original)
    bits = SUBTYPES[subtype].bits
    top = 1 - 2.0 ** (1 - bits) if bits else np.inf
    blocks = zip(_blocks(original), _blocks(stem), strict=True)
    with AudioWriter(
        path, info.sample_rate, info.channels, subtype, frames=info.frames, tags=read_tags(original)
    ) as writer:
        for whole, part in blocks:
            rest = whole - part
            if bits and rest.size and (rest.max() > top or rest.min() < -1):
                raise _BeyondFullScale
            writer.write(rest if subtype != "FLOAT" else rest.astype(np.float32))


def _blocks(path: Path) -> Iterator[Audio]:
    return stream_audio(path, dtype="float64")
