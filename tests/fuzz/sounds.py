"""One short valid file in every supported format that can be written here."""

from pathlib import Path

import av
import numpy as np
import soundfile

SOUND_FILES = {
    "pcm16.wav": ("WAV", "PCM_16", 22050),
    "pcm24.wav": ("WAV", "PCM_24", 44100),
    "float.wav": ("WAV", "FLOAT", 8000),
    "alaw.wav": ("WAV", "ALAW", 8000),
    "adpcm.wav": ("WAV", "IMA_ADPCM", 22050),
    "extensible.wav": ("WAVEX", "PCM_16", 44100),
    "sony.w64": ("W64", "PCM_16", 22050),
    "long.rf64": ("RF64", "PCM_16", 22050),
    "apple.aiff": ("AIFF", "PCM_16", 22050),
    "float.aifc": ("AIFF", "FLOAT", 22050),
    "sun.au": ("AU", "PCM_16", 22050),
    "core.caf": ("CAF", "PCM_16", 22050),
    "lossless.caf": ("CAF", "ALAC_16", 22050),
    "song.flac": ("FLAC", "PCM_16", 22050),
    "song24.flac": ("FLAC", "PCM_24", 44100),
    "song.ogg": ("OGG", "VORBIS", 22050),
    "song.mp3": ("MP3", "MPEG_LAYER_III", 44100),
    "opus.opus": ("OGG", "OPUS", 48000),
}
"""Container, encoding and rate in hertz, in the terms of libsndfile."""
CONTAINERS = {
    "aac.m4a": ("ipod", "aac", 44100),
    "lossless.m4a": ("ipod", "alac", 44100),
    "film.mp4": ("mp4", "aac", 44100),
    "film.mov": ("mov", "pcm_s16le", 22050),
    "film.mka": ("matroska", "pcm_s16le", 22050),
    "film.webm": ("webm", "libopus", 48000),
    "stream.aac": ("adts", "aac", 44100),
    "dolby.ac3": ("ac3", "ac3", 44100),
    "window.wma": ("asf", "wmav2", 44100),
    "pack.wv": ("wv", "wavpack", 22050),
    "true.tta": ("tta", "tta", 22050),
    "layer2.mp2": ("mp2", "mp2", 44100),
    "surround.mka": ("matroska", "aac", 44100),
}
"""Container, encoder and rate, in the terms of FFmpeg."""
SURROUND = {"surround.mka": "7.1"}


def write_sounds(folder: Path, seconds: float = 0.6) -> list[Path]:
    """Write what this machine has encoders for; returns the files, sorted."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(7)
    for name, (form, subtype, rate) in SOUND_FILES.items():
        samples = 0.1 * generator.standard_normal((round(seconds * rate), 2))
        soundfile.write(folder / name, samples, rate, format=form, subtype=subtype)
    for name, (form, codec, rate) in CONTAINERS.items():
        layout = SURROUND.get(name, "stereo")
        _encode(folder / name, form, codec, rate, layout, round(seconds * rate), generator)
    return sorted(folder.iterdir())


def _encode(
    path: Path, form: str, codec: str, rate: int, layout: str, length: int, generator: np.random.Generator
) -> None:
    try:
        av.codec.Codec(codec, "w")
    except (av.codec.codec.UnknownCodecError, ValueError):
        return
    with av.open(str(path), "w", format=form) as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        if form == "asf":
            stream.bit_rate = 128_000
        channels = stream.layout.nb_channels
        samples = (0.1 * 32767 * generator.standard_normal((1, length * channels))).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout=layout)
        frame.sample_rate = rate
        resampler = av.AudioResampler(
            format=stream.format, layout=layout, rate=rate, frame_size=stream.codec_context.frame_size or None
        )
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            for packet in stream.encode(piece):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
