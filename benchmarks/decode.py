"""The cost of running FFmpeg in a separate process: ``python benchmarks/decode.py``.

A song of six minutes, as M4A and as Opus, is decoded block by block: by FFmpeg in this process, up to an
array of samples, and by `stream_audio`, which reads the samples through a pipe from a process that is already
running. Both run the same decoding code. They take turns for several rounds, and the fastest of each counts:
in wall-clock time, where the other process decodes ahead while this one reads, and in CPU time of both
processes together. Also printed: how long such a process takes to start, and that WAV, FLAC, Ogg and MP3 need
none.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from auralflow.audio import decoders, probe, read_audio, stream_audio, write_audio
from auralflow.audio.decoder_process import Recording

RATE = 48000
SECONDS = 360
ROUNDS = 5
CODECS = {"song.m4a": "aac", "song.opus": "libopus"}
BY_LIBSNDFILE = {
    "song.wav": "PCM_16",
    "song.flac": "PCM_16",
    "song.ogg": "VORBIS",
    "song.mp3": "MPEG_LAYER_III",
}


def make_song(path: Path, codec: str, audio: np.ndarray) -> Path:
    """Encode ``[2, N]`` with FFmpeg."""
    with av.open(path, "w") as container:
        stream = container.add_stream(codec, rate=RATE, layout="stereo", bit_rate=192000)
        frame = av.AudioFrame.from_ndarray(audio, format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
        convert = av.AudioResampler(format=stream.format.name, frame_size=stream.codec_context.frame_size)
        for part in (*convert.resample(frame), *convert.resample(None), None):
            container.mux(stream.encode(part))
    return path


def in_this_process(path: Path) -> int:
    """Decode to arrays ``[2, n]`` of 65536 samples in this process; return the number of samples."""
    recording = Recording(os.fsencode(path), 0)
    block, filled, total = np.empty((65536, 2), np.float32), 0, 0
    for piece in recording.pieces("float32"):
        samples = np.frombuffer(piece, np.float32).reshape(-1, 2)
        while len(samples):
            part = samples[: len(block) - filled]
            block[filled : filled + len(part)] = part
            filled, samples = filled + len(part), samples[len(part) :]
            if filled == len(block):
                total += block.T.copy().shape[1]
                filled = 0
    recording.close()
    return total + filled


def in_another(path: Path) -> int:
    """Decode with `stream_audio`; return the number of samples."""
    return sum(block.shape[1] for block in stream_audio(path))


def seconds(action: Callable[[], object]) -> float:
    """Wall-clock time of an action."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def processor_seconds(action: Callable[[], object]) -> float:
    """CPU time of an action, in this process and its children, of which there is one."""
    start = time.process_time() + children_seconds()
    action()
    return time.process_time() + children_seconds() - start


def children_seconds() -> float:
    """CPU time of the child processes; only Linux reports it while they run."""
    total = 0.0
    for pid in decoders.pids():
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def compare(path: Path, measure: Callable[[Callable[[], object]], float], unit: str) -> str:
    """Decode in both processes in turn, and describe the difference."""
    rounds = [
        (measure(lambda: in_this_process(path)), measure(lambda: in_another(path))) for _ in range(ROUNDS)
    ]
    inside, outside = (min(times) for times in zip(*rounds, strict=True))
    more = 100 * (outside / inside - 1)
    return f"{inside:.3f} {unit} in this process, {outside:.3f} in another ({more:+.1f} %)"


def main() -> None:
    """Measure and print the results."""
    generator = np.random.default_rng(0)
    time_axis = np.arange(RATE * SECONDS) / RATE
    audio = np.stack([np.sin(2 * np.pi * pitch * time_axis) for pitch in (220, 331)]).astype(np.float32) / 4
    audio += generator.normal(0, 0.05, audio.shape).astype(np.float32)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, subtype in BY_LIBSNDFILE.items():
            write_audio(folder / file, audio[:, : 10 * RATE], RATE, subtype=subtype)
            read_audio(folder / file)
        print(f"processes after reading {', '.join(BY_LIBSNDFILE)}: {len(decoders.pids())}")
        short = make_song(folder / "short.m4a", "aac", audio[:, :RATE])
        cold = []
        for _ in range(ROUNDS):
            decoders.close_all()
            cold.append(seconds(lambda: probe(short)))
        warm = min(seconds(lambda: probe(short)) for _ in range(ROUNDS))
        print(f"start of a process: {min(cold) - warm:.3f} s")
        for file, codec in CODECS.items():
            path = make_song(folder / file, codec, audio)
            print(f"{file}: {compare(path, seconds, 's')}")
            if sys.platform.startswith("linux"):
                print(f"{file}: {compare(path, processor_seconds, 's of CPU time')}")


if __name__ == "__main__":
    main()
