"""Formats: each is really written and read, with a short tone."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from auralflow.audio import Audio, read_audio, write_audio
from auralflow.diagnosis.checks import Check
from auralflow.errors import AuralflowError

if TYPE_CHECKING:
    from av import AudioStream

__all__ = ["check_formats"]

RATE = 48000
WRITTEN = {"wav": "PCM_16", "flac": "PCM_16", "ogg": "VORBIS", "mp3": "MPEG_LAYER_III"}
"""Formats of stems, and an encoding of each."""
READ_ONLY = {"m4a": "aac", "opus": "libopus", "webm": "libopus", "mka": "ac3", "wma": "wmav2"}
"""Endings of files that are only read, and the codec to make one with."""
SIMILARITY = 0.99
LONGEST_PADDING = 4096


def check_formats() -> list[Check]:
    """Write and read a tone of half a second in each format.

    Returns:
        A check for each format that stems can be written in, then for some that songs may come in. Where
        FFmpeg was built without the encoder that would make a test file, the check is a note.

    Example:
        >>> check_formats()[0]
        Check(group='codecs', name='wav', state='ok', found='written and read', advice='')
    """
    seconds = np.arange(RATE // 2) / RATE
    tone = np.stack([np.sin(2 * np.pi * pitch * seconds) for pitch in (440, 660)]).astype(np.float32) / 4
    with tempfile.TemporaryDirectory(prefix="auralflow-") as folder:
        checks = [_check(Path(folder), name, tone, _write) for name in WRITTEN]
        checks += [_check(Path(folder), name, tone, _encode) for name in READ_ONLY]
    return checks


def _check(folder: Path, name: str, tone: Audio, make: Callable[[Path, Audio], str]) -> Check:
    path = folder / f"tone.{name}"
    try:
        found = make(path, tone)
        if not found:
            return Check("codecs", name, "note", "not tried: FFmpeg has no encoder for a test file")
        read, rate = read_audio(path)
    except (AuralflowError, OSError, ImportError) as error:
        advice = 'Run: pip install --force-reinstall "av>=14" "soundfile>=0.13"'
        return Check("codecs", name, "problem", " ".join(str(error).split()), advice)
    if rate != RATE or not _is_same(read, tone):
        text = f"{read.shape[1]} samples of another signal at {rate} Hz instead of {tone.shape[1]} at {RATE}"
        return Check("codecs", name, "problem", text, "Use another format, and report this.")
    return Check("codecs", name, "ok", found)


def _is_same(read: Audio, tone: Audio) -> bool:
    """Whether the tone came back, give or take what codecs do to it and put before and after it."""
    if read.shape[0] != tone.shape[0] or abs(read.shape[1] - tone.shape[1]) > LONGEST_PADDING:
        return False
    size = 2 * max(read.shape[1], tone.shape[1])
    spectra = np.fft.rfft(read, size), np.fft.rfft(tone, size)
    likeness = np.fft.irfft(spectra[0] * spectra[1].conj(), size).max(axis=1)
    norms = np.linalg.norm(read, axis=1) * np.linalg.norm(tone, axis=1)
    return bool((likeness >= SIMILARITY * norms).all())


def _write(path: Path, tone: Audio) -> str:
    write_audio(path, tone, RATE, subtype=WRITTEN[path.suffix[1:]])
    return "written and read"


def _encode(path: Path, tone: Audio) -> str:
    import av  # noqa: PLC0415 - a broken FFmpeg shall be a finding, not the end

    codec = READ_ONLY[path.suffix[1:]]
    if codec not in av.codecs_available:
        return ""
    try:
        with av.open(str(path), "w") as container:
            stream = cast("AudioStream", container.add_stream(codec, rate=RATE, layout="stereo"))
            frame = av.AudioFrame.from_ndarray(tone, format="fltp", layout="stereo")
            frame.sample_rate = RATE
            encoder = stream.codec_context
            encoder.open()
            convert = av.AudioResampler(
                format=encoder.format.name, layout="stereo", rate=RATE, frame_size=encoder.frame_size
            )
            for part in (*convert.resample(frame), *convert.resample(None), None):
                container.mux(stream.encode(part))
    except av.error.FFmpegError:
        return ""
    return "read"
