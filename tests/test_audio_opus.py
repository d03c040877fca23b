"""Opus: files of several encoders are read whole, to the sample."""

import struct

import av
import numpy as np
import pytest
import soundfile
from audio_files import encode, noise, ogg_file, ogg_pages

from auralflow.audio import probe, read_audio, stream_audio
from auralflow.errors import AudioError

RATE = 48000


def by_libsndfile(path, audio):
    soundfile.write(path, audio.T, RATE, format="OGG", subtype="OPUS")


def by_ffmpeg(codec="libopus", **options):
    def write(path, audio):
        layout = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}[len(audio)]
        encode(path, codec, audio, container="ogg", layout=layout, options=options)

    return write


ENCODERS = {
    "libsndfile": by_libsndfile,
    "ffmpeg": by_ffmpeg(),
    "ffmpeg, 2.5 ms": by_ffmpeg(frame_duration="2.5", application="lowdelay"),
    "ffmpeg, 60 ms": by_ffmpeg(frame_duration="60"),
    "ffmpeg's own": by_ffmpeg("opus", strict="experimental"),
}


def tone(frames, channels=2):
    """A tone that rises and swells, and so is like itself in one place only."""
    swell = np.hanning(frames) * np.sin((np.arange(frames) / 800) ** 2)
    return np.tile(swell, (channels, 1)).astype(np.float32) / 2


@pytest.mark.parametrize("frames", [1, 959, 960, 961, 5000, 100001])
@pytest.mark.parametrize("encoder", ENCODERS)
def test_the_length_is_exact_and_everything_is_in_its_place(tmp_path, encoder, frames):
    if "own" in encoder and "opus" not in av.codecs_available:
        pytest.skip("this FFmpeg has no encoder of its own")
    audio = tone(frames)
    ENCODERS[encoder](tmp_path / "a.opus", audio)
    info = probe(tmp_path / "a.opus")
    found, rate = read_audio(tmp_path / "a.opus")
    assert (info.frames, info.format, info.subtype, rate) == (frames, "OGG", "OPUS", RATE)
    assert found.shape == audio.shape
    if frames == 100001:
        likeness = np.fft.irfft(np.fft.rfft(found[0]) * np.fft.rfft(audio[0]).conj(), frames)
        assert np.argmax(likeness) == 0
        assert np.abs(found - audio).max() < 0.1


def test_minutes_are_read_whole(tmp_path):
    audio = noise(1, 70 * RATE + 7) / 8
    for number, write in enumerate((by_ffmpeg(compression_level="0"), by_libsndfile)):
        write(tmp_path / f"{number}.opus", audio)
        assert probe(tmp_path / f"{number}.opus").frames == audio.shape[1]
        assert sum(block.shape[1] for block in stream_audio(tmp_path / f"{number}.opus")) == audio.shape[1]


@pytest.mark.parametrize(
    ("family", "channels"), [("-1", 1), ("-1", 2), ("1", 6), ("1", 8), ("255", 8), ("255", 2)]
)
def test_every_way_to_map_channels_is_read(tmp_path, family, channels):
    audio = tone(30000, channels) * np.linspace(0.2, 1, channels, dtype=np.float32)[:, None]
    by_ffmpeg(mapping_family=family)(tmp_path / "a.opus", audio)
    found, _ = read_audio(tmp_path / "a.opus")
    assert found.shape == audio.shape
    assert np.allclose(np.abs(found).max(axis=1), np.abs(audio).max(axis=1), atol=0.08)


def test_a_part_is_a_slice_of_the_whole(tmp_path):
    by_ffmpeg()(tmp_path / "a.opus", noise(2, 100001) / 4)
    whole, _ = read_audio(tmp_path / "a.opus")
    for start in (0, 1, 647, 30001, 99990, 100000, 100001, 200000):
        part, _ = read_audio(tmp_path / "a.opus", start=start, frames=500)
        assert np.array_equal(part, whole[:, start : start + 500])
    parts = list(stream_audio(tmp_path / "a.opus", block=7777, start=5))
    assert np.array_equal(np.concatenate(parts, axis=1), whole[:, 5:])


def test_a_stream_that_was_cut_out_of_a_longer_one_begins_with_its_first_sample(tmp_path):
    by_ffmpeg()(tmp_path / "a.opus", noise(2, 100001) / 4)
    whole, _ = read_audio(tmp_path / "a.opus")
    pages = ogg_pages((tmp_path / "a.opus").read_bytes())
    for page in pages[2:]:
        page[6:14] = struct.pack("<q", struct.unpack("<q", page[6:14])[0] + 10**9)
    (tmp_path / "a.opus").write_bytes(ogg_file(pages))
    assert probe(tmp_path / "a.opus").frames == 100001
    assert np.array_equal(read_audio(tmp_path / "a.opus")[0], whole)


def test_a_page_that_is_missing_is_noticed(tmp_path):
    by_ffmpeg()(tmp_path / "a.opus", noise(2, 200000) / 4)
    pages = ogg_pages((tmp_path / "a.opus").read_bytes())
    (tmp_path / "a.opus").write_bytes(b"".join(pages[:3] + pages[4:]))
    with pytest.raises(AudioError, match="ends early"):
        read_audio(tmp_path / "a.opus")


def test_an_opus_file_without_sound_is_empty(tmp_path):
    by_libsndfile(tmp_path / "a.opus", noise(2, 1000))
    pages = ogg_pages((tmp_path / "a.opus").read_bytes())
    # All of its one packet is before the sound.
    pages[-1][6:14] = pages[0][28 + 10 : 28 + 12] + bytes(6)
    (tmp_path / "a.opus").write_bytes(ogg_file(pages))
    assert probe(tmp_path / "a.opus").frames == 0
    assert read_audio(tmp_path / "a.opus")[0].shape == (2, 0)
