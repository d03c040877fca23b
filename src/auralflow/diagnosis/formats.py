"""Checks formats by writing and reading short audio, and several minutes of Opus from several encoders."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from auralflow.audio import Audio, AudioWriter, read_audio, write_audio
from auralflow.audio.formats import FORMATS, STEM_FORMATS
from auralflow.diagnosis.checks import Check
from auralflow.errors import AuralflowError

if TYPE_CHECKING:
    from av import AudioStream

__all__ = ["check_formats"]

RATE = 48000
WRITTEN = {name: FORMATS[name].natural_subtype("PCM_16") for name in STEM_FORMATS}
"""Stem formats, and an encoding of each."""
MINUTES = 2.0
"""Length of the Opus files: some decoders only fail on long ones."""
SIMILARITY = 0.99
LONGEST_PADDING = 4096


@dataclass(frozen=True)
class _Trial:
    """Audio to encode and decode.

    Attributes:
        name: Name of the check.
        suffix: Extension of the file.
        make: Writes the audio; returns a description, or an empty string if the format cannot be tested.
        seconds: Length of the audio in seconds.
    """

    name: str
    suffix: str
    make: Callable[[Path, Audio], str]
    seconds: float = 0.5


def _trials() -> list[_Trial]:
    return [
        *(_Trial(name, name, _write(subtype)) for name, subtype in WRITTEN.items()),
        _Trial("webm", "webm", _encode("libopus")),
        _Trial("mka", "mka", _encode("ac3")),
        _Trial("wma", "wma", _encode("wmav2", b="128000")),
        _Trial("opus of several minutes", "opus", _encode("libopus", compression_level="0"), 60 * MINUTES),
        _Trial("opus by libsndfile", "opus", _write_by_libsndfile, 60 * MINUTES),
        _Trial("opus by FFmpeg alone", "opus", _encode("opus", strict="experimental"), 60 * MINUTES),
    ]


def check_formats() -> list[Check]:
    """Write and read half a second of audio in each format, and minutes of Opus from each encoder.

    Returns:
        A check for each output format, then for some input formats. If FFmpeg lacks the encoder for a test
        file, the check is a note.

    Example:
        >>> check_formats()[0]
        Check(group='codecs', name='wav', state='ok', found='written and read', advice='')
    """
    with tempfile.TemporaryDirectory(prefix="auralflow-") as folder:
        return [_check(Path(folder), trial) for trial in _trials()]


def _sound(seconds: float) -> Audio:
    """Channels with a sweep every half second, so that any misplaced sample shows."""
    time = np.arange(RATE // 2) / RATE
    rises = [np.sin(2 * np.pi * (pitch + 1000 * time) * time) * np.hanning(len(time)) for pitch in (300, 500)]
    if seconds > 1:
        rises.pop()
    return np.tile(np.stack(rises).astype(np.float32) / 4, round(2 * seconds))


def _check(folder: Path, trial: _Trial) -> Check:
    path = folder / f"sound.{trial.suffix}"
    sound = _sound(trial.seconds)
    try:
        found = trial.make(path, sound)
        if not found:
            return Check("codecs", trial.name, "note", "not tried: FFmpeg has no encoder for a test file")
        read, rate = read_audio(path)
    except (AuralflowError, OSError, ImportError) as error:
        advice = 'Run: pip install --force-reinstall "av>=14" "soundfile>=0.13"'
        return Check("codecs", trial.name, "problem", " ".join(str(error).split()), advice)
    if rate != RATE or not _is_same(read, sound):
        text = f"{read.shape[1]} samples of another signal at {rate} Hz instead of {sound.shape[1]} at {RATE}"
        return Check("codecs", trial.name, "problem", text, "Use another format, and report this.")
    return Check("codecs", trial.name, "ok", found)


def _is_same(read: Audio, sound: Audio) -> bool:
    """Whether the audio was decoded correctly, up to coding errors and padding."""
    if read.shape[0] != sound.shape[0] or abs(read.shape[1] - sound.shape[1]) > LONGEST_PADDING:
        return False
    size = RATE
    spectra = np.fft.rfft(read[:, : size // 2], size), np.fft.rfft(sound[:, : size // 2], size)
    lag = int(np.argmax(np.fft.irfft(spectra[0] * spectra[1].conj(), size).sum(axis=0)))
    lag -= size * (lag > size // 2)
    late, early = read[:, max(lag, 0) :], sound[:, max(-lag, 0) :]
    length = min(late.shape[1], early.shape[1])
    likeness = np.einsum("cn,cn->c", late[:, :length], early[:, :length])
    norms = np.linalg.norm(read, axis=1) * np.linalg.norm(sound, axis=1)
    return abs(lag) <= LONGEST_PADDING and bool((likeness >= SIMILARITY * norms).all())


def _write(subtype: str) -> Callable[[Path, Audio], str]:
    def make(path: Path, sound: Audio) -> str:
        write_audio(path, sound, RATE, subtype=subtype)
        return "written and read"

    return make


def _write_by_libsndfile(path: Path, sound: Audio) -> str:
    with AudioWriter(path, RATE, len(sound), "OPUS", "OGG") as writer:
        writer.write(sound)
    return "read"


def _encode(codec: str, **options: str) -> Callable[[Path, Audio], str]:
    def make(path: Path, sound: Audio) -> str:
        import av  # noqa: PLC0415 - a broken FFmpeg is a finding, not a crash

        if codec not in av.codecs_available:
            return ""
        layout = "mono" if len(sound) == 1 else "stereo"
        try:
            with av.open(str(path), "w") as container:
                stream = cast("AudioStream", container.add_stream(codec, rate=RATE, layout=layout))
                encoder = stream.codec_context
                if options:
                    encoder.options = options
                encoder.open()
                convert = av.AudioResampler(
                    format=encoder.format.name, layout=layout, rate=RATE, frame_size=encoder.frame_size
                )
                frame = av.AudioFrame.from_ndarray(sound, format="fltp", layout=layout)
                frame.sample_rate = RATE
                for part in (*convert.resample(frame), *convert.resample(None), None):
                    container.mux(stream.encode(part))
        except av.error.FFmpegError:
            return ""
        return "read"

    return make
