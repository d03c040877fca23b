"""Reading: the samples are the file's own, a part is a slice of the whole, and a broken file says so."""

import os
import struct
import subprocess
import sys
import tracemalloc
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from auralflow.audio import (
    AUDIO_SUFFIXES,
    check_finite,
    is_audio,
    probe,
    read_audio,
    stream_audio,
    write_audio,
)
from auralflow.errors import AudioError, NotFoundError, UsageError

RATE = 44100


def noise(channels, frames, seed=0):
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (channels, frames)).astype(np.float32)


def bursts(rate, frames=RATE * 2 + 123):
    """Two channels, each silent but for one windowed tone of 2000 samples, at 10000 and at 50000."""
    audio = np.zeros((2, frames), dtype=np.float32)
    tone = np.hanning(2000) * np.sin(2 * np.pi * 1000 * np.arange(2000) / rate) / 2
    audio[0, 10000:12000] = tone
    audio[1, 50000:52000] = tone
    return audio


def encode(path, codec, audio, rate=RATE, container=None, options=None):
    """Write with PyAV; ``audio`` is float [C, N]."""
    with av.open(path, "w", format=container, options=options or {}) as output:
        stream = output.add_stream(codec, rate=rate)
        stream.layout = "stereo"
        stream.bit_rate = 256000
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(audio), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        convert = av.AudioResampler(format=stream.format.name, frame_size=stream.codec_context.frame_size)
        for part in [*convert.resample(frame), *convert.resample(None), None]:
            for packet in stream.encode(part):
                output.mux(packet)


def lag(audio, reference, start, reach=3000):
    """Samples by which ``audio`` is later than ``reference``, by the peak of the cross-correlation."""
    part = reference[start : start + 2000]
    window = audio[start - reach : start + 2000 + reach]
    return int(np.argmax(np.correlate(window, part))) - reach


# name, format, subtype, step of the encoding (None: lossy)
LOSSLESS = [
    ("a.wav", "WAV", "FLOAT", 0.0),
    ("a.wav", "WAV", "PCM_16", 2.0**-15),
    ("a.wav", "WAV", "PCM_24", 2.0**-23),
    ("a.wav", "RF64", "FLOAT", 0.0),
    ("a.w64", "W64", "FLOAT", 0.0),
    ("a.flac", "FLAC", "PCM_16", 2.0**-15),
    ("a.flac", "FLAC", "PCM_24", 2.0**-23),
    ("a.aiff", "AIFF", "PCM_16", 2.0**-15),
    ("a.au", "AU", "FLOAT", 0.0),
]
LOSSY = [
    ("a.ogg", {"format": "OGG", "subtype": "VORBIS"}, 44100),
    ("a.opus", {"format": "OGG", "subtype": "OPUS"}, 48000),
    ("a.mp3", {"format": "MP3", "bitrate_mode": "CONSTANT"}, 44100),
    ("v.mp3", {"format": "MP3", "bitrate_mode": "VARIABLE", "compression_level": 0.4}, 44100),
]


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """One file per decoder: name -> path."""
    folder = tmp_path_factory.mktemp("samples")
    # Two seconds of tone before the noise: the bit rate varies.
    audio = np.concatenate([bursts(RATE), noise(2, 60000)], axis=1)
    paths = {}
    for name, form, subtype, _ in LOSSLESS:
        paths[f"{form} {subtype}"] = folder / f"{subtype}-{name}"
        soundfile.write(paths[f"{form} {subtype}"], audio.T, RATE, format=form, subtype=subtype)
    for name, how, rate in LOSSY:
        paths[name] = folder / name
        soundfile.write(paths[name], audio.T, rate, **how)
    for name, codec, container in [
        ("a.m4a", "aac", "ipod"),
        ("l.m4a", "alac", "ipod"),
        ("a.aac", "aac", "adts"),
    ]:
        paths[name] = folder / name
        encode(paths[name], codec, audio, container=container)
    paths["o.webm"] = folder / "o.webm"
    encode(paths["o.webm"], "libopus", audio, rate=48000)
    return paths


ALL = [f"{form} {subtype}" for _, form, subtype, _ in LOSSLESS] + [
    *(name for name, _, _ in LOSSY),
    *("a.m4a", "l.m4a", "a.aac", "o.webm"),
]


@pytest.mark.parametrize(("name", "form", "subtype", "step"), LOSSLESS)
@settings(max_examples=6, deadline=None)
@given(
    rate=st.sampled_from([8000, 11025, 22050, 44100, 48000, 96000, 192000]),
    channels=st.integers(1, 8),
    frames=st.integers(1, 300),
)
def test_lossless_files_give_back_their_samples(
    tmp_path_factory, name, form, subtype, step, rate, channels, frames
):
    path = tmp_path_factory.mktemp("lossless") / name
    audio = noise(channels, frames, seed=frames)
    soundfile.write(path, audio.T, rate, format=form, subtype=subtype)
    found, found_rate = read_audio(path)
    info = probe(path)
    assert found.dtype == np.float32
    assert found.shape == (channels, frames)
    assert found_rate == info.sample_rate == rate
    assert (info.channels, info.frames, info.format, info.subtype) == (channels, frames, form, subtype)
    assert info.seconds == frames / rate
    assert np.abs(found - audio).max() <= step


@pytest.mark.parametrize("name", ALL)
def test_probe_counts_what_stream_delivers(samples, name):
    delivered = sum(block.shape[1] for block in stream_audio(samples[name], block=5000))
    assert probe(samples[name]).frames == delivered == read_audio(samples[name])[0].shape[1]


@pytest.mark.parametrize("name", ALL)
def test_reading_a_part_equals_slicing_the_whole(samples, name):
    whole, _ = read_audio(samples[name])
    length = whole.shape[1]
    for start in (0, 1, 1151, 30739, 88000, length - 2000, length - 5, length - 1, length, length + 9):
        part, _ = read_audio(samples[name], start=start, frames=1500)
        assert np.array_equal(part, whole[:, start : start + 1500]), start


@pytest.mark.parametrize("name", ["WAV PCM_16", "FLAC PCM_16", "a.ogg", "v.mp3", "a.m4a", "o.webm"])
@settings(max_examples=5, deadline=None)
@given(
    block=st.integers(700, 200000), start=st.integers(0, 150000), frames=st.none() | st.integers(0, 150000)
)
def test_streaming_equals_reading_for_any_block_size(samples, name, block, start, frames):
    whole, _ = read_audio(samples[name], start=start, frames=frames)
    pieces = list(stream_audio(samples[name], block=block, start=start, frames=frames))
    assert all(piece.shape[1] == block for piece in pieces[:-1])
    assert all(0 < piece.shape[1] <= block for piece in pieces)
    joined = np.concatenate([np.zeros((2, 0), np.float32), *pieces], axis=1)
    assert np.array_equal(joined, whole)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["WAV PCM_16", "a.m4a"])
def test_sample_type_is_the_one_asked_for(samples, name, dtype):
    assert read_audio(samples[name], frames=10, dtype=dtype)[0].dtype == dtype
    assert next(stream_audio(samples[name], dtype=dtype)).dtype == dtype


def test_integers_of_32_bits_are_exact_in_float64(tmp_path):
    values = np.array([[2**31 - 1, -(2**31), 1, -1, 123456789]], dtype=np.int32)
    soundfile.write(tmp_path / "a.wav", values.T, RATE, subtype="PCM_32")
    found, _ = read_audio(tmp_path / "a.wav", dtype="float64")
    assert np.array_equal(found * 2.0**31, values)


@pytest.mark.parametrize(
    ("name", "codec", "container", "rate"),
    [
        ("a.m4a", "aac", "ipod", 44100),
        ("a.mp4", "aac", "mp4", 48000),
        ("l.m4a", "alac", "ipod", 44100),
        ("o.webm", "libopus", "webm", 48000),
        ("f.mka", "flac", "matroska", 44100),
        ("m.mka", "libmp3lame", "matroska", 44100),
    ],
)
def test_containers_keep_length_and_alignment(tmp_path, name, codec, container, rate):
    audio = bursts(rate)
    encode(tmp_path / name, codec, audio, rate=rate, container=container)
    found, found_rate = read_audio(tmp_path / name)
    assert found_rate == rate
    assert found.shape == audio.shape
    assert lag(found[0], audio[0], 10000) == 0
    assert lag(found[1], audio[1], 50000) == 0
    assert np.abs(found - audio).max() < 0.05


@pytest.mark.parametrize(("name", "how", "rate"), LOSSY)
def test_lossy_sound_files_keep_length_and_alignment(tmp_path, name, how, rate):
    audio = bursts(rate)
    soundfile.write(tmp_path / name, audio.T, rate, **how)
    found, _ = read_audio(tmp_path / name)
    assert found.shape == audio.shape
    assert lag(found[0], audio[0], 10000) == 0
    assert lag(found[1], audio[1], 50000) == 0


def test_variable_mp3_without_a_frame_count_is_read_to_its_end(tmp_path):
    # A quiet first half makes a guess from the first frame's bit rate far too short or too long.
    audio = np.concatenate([np.zeros((2, RATE * 2), np.float32), noise(2, RATE * 2)], axis=1)
    path = tmp_path / "a.mp3"
    soundfile.write(path, audio.T, RATE, format="MP3", bitrate_mode="VARIABLE", compression_level=0.2)
    content = path.read_bytes()
    assert b"Xing" in content[:200]
    path.write_bytes(content[content.index(b"\xff\xfb", 4) :])
    info = probe(path)
    assert abs(info.frames - audio.shape[1]) < 4 * 1152
    assert sum(block.shape[1] for block in stream_audio(path)) == info.frames
    found, _ = read_audio(path)
    assert np.abs(found[:, -RATE:]).max() > 0.1


@pytest.mark.parametrize("form", ["WAV", "AIFF", "OGG"])
def test_a_valid_file_without_samples_gives_an_empty_array(tmp_path, form):
    soundfile.write(tmp_path / "a", np.zeros((0, 3)), RATE, format=form)
    audio, rate = read_audio(tmp_path / "a")
    assert (audio.shape, audio.dtype, rate) == ((3, 0), np.dtype(np.float32), RATE)
    assert list(stream_audio(tmp_path / "a")) == []
    assert probe(tmp_path / "a").frames == 0


def test_content_and_not_the_name_decides_the_format(samples, tmp_path):
    for source, name in (("FLAC PCM_16", "really_flac.mp3"), ("a.m4a", "really_aac.wav"), ("a.ogg", "none")):
        (tmp_path / name).write_bytes(samples[source].read_bytes())
        expected = probe(samples[source])
        found = probe(tmp_path / name)
        assert (found.frames, found.format) == (expected.frames, expected.format)


@pytest.mark.parametrize(
    "name",
    ["Ünïcödé 音楽 🎵.wav", "-i.wav", "-", "A.WAV", "x" * 196 + ".wav", "http:a.wav", "a%d.wav", "a'b c.wav"],
)
@pytest.mark.parametrize("source", ["WAV PCM_16", "a.m4a"])
def test_unusual_names_are_read(samples, tmp_path, monkeypatch, name, source):
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(samples[source].read_bytes())
    assert read_audio(Path(name), frames=100)[0].shape == (2, 100)


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_a_name_that_is_not_text_is_read(samples, tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.wav")
    path.write_bytes(samples["WAV PCM_16"].read_bytes())
    assert probe(path).frames == probe(samples["WAV PCM_16"]).frames


def test_names_of_audio_are_known_in_any_case():
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in AUDIO_SUFFIXES)
    for name in ("a.wav", "A.WAV", "b.Flac", "c.stem.mp4", "d.M4A", "e.opus", "f.mp3"):
        assert is_audio(Path(name))
    for name in ("wav", ".wav", "a.wav.part", "a.txt", "a"):
        assert not is_audio(Path(name))


def test_a_missing_file_is_not_found(tmp_path):
    for read in (probe, read_audio, lambda path: list(stream_audio(path))):
        with pytest.raises(NotFoundError, match=r"none\.wav"):
            read(tmp_path / "none.wav")


def test_what_is_not_audio_is_named_in_one_line(tmp_path):
    (tmp_path / "text.mp3").write_text("no music, only words\n" * 200)
    (tmp_path / "text.raw").write_text("no music, only words\n" * 200)
    (tmp_path / "empty.wav").touch()
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "random.flac").write_bytes(np.random.default_rng(0).bytes(5000))
    for name in ("text.mp3", "text.raw", "empty.wav", "folder.wav", "random.flac"):
        with pytest.raises(AudioError, match=name) as caught:
            probe(tmp_path / name)
        message = str(caught.value)
        assert "found" in message
        assert "expected" in message
        assert "\n" not in message


def test_a_named_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(AudioError, match="not a regular file"):
        probe(tmp_path / "pipe.wav")


def test_a_file_that_may_not_be_read_is_an_audio_error(samples, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(AudioError, match="Permission denied"):
        probe(samples["WAV PCM_16"])


def test_a_video_without_sound_is_refused(tmp_path):
    with av.open(tmp_path / "silent.mp4", "w") as output:
        stream = output.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        for part in (av.VideoFrame(32, 32, "yuv420p"), None):
            for packet in stream.encode(part):
                output.mux(packet)
    with pytest.raises(AudioError, match="no audio stream"):
        probe(tmp_path / "silent.mp4")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_numbers_are_refused(tmp_path, value):
    audio = noise(2, 1000)
    audio[1, 700] = value
    soundfile.write(tmp_path / "a.wav", audio.T, RATE, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"a\.wav.*1 samples that are NaN or infinite"):
        read_audio(tmp_path / "a.wav")
    with pytest.raises(AudioError, match="NaN"):
        list(stream_audio(tmp_path / "a.wav", block=300))
    with pytest.raises(AudioError, match="NaN"):
        check_finite(audio, tmp_path / "a.wav")
    assert read_audio(tmp_path / "a.wav", frames=700)[0].shape == (2, 700)


@pytest.mark.parametrize(
    "name",
    [
        "WAV FLOAT",
        "WAV PCM_16",
        "WAV PCM_24",
        "RF64 FLOAT",
        "AIFF PCM_16",
        "AU FLOAT",
        "W64 FLOAT",
        "a.ogg",
        "a.opus",
    ],
)
def test_a_truncated_file_is_refused_at_once_where_its_header_tells(samples, tmp_path, name):
    content = samples[name].read_bytes()
    (tmp_path / "cut").write_bytes(content[: len(content) * 6 // 10 + 1])
    with pytest.raises(AudioError, match=r"ends early: found \d+ samples.*expected"):
        probe(tmp_path / "cut")
    with pytest.raises(AudioError, match="ends early"):
        read_audio(tmp_path / "cut", frames=10)


@pytest.mark.parametrize("name", ["FLAC PCM_16", "v.mp3", "a.m4a"])
def test_a_truncated_file_is_refused_where_it_ends(samples, tmp_path, name):
    path = samples[name]
    if name == "a.m4a":
        # The index has to come first, or nothing of the file can be read.
        path = tmp_path / "index_first.m4a"
        encode(path, "aac", bursts(RATE), container="ipod", options={"movflags": "faststart"})
    content = path.read_bytes()
    (tmp_path / "cut").write_bytes(content[: len(content) * 6 // 10])
    with pytest.raises(AudioError, match="truncated or damaged"):
        read_audio(tmp_path / "cut")
    assert read_audio(tmp_path / "cut", frames=4000)[0].shape == (2, 4000)


def test_a_file_cut_down_to_its_header_is_refused(samples, tmp_path):
    (tmp_path / "a.wav").write_bytes(samples["WAV PCM_16"].read_bytes()[:44])
    with pytest.raises(AudioError, match="ends early"):
        probe(tmp_path / "a.wav")


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000])
def test_a_wav_file_whose_header_leaves_the_length_open_is_read(samples, tmp_path, size):
    content = bytearray(samples["WAV PCM_16"].read_bytes())
    place = content.index(b"data") + 4
    content[place : place + 4] = struct.pack("<I", size)
    (tmp_path / "a.wav").write_bytes(content)
    assert probe(tmp_path / "a.wav").frames == probe(samples["WAV PCM_16"]).frames


def test_negative_ranges_and_empty_blocks_are_refused(samples):
    path = samples["WAV PCM_16"]
    for ask in (
        lambda: read_audio(path, start=-1),
        lambda: read_audio(path, frames=-1),
        lambda: list(stream_audio(path, block=0)),
    ):
        with pytest.raises(UsageError):
            ask()


def test_what_write_audio_writes_read_audio_reads(tmp_path):
    audio = noise(2, 777)
    write_audio(tmp_path / "a.wav", audio, RATE)
    assert np.array_equal(read_audio(tmp_path / "a.wav")[0], audio)


@pytest.mark.parametrize("name", ["long.wav", "long.m4a"])
def test_streaming_a_long_file_takes_no_more_memory_than_a_short_one(tmp_path, name):
    peaks = []
    for seconds in (5, 40):
        audio = noise(2, RATE * seconds)
        if name == "long.wav":
            write_audio(tmp_path / name, audio, RATE)
        else:
            encode(tmp_path / name, "alac", audio, container="ipod")
        tracemalloc.start()
        for _ in stream_audio(tmp_path / name, block=16384):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0] + 100_000


def test_importing_loads_neither_torch_nor_ffmpeg():
    code = "import sys, auralflow.audio; print({'torch', 'av'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
