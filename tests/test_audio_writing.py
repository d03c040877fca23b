"""Writing: files are whole or absent, and hold exactly what the encoding can hold."""

import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from auralflow.audio import AudioInfo, AudioWriter, probe, read_audio, write_audio, writing
from auralflow.audio.encoding import choose_encoding
from auralflow.errors import AudioError


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def noise(channels, frames, seed=0):
    return np.random.default_rng(seed).uniform(-0.9, 0.9, (channels, frames)).astype(np.float32)


@settings(max_examples=20, deadline=None)
@given(
    subtype=st.sampled_from(["FLOAT", "DOUBLE", "PCM_16", "PCM_24", "PCM_32", "PCM_U8"]),
    channels=st.integers(1, 8),
    cuts=st.lists(st.integers(0, 200), max_size=5),
    rate=st.sampled_from([8000, 44100, 192000]),
)
def test_blocks_written_are_the_samples_read(tmp_path_factory, subtype, channels, cuts, rate):
    path = tmp_path_factory.mktemp("writer") / "a.wav"
    audio = noise(channels, sum(cuts))
    with AudioWriter(path, rate, channels, subtype) as writer:
        for block in np.split(audio, np.cumsum(cuts), axis=1):
            writer.write(block)
    found, found_rate = read_audio(path)
    steps = {"PCM_16": 15, "PCM_24": 23, "PCM_32": 31, "PCM_U8": 7}
    allowed = 2.0 ** -(steps[subtype] + 1) + 1e-7 if subtype in steps else 0.0
    assert found.shape == audio.shape
    assert found_rate == rate
    assert np.abs(found - audio).max(initial=0) <= allowed


@pytest.mark.parametrize(
    ("name", "subtype", "bits"),
    [
        ("a.wav", "PCM_16", 16),
        ("a.flac", "PCM_16", 16),
        ("a.wav", "PCM_24", 24),
        ("a.flac", "PCM_24", 24),
        ("a.wav", "PCM_32", 32),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_integer_samples_survive_reading_and_writing_to_the_bit(tmp_path, name, subtype, bits, dtype):
    # A float32 holds 24 bits: of 32, it can keep the upper ones.
    held = 24 if dtype == "float32" else bits
    full = 2 ** (bits - 1)
    steps = np.random.default_rng(0).integers(-full, full, 5000)
    steps[:4] = -full, full - 1, 0, -1
    shifted = (steps << (32 - bits)).astype(np.int32) & -(1 << (32 - min(held, bits)))
    soundfile.write(tmp_path / name, shifted, 44100, subtype=subtype)
    audio, rate = read_audio(tmp_path / name, dtype=dtype)
    write_audio(tmp_path / f"again_{name}", audio, rate, subtype)
    again, _ = soundfile.read(tmp_path / f"again_{name}", dtype="int32")
    assert np.array_equal(again, shifted)


def test_integer_encodings_clip_instead_of_wrapping(tmp_path):
    write_audio(tmp_path / "a.wav", np.array([[1.0, 1.5, -1.5, 1e30]], dtype=np.float32), 8000, "PCM_16")
    values, _ = soundfile.read(tmp_path / "a.wav", dtype="int16")
    assert values.tolist() == [32767, 32767, -32768, 32767]


@pytest.mark.parametrize(
    ("name", "subtype"), [("a.ogg", "VORBIS"), ("a.opus", "OPUS"), ("a.mp3", "MPEG_LAYER_III")]
)
def test_lossy_formats_are_written(tmp_path, name, subtype):
    write_audio(tmp_path / name, noise(2, 5000), 48000, subtype)
    info = probe(tmp_path / name)
    assert (info.frames, info.channels, info.subtype) == (5000, 2, subtype)


def test_a_minute_of_vorbis_in_one_block_is_written(tmp_path):
    write_audio(tmp_path / "a.ogg", noise(2, 8000 * 60), 8000, "VORBIS")
    assert probe(tmp_path / "a.ogg").frames == 8000 * 60


@pytest.mark.parametrize(
    ("form", "subtype"), [("MP3", "MPEG_LAYER_III"), ("FLAC", "PCM_16"), ("OGG", "OPUS")]
)
def test_the_size_of_blocks_does_not_change_the_file_that_is_heard(tmp_path, form, subtype):
    audio = noise(2, 50000)
    for name, size in (("whole", 50000), ("blocks", 777)):
        with AudioWriter(tmp_path / name, 48000, 2, subtype, form) as writer:
            for start in range(0, 50000, size):
                writer.write(audio[:, start : start + size])
    assert np.array_equal(read_audio(tmp_path / "whole")[0], read_audio(tmp_path / "blocks")[0])


@pytest.mark.parametrize("interruption", [RuntimeError, KeyboardInterrupt, GeneratorExit])
def test_an_interrupted_write_leaves_nothing_and_keeps_the_old_file(tmp_path, interruption):
    path = tmp_path / "a.wav"

    def write_until_interrupted():
        with AudioWriter(path, 8000, 1) as writer:
            writer.write(noise(1, 50000))
            assert any(name.endswith(".part") for name in names(tmp_path))
            raise interruption

    for expected in ([], ["a.wav"]):
        with pytest.raises(interruption):
            write_until_interrupted()
        assert names(tmp_path) == expected
        path.write_bytes(b"old")
    assert path.read_bytes() == b"old"


def test_the_target_appears_only_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "a.wav"
    with AudioWriter(path, 8000, 1) as writer:
        writer.write(noise(1, 10))
        assert not path.exists()
    assert probe(path).frames == 10
    assert names(path.parent) == ["a.wav"]


@pytest.mark.parametrize(("name", "subtype"), [("a.wav", "FLOAT"), ("a.wav", "PCM_24"), ("a.flac", "PCM_16")])
def test_equal_audio_is_equal_bytes_at_another_time(tmp_path, name, subtype):
    audio = noise(2, 100)
    write_audio(tmp_path / name, audio, 8000, subtype)
    first = (tmp_path / name).read_bytes()
    # The time stamp of libsndfile counts seconds.
    time.sleep(1.01)
    write_audio(tmp_path / name, audio, 8000, subtype)
    assert (tmp_path / name).read_bytes() == first


@pytest.mark.parametrize("name", ["Ünïcödé 音楽.wav", "-a.wav", "A.WAV", "x" * 196 + ".wav"])
def test_unusual_names_are_written(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write_audio(tmp_path / name, noise(1, 5), 8000)
    assert names(tmp_path) == [name]


def test_a_wav_file_becomes_rf64_only_when_it_must(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "SIZE_LIMIT", 4000)
    for frames, form in ((500, "WAV"), (501, "RF64")):
        audio = noise(2, frames)
        write_audio(tmp_path / "a.wav", audio, 8000)
        assert probe(tmp_path / "a.wav").format == form
        assert np.array_equal(read_audio(tmp_path / "a.wav")[0], audio)


def test_an_unannounced_overflow_is_refused_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "SIZE_LIMIT", 4000)
    with AudioWriter(tmp_path / "a.wav", 8000, 2) as writer:
        writer.write(noise(2, 500))
    (tmp_path / "a.wav").unlink()
    with pytest.raises(AudioError, match="RF64"), AudioWriter(tmp_path / "a.wav", 8000, 2) as writer:
        writer.write(noise(2, 501))
    assert names(tmp_path) == []


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_are_not_numbers_are_not_written(tmp_path, bad):
    with pytest.raises(AudioError, match="NaN"):
        write_audio(tmp_path / "a.wav", np.array([[0.0, bad]], dtype=np.float32), 8000)
    assert names(tmp_path) == []


@pytest.mark.parametrize("shape", [(3, 10), (10,), (1, 2, 10)])
def test_a_block_of_the_wrong_shape_is_refused(tmp_path, shape):
    with pytest.raises(AudioError, match="shape"), AudioWriter(tmp_path / "a.wav", 8000, 2) as writer:
        writer.write(np.zeros(shape, dtype=np.float32))
    assert names(tmp_path) == []


def test_what_cannot_be_written_is_an_audio_error(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder.wav").mkdir()
    audio = noise(1, 10)
    with pytest.raises(AudioError, match=r"FLAC with FLOAT.*PCM_16"):
        write_audio(tmp_path / "a.flac", audio, 8000)
    with pytest.raises(AudioError, match=r"ending '\.xyz'"):
        write_audio(tmp_path / "a.xyz", audio, 8000)
    with pytest.raises(AudioError, match="12345 Hz, expected 48000 Hz"):
        write_audio(tmp_path / "a.opus", audio, 12345, "OPUS")
    with pytest.raises(AudioError, match="9 channels of FLAC"):
        write_audio(tmp_path / "a.flac", noise(9, 10), 8000, "PCM_16")
    with pytest.raises(AudioError, match="cannot write"):
        write_audio(tmp_path / "file" / "a.wav", audio, 8000)
    with pytest.raises(AudioError, match="directory"):
        write_audio(tmp_path / "folder.wav", audio, 8000)
    with pytest.raises(AudioError, match="cannot write"):
        write_audio(tmp_path / ("x" * 300 + ".wav"), audio, 8000)
    assert names(tmp_path) == ["file", "folder.wav"]


@pytest.mark.parametrize(("rate", "channels"), [(96000, 2), (44100, 3)])
def test_a_format_that_cannot_hold_a_song_is_refused_before_it_is_separated(rate, channels):
    info = AudioInfo(Path("song.wav"), rate, channels, 100, "WAV", "PCM_16")
    with pytest.raises(AudioError, match=r"mp3 cannot hold the stems of 'song\.wav'"):
        choose_encoding(info, "mp3")
    assert choose_encoding(info, "flac").subtype == "PCM_16"
