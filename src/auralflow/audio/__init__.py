"""Reading, writing and resampling audio.

Audio is a numpy array ``[C, N]`` (channel, sample) with full scale at 1.0. Nothing here loads torch.

Example:
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from auralflow.audio import read_audio, write_audio
    >>> path = Path(tempfile.mkdtemp()) / "tone.wav"
    >>> write_audio(path, np.zeros((2, 100), dtype=np.float32), 44100)
    >>> audio, rate = read_audio(path)
    >>> audio.shape, rate
    ((2, 100), 44100)
"""

from typing import TYPE_CHECKING

from auralflow.lazy import load_later

if TYPE_CHECKING:
    from auralflow.audio.checks import Audio, SampleType, check_finite, check_readable
    from auralflow.audio.reading import AUDIO_SUFFIXES, AudioInfo, is_audio, probe, read_audio, stream_audio
    from auralflow.audio.resampling import StreamResampler, resample, resample_stream, resampled_length
    from auralflow.audio.tags import read_tags
    from auralflow.audio.writing import AudioWriter, write_audio

__all__ = [
    "AUDIO_SUFFIXES",
    "Audio",
    "AudioInfo",
    "AudioWriter",
    "SampleType",
    "StreamResampler",
    "check_finite",
    "check_readable",
    "is_audio",
    "probe",
    "read_audio",
    "read_tags",
    "resample",
    "resample_stream",
    "resampled_length",
    "stream_audio",
    "write_audio",
]

_MODULES = {
    "checks": "Audio SampleType check_finite check_readable",
    "reading": "AUDIO_SUFFIXES AudioInfo is_audio probe read_audio stream_audio",
    "resampling": "StreamResampler resample resample_stream resampled_length",
    "tags": "read_tags",
    "writing": "AudioWriter write_audio",
}
_PLACES = {name: f"{__name__}.{module}" for module, names in _MODULES.items() for name in names.split()}

# Imported on demand: settings read the table of formats, which must not load codecs.
if not TYPE_CHECKING:  # see `load_later`
    __getattr__, __dir__ = load_later(__name__, _PLACES, __all__)
