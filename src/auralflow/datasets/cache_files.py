"""Writing the files of a cache: decoded once, at one rate, to numpy arrays."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from auralflow.audio import Audio, probe, resample_stream, stream_audio
from auralflow.datasets.cache import StemRecord
from auralflow.storage import file_hash

__all__ = ["store_file", "write_samples"]

BLOCK = 1 << 18


def store_file(
    path: Path, target: Path, *, sample_rate: int, num_samples: int, sample_type: Literal["int16", "float32"]
) -> StemRecord:
    """Decode an audio file into a cache file.

    Args:
        path: The audio file.
        target: The file to write.
        sample_rate: Rate of the cache in hertz.
        num_samples: Length to write; shorter audio is zero-padded, longer audio is cut.
        sample_type: Type of the samples. Where 16-bit samples would clip, all are scaled down, and the
            record says by how much.

    Returns:
        What was written.

    Raises:
        AudioError: If the file cannot be decoded to its end.
    """
    info = probe(path)
    scale = 1.0
    while True:
        peak = write_samples(
            target,
            resample_stream(stream_audio(path, block=BLOCK), info.sample_rate, sample_rate, info.channels),
            shape=(info.channels, num_samples),
            sample_type=sample_type,
            scale=scale,
        )
        if sample_type == "float32" or peak <= scale:
            break
        scale = peak
    return StemRecord(file=target.name, size=target.stat().st_size, sha256=file_hash(target), scale=scale)


def write_samples(
    target: Path,
    blocks: Iterable[Audio],
    *,
    shape: tuple[int, int],
    sample_type: Literal["int16", "float32"],
    scale: float = 1.0,
) -> float:
    """Write a stream of audio as a numpy file ``[C, N]``; memory does not grow with its length.

    Args:
        target: The file to write.
        blocks: Pieces ``[C, n]``.
        shape: ``(C, N)``; shorter audio is zero-padded, longer audio is cut.
        sample_type: Type of the samples.
        scale: The value that full scale of 16-bit samples represents.

    Returns:
        The largest absolute sample.
    """
    channels, length = shape
    dtype = np.dtype(sample_type)
    peak, position = 0.0, 0
    with target.open("wb") as file:
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        offset = file.tell()
        # The whole size at once, so that the zeros at the end need not be written.
        file.truncate(offset + channels * length * dtype.itemsize)
        for block in blocks:
            piece = block[:, : length - position]
            peak = max(peak, float(np.abs(piece).max(initial=0.0)))
            samples = (
                _encode(piece, scale) if sample_type == "int16" else piece.astype(np.float32, copy=False)
            )
            for channel, row in enumerate(samples):
                file.seek(offset + (channel * length + position) * dtype.itemsize)
                file.write(row.tobytes())
            position += piece.shape[1]
        file.flush()
        os.fsync(file.fileno())
    return peak


def _encode(audio: Audio, scale: float) -> NDArray[np.int16]:
    # 32768 rather than 32767: samples that were 16-bit integers are restored exactly.
    steps = np.rint(audio * np.float32(32768 / scale))
    return np.asarray(np.clip(steps, -32768, 32767), dtype=np.int16)
