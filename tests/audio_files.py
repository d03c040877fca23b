"""Audio files for tests, written without external programs, and ways to manipulate their bytes."""

import struct
from fractions import Fraction

import av
import numpy as np

from auralflow.audio.ogg import checksum


def noise(channels, frames, seed=0):
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (channels, frames)).astype(np.float32)


def encode(path, codec, audio, rate=48000, *, layout="stereo", container=None, options=None):
    """Write ``audio``, float ``[C, N]``, with FFmpeg."""
    with av.open(path, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate, layout=layout, options=options or {})
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(audio.T.reshape(1, -1), dtype=np.float32), format="flt", layout=layout
        )
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        stream.codec_context.open()
        convert = av.AudioResampler(
            format=stream.format.name, layout=layout, rate=rate, frame_size=stream.codec_context.frame_size
        )
        for part in [*convert.resample(frame), *convert.resample(None), None]:
            for packet in stream.encode(part):
                output.mux(packet)
    return path


def ogg_pages(content):
    """The pages of an Ogg file, as mutable bytes."""
    pages = []
    while content:
        count = content[26]
        size = 27 + count + sum(content[27 : 27 + count])
        pages.append(bytearray(content[:size]))
        content = content[size:]
    return pages


def ogg_file(pages):
    """Join pages, with correct checksums."""
    for page in pages:
        page[22:26] = struct.pack("<I", checksum(bytes(page)))
    return b"".join(pages)
