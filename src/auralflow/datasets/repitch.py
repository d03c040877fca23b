"""Audio at another pitch and tempo.

Resampling changes pitch and speed together; FFmpeg's ``atempo``, which joins overlapping pieces where they
are most alike, then restores the duration.
"""

from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np

from auralflow.audio import Audio, resample

__all__ = ["repitch"]

BLOCK = 1 << 16


def repitch(audio: Audio, sample_rate: int, *, pitch: float, tempo: float) -> Audio:
    """Change pitch and tempo independently.

    Args:
        audio: ``[C, N]``.
        sample_rate: In hertz.
        pitch: In semitones.
        tempo: In percent; 10 makes it 10 % faster.

    Returns:
        ``[C, M]`` float32 with ``M = round(N / (1 + tempo / 100))``.

    Example:
        >>> repitch(np.zeros((2, 44100), dtype=np.float32), 44100, pitch=2.0, tempo=5.0).shape
        (2, 42000)
    """
    speed = 2 ** (pitch / 12)
    factor = 1 + tempo / 100
    length = round(audio.shape[1] / factor)
    played = resample(audio, round(speed * sample_rate), sample_rate)
    pieces = [np.zeros((audio.shape[0], 0), dtype=np.float32)]
    if audio.shape[1]:
        # Left and right must be cut at the same places; beyond two channels there is no common layout.
        groups = [played] if len(played) <= 2 else [played[i : i + 1] for i in range(len(played))]
        pieces = [_with_length(_at_tempo(group, sample_rate, factor / speed), length) for group in groups]
    return np.concatenate(pieces, axis=0 if len(pieces) > 1 else 1)


def _with_length(audio: Audio, length: int) -> Audio:
    fitted: Audio = np.pad(audio[:, :length], ((0, 0), (0, max(0, length - audio.shape[1]))))
    return fitted


def _at_tempo(audio: Audio, sample_rate: int, factor: float) -> Audio:
    if abs(factor - 1) < 1e-6:
        return audio
    # A signal too short for a single piece of the filter comes out empty.
    return np.concatenate([audio[:, :0], *_filter(audio, sample_rate, factor)], axis=1)


def _filter(audio: Audio, sample_rate: int, factor: float) -> Iterator[Audio]:
    layout = "mono" if len(audio) == 1 else "stereo"
    graph = av.filter.Graph()
    source = graph.add_abuffer(
        sample_rate=sample_rate, format="flt", layout=layout, time_base=Fraction(1, sample_rate)
    )
    graph.link_nodes(source, graph.add("atempo", f"{factor:.9f}"), graph.add("abuffersink")).configure()
    for start in range(0, audio.shape[1], BLOCK):
        block = np.ascontiguousarray(audio[:, start : start + BLOCK].T, dtype=np.float32)
        frame = av.AudioFrame.from_ndarray(block.reshape(1, -1), format="flt", layout=layout)
        frame.sample_rate, frame.pts = sample_rate, start
        graph.push(frame)
        yield from _ready(graph)
    graph.push(None)
    yield from _ready(graph)


def _ready(graph: av.filter.Graph) -> Iterator[Audio]:
    while True:
        try:
            frame = graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        assert isinstance(frame, av.AudioFrame)
        # The filter works on interleaved samples.
        yield np.asarray(frame.to_ndarray(), dtype=np.float32).reshape(frame.samples, -1).T
