"""Files of strangers: whatever is wrong with one is one line about it, and what is not wrong is read."""

import logging
import os
import struct

import numpy as np
import pytest
import soundfile
from audio_files import encode, noise, ogg_file, ogg_pages

from auralflow.audio import (
    check_readable,
    probe,
    read_audio,
    read_tags,
    resample,
    resample_stream,
    sources,
    stream_audio,
    write_audio,
)
from auralflow.audio.sound_files import SoundFileSource
from auralflow.errors import AudioError, NotFoundError

RATE = 44100


def fails(path, match=None):
    """Everything that reads samples refuses a file, in one line that names it."""
    for read in (probe, read_audio, lambda path: list(stream_audio(path))):
        with pytest.raises(AudioError, match=match) as caught:
            read(path)
        assert path.name in str(caught.value)
        assert "\n" not in str(caught.value)
    read_tags(path)


def changed(path, place, value):
    content = bytearray(path.read_bytes())
    content[place : place + len(value)] = value
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("name", "codec", "layout", "channels"),
    [
        ("x.m4a", "aac", "7.1", 8),
        ("x.mka", "flac", "7.1", 8),
        ("x.mka", "pcm_s16le", "hexadecagonal", 16),
        ("x.tta", "tta", "7.1", 8),
        ("x.wv", "wavpack", "6.1", 7),
    ],
)
def test_files_of_many_channels_are_read(tmp_path, name, codec, layout, channels):
    audio = noise(channels, 20000)
    encode(tmp_path / name, codec, audio, layout=layout)
    found, _ = read_audio(tmp_path / name)
    assert found.shape == audio.shape
    if codec in ("flac", "pcm_s16le"):
        assert np.abs(found - audio).max() < 2**-14


@pytest.mark.parametrize(("layout", "channels"), [("6.1", 7), ("7.1", 8)])
def test_a_file_that_ends_its_decoder_is_an_error_of_that_file(tmp_path, layout, channels):
    encode(tmp_path / "x.mov", "pcm_s16le", noise(channels, 20000), layout=layout)
    encode(tmp_path / "good.m4a", "aac", noise(2, 20000))
    # PyAV 18 frees the custom order of these channels twice. A version that does not may read the file.
    try:
        assert read_audio(tmp_path / "x.mov")[0].shape == (channels, 20000)
    except AudioError as error:
        assert "a decoder that crashed" in str(error)  # noqa: PT017 - either is right
    assert read_audio(tmp_path / "good.m4a")[0].shape == (2, 20000)


@pytest.mark.parametrize("share", [0.03, 0.3])
def test_a_flac_cut_before_or_in_its_frames_fails(tmp_path, share):
    soundfile.write(tmp_path / "a.flac", noise(1, 20000).T, RATE)
    content = (tmp_path / "a.flac").read_bytes()
    (tmp_path / "a.flac").write_bytes(content[: int(len(content) * share)])
    with pytest.raises(AudioError, match="truncated or damaged"):
        read_audio(tmp_path / "a.flac")


def test_a_bit_that_flips_in_a_flac_is_found(tmp_path):
    soundfile.write(tmp_path / "a.flac", noise(1, 20000).T, RATE)
    content = (tmp_path / "a.flac").read_bytes()
    for place in range(len(content) // 3, len(content), len(content) // 20):
        changed(tmp_path / "a.flac", place, bytes([content[place] ^ 1]))
        with pytest.raises(AudioError):
            read_audio(tmp_path / "a.flac")
        (tmp_path / "a.flac").write_bytes(content)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (20, b"\xff\xff"),  # the codec
        (34, b"\0\0"),  # bits per sample
    ],
)
def test_a_codec_that_nobody_knows_is_an_error(tmp_path, place, value):
    soundfile.write(tmp_path / "a.wav", noise(1, 2000).T, RATE)
    fails(changed(tmp_path / "a.wav", place, value), "cannot read")


def test_letters_that_are_no_text_do_not_matter(tmp_path):
    encode(tmp_path / "a.m4a", "aac", noise(2, 20000), container="ipod")
    changed(tmp_path / "a.m4a", 9, b"\xe9")
    assert probe(tmp_path / "a.m4a").frames == 20000
    assert read_tags(tmp_path / "a.m4a") == {}


@pytest.mark.parametrize(
    "raised",
    [
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
        AttributeError("no such thing"),
        MemoryError(),
        OSError(5, "Input/output error"),
        RecursionError("too deep"),
        ValueError("negative dimensions"),
        soundfile.LibsndfileError(1),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("method", ["read", "seek", "__init__"])
def test_whatever_a_decoder_raises_is_one_line(tmp_path, monkeypatch, method, raised):
    write_audio(tmp_path / "a.wav", noise(1, 100), RATE)

    def fail(*_, **__):
        raise raised

    monkeypatch.setattr(soundfile.SoundFile, method, fail)
    monkeypatch.setattr(soundfile.SoundFile, "__del__", lambda _: None, raising=False)
    if method == "__init__" and isinstance(raised, soundfile.LibsndfileError):
        # This means that libsndfile does not know the format: FFmpeg has its turn.
        assert read_audio(tmp_path / "a.wav")[0].shape == (1, 100)
        return
    with pytest.raises(AudioError, match=r"a\.wav") as caught:
        read_audio(tmp_path / "a.wav")
    assert caught.value.__cause__ is raised
    assert "write" not in str(caught.value)


def test_what_is_no_regular_file_is_refused_before_it_is_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "linked.wav").symlink_to(tmp_path / "pipe.wav")
    (tmp_path / "zero.wav").symlink_to("/dev/zero")
    (tmp_path / "loop.wav").symlink_to(tmp_path / "loop.wav")
    for name in ("pipe.wav", "linked.wav", "zero.wav", "loop.wav"):
        for read in (check_readable, probe, read_audio, read_tags):
            with pytest.raises(AudioError, match=name):
                read(tmp_path / name)
    with pytest.raises(NotFoundError):
        check_readable(tmp_path / "none.wav")


def _last_page(content):
    return content.rfind(b"OggS")


OGG = [("a.ogg", "VORBIS"), ("a.opus", "OPUS"), ("a.oga", "flac")]


@pytest.fixture(params=OGG, ids=lambda kind: kind[1])
def ogg(request, tmp_path):
    """A good file of each codec in Ogg, with two seconds of sound."""
    name, codec = request.param
    audio = noise(2, 96000) / 4
    if codec == "flac":
        return encode(tmp_path / name, "flac", audio, container="ogg")
    soundfile.write(tmp_path / name, audio.T, 48000, format="OGG", subtype=codec)
    return tmp_path / name


def test_damage_in_the_last_page_of_an_ogg_is_found(ogg):
    content = ogg.read_bytes()
    last = _last_page(content)
    # The mark of a page, its flags, its position, its checksum, its sizes, its sound and its last byte.
    for place in (last, last + 5, last + 6, last + 22, last + 26, last + 27, last + 300, len(content) - 1):
        changed(ogg, place, bytes([content[place] ^ 4]))
        fails(ogg, "ends early")
        ogg.write_bytes(content)
    for cut in (1, len(content) - last - 1, len(content) - last - 100):
        ogg.write_bytes(content[:-cut])
        fails(ogg, "ends early")


def test_damage_inside_an_ogg_is_found(ogg):
    content = ogg.read_bytes()
    pages = ogg_pages(content)
    place = len(b"".join(pages[: len(pages) // 2])) + 300
    changed(ogg, place, bytes([content[place] ^ 4]))
    with pytest.raises(AudioError):
        read_audio(ogg)


def test_an_ogg_of_one_page_of_sound_with_a_damage_is_not_empty(tmp_path):
    soundfile.write(tmp_path / "a.ogg", noise(1, 1000).T, RATE)
    content = (tmp_path / "a.ogg").read_bytes()
    fails(changed(tmp_path / "a.ogg", len(content) - 3, bytes([content[-3] ^ 1])), "damaged page")


def test_an_ogg_without_a_mark_of_its_end_is_read_with_a_warning(ogg, caplog):
    whole = read_audio(ogg)[0]
    pages = ogg_pages(ogg.read_bytes())
    pages[-1][5] &= ~4
    ogg.write_bytes(ogg_file(pages))
    with caplog.at_level(logging.WARNING, "auralflow"):
        assert np.array_equal(read_audio(ogg)[0], whole)
        probe(ogg)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert ogg.name in caplog.text


def test_tags_of_another_format_behind_an_ogg_are_no_damage(ogg):
    whole = read_audio(ogg)[0]
    ogg.write_bytes(ogg.read_bytes() + b"TAG" + bytes(125))
    assert np.array_equal(read_audio(ogg)[0], whole)


def test_streams_one_after_the_other_are_all_read(ogg):
    length = probe(ogg).frames
    pages = ogg_pages(ogg.read_bytes())
    for page in pages:
        page[14:18] = b"next"
    ogg.write_bytes(ogg.read_bytes() + ogg_file(pages))
    found = probe(ogg).frames
    assert found == read_audio(ogg)[0].shape[1]
    # FFmpeg takes the run-up of a Vorbis stream that follows another for sound.
    assert abs(found - 2 * length) < 2048


SIZED = [
    ("a.caf", lambda path, audio: soundfile.write(path, audio.T, RATE, subtype="ALAC_16")),
    ("b.caf", lambda path, audio: soundfile.write(path, audio.T, RATE, subtype="PCM_16")),
    ("a.wma", lambda path, audio: encode(path, "wmav2", audio, options={"b": "128000"})),
    ("a.mka", lambda path, audio: encode(path, "aac", audio, RATE)),
    ("a.webm", lambda path, audio: encode(path, "libopus", audio)),
]


@pytest.mark.parametrize(("name", "make"), SIZED, ids=[name for name, _ in SIZED])
def test_a_file_that_is_shorter_than_its_header_says_fails(tmp_path, name, make):
    make(tmp_path / name, noise(2, 100000))
    content = (tmp_path / name).read_bytes()
    assert read_audio(tmp_path / name)[0].shape[1] > 95000
    for share in (0.1, 0.5, 0.99):
        (tmp_path / name).write_bytes(content[: int(len(content) * share)])
        fails(tmp_path / name, "ends early")


def test_a_matroska_or_caf_of_unknown_size_is_read(tmp_path):
    encode(tmp_path / "a.mka", "flac", noise(2, 30000), options={})
    content = (tmp_path / "a.mka").read_bytes()
    place = content.index(bytes.fromhex("18538067")) + 4
    changed(tmp_path / "a.mka", place, b"\x01" + b"\xff" * 7)
    assert read_audio(tmp_path / "a.mka")[0].shape == (2, 30000)
    soundfile.write(tmp_path / "a.caf", noise(2, 30000).T, RATE, subtype="PCM_16")
    place = (tmp_path / "a.caf").read_bytes().index(b"data") + 4
    changed(tmp_path / "a.caf", place, b"\xff" * 8)
    assert read_audio(tmp_path / "a.caf")[0].shape == (2, 30000)


@pytest.mark.parametrize("rate", [0, 1, 3, 999, 768001, 2**31 - 1])
def test_a_sample_rate_that_no_recording_has_is_refused(tmp_path, rate):
    soundfile.write(tmp_path / "a.wav", noise(1, 60000).T, RATE, subtype="PCM_16")
    fails(changed(tmp_path / "a.wav", 24, struct.pack("<I", rate)))


@pytest.mark.parametrize("rate", [1000, 768000])
def test_the_lowest_and_the_highest_sample_rate_are_read(tmp_path, rate):
    soundfile.write(tmp_path / "a.wav", noise(64, 100).T, rate, subtype="PCM_16")
    assert read_audio(tmp_path / "a.wav")[0].shape == (64, 100)


def test_more_than_64_channels_are_refused(tmp_path):
    soundfile.write(tmp_path / "a.wav", noise(65, 100).T, RATE)
    fails(tmp_path / "a.wav", "65 channels")


def test_resampling_a_stream_gives_pieces_whose_size_the_ratio_does_not_choose():
    audio = noise(1, 20000)
    pieces = list(resample_stream([audio], 1000, 64000, 1))
    assert max(piece.shape[1] for piece in pieces) < 300_000
    joined = np.concatenate(pieces, axis=1)
    assert joined.shape == (1, 20000 * 64)
    assert np.abs(joined - resample(audio, 1000, 64000)).max() < 1e-5


@pytest.mark.parametrize("suffix", ["au", "snd", "vox", "gsm"])
def test_text_is_no_sound_whatever_its_name(tmp_path, suffix):
    path = tmp_path / f"text.{suffix}"
    path.write_text("These are words.\n" * 500)
    fails(path, "cannot read")
    path.write_bytes(b"a")
    fails(path, "cannot read")


def test_counting_stops_where_it_is_asked_to(tmp_path):
    encode(tmp_path / "a.m4a", "aac", noise(2, 480000))
    found = probe(tmp_path / "a.m4a", max_seconds=1.5)
    assert 1.5 < found.seconds < 3
    assert probe(tmp_path / "a.m4a", max_seconds=10).frames == 480000


@pytest.mark.parametrize(("name", "codec"), [("a.flac", "PCM_16"), ("a.ogg", "VORBIS"), ("a.mp3", None)])
def test_no_file_is_damaged_before_a_second_decoder_says_so(tmp_path, monkeypatch, name, codec):
    audio = noise(2, 100000) / 4
    soundfile.write(tmp_path / name, audio.T, 48000, subtype=codec)
    whole = read_audio(tmp_path / name)[0]
    read = SoundFileSource._read

    def fail(self, position, wanted, dtype):
        if position >= 60000:
            raise self._damaged(position, soundfile.LibsndfileError(1))
        return read(self, position, wanted, dtype)

    monkeypatch.setattr(SoundFileSource, "_read", fail)
    found = np.concatenate(list(stream_audio(tmp_path / name, block=20000)), axis=1)
    assert found.shape == whole.shape
    assert np.abs(found - whole).max() < 1e-3
    # Where both find it damaged, the first one's words are reported.
    monkeypatch.setattr(sources, "_other_decoder", lambda path, _: SoundFileSource(path))
    with pytest.raises(AudioError, match="after sample 60000"):
        list(stream_audio(tmp_path / name, block=20000))
