"""Lossy formats: other decoders hear the sound, in its place, of its length and at the bit rate asked for."""

import resource

import av
import numpy as np
import pytest
import soundfile
from separating import RATE, noise, outputs, small_model, write_song

from auralflow.audio import AudioWriter, probe, read_audio, read_tags, resample
from auralflow.audio.encoding import choose_encoding
from auralflow.audio.formats import FORMATS
from auralflow.config import SeparateConfig, StemConfig, parse_settings
from auralflow.errors import AudioError, SettingsError
from auralflow.separation import Separator, find_songs, separate_file, separate_files
from auralflow.separation.work import Worker

LOSSY = [row for row in FORMATS.values() if row.lossy]
BY_FFMPEG = [row for row in LOSSY if row.encoder]
TAGS = {
    "title": "Zoë 音",
    "artist": "x",
    "album": "al",
    "date": "2020",
    "genre": "g",
    "tracknumber": "3",
    "comment": "c",
    "copyright": "k",
}


def music(channels, frames, rate):
    """Two chords with an attack each, which every codec must keep where they are."""
    time = np.arange(frames) / rate
    pitches = 220 * (1 + np.arange(channels))[:, None]
    sound = sum(np.sin(2 * np.pi * pitches * factor * time) for factor in (1, 2.5, 4.2))
    return (0.1 * sound * (0.2 + np.exp(-8 * (time % 0.35)))).astype(np.float32)


def write(path, row, audio, rate, **options):
    with AudioWriter(path, rate, audio.shape[0], row.lossy, row.container, **options) as writer:
        # In blocks that fit no codec's frame.
        for block in np.array_split(audio, max(1, audio.shape[1] // 3000), axis=1):
            writer.write(block)
    return path


def by_ffmpeg(path):
    """Samples as FFmpeg decodes them, and the length that the file states."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        blocks = [frame.to_ndarray() for frame in container.decode(stream)]
        planar = container.streams.audio[0].codec_context.format.is_planar
        channels = stream.channels
        stated = stream.duration * stream.time_base * stream.rate if stream.duration else None
    blocks = blocks if planar else [block.reshape(-1, channels).T for block in blocks]
    return np.concatenate(blocks, axis=1), stated


def error_db(found, sound):
    return 10 * np.log10(np.mean((found - sound) ** 2) / np.mean(sound**2))


@pytest.mark.parametrize("row", BY_FFMPEG, ids=lambda row: row.name)
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("frames", [1, 1024, 1025, 100003])
def test_an_independent_decoder_hears_the_sound_without_delay_and_of_its_length(
    tmp_path, row, channels, frames
):
    rate = row.one_rate or 44100
    sound = music(channels, frames, rate)
    path = write(tmp_path / f"a.{row.name}", row, sound, rate)
    heard, stated = by_ffmpeg(path)
    # Of MPEG-4, FFmpeg plays the codec's last frame to its end, and only states how much of it is sound.
    assert frames in (heard.shape[1], stated)
    ours, found_rate = read_audio(path)
    assert (ours.shape, found_rate) == (sound.shape, rate)
    assert np.abs(ours - heard[:, :frames]).max() < 1e-4
    if frames > 100000:
        assert error_db(heard[:, :frames], sound) < -18
        late = {
            shift: error_db(heard[:, 500 + shift : 90000 + shift], sound[:, 500:90000])
            for shift in (-1, 0, 1)
        }
        assert min(late, key=late.get) == 0


@pytest.mark.parametrize("row", BY_FFMPEG, ids=lambda row: row.name)
def test_equal_sound_is_equal_bytes_however_it_is_cut(tmp_path, row):
    rate = row.one_rate or 44100
    sound = music(2, 20000, rate)
    first = write(tmp_path / "a", row, sound, rate, tags=TAGS).read_bytes()
    with AudioWriter(tmp_path / "b", rate, 2, row.lossy, row.container, tags=TAGS) as writer:
        writer.write(sound)
    assert (tmp_path / "b").read_bytes() == first


@pytest.mark.parametrize("row", BY_FFMPEG, ids=lambda row: row.name)
def test_tags_are_kept(tmp_path, row):
    path = write(tmp_path / "a", row, music(2, 9000, 48000), 48000, tags=TAGS | {"license": "CC0"})
    with av.open(str(path)) as container:
        found = {**container.metadata, **container.streams.audio[0].metadata}
    expected = TAGS | ({"license": "CC0"} if "license" in row.tags else {})
    expected["track"] = expected.pop("tracknumber")
    assert {name.lower(): text for name, text in found.items()}.items() >= expected.items()
    assert read_tags(path).items() >= {"title": "Zoë 音", "tracknumber": "3"}.items()


@pytest.mark.parametrize("row", LOSSY, ids=lambda row: row.name)
@pytest.mark.parametrize("bitrate", [64, 128, 320])
def test_a_bit_rate_is_met(tmp_path, row, bitrate):
    rate = row.one_rate or 44100
    path = write(tmp_path / "a", row, noise(2, 4 * rate, level=0.2), rate, bitrate=bitrate)
    found = path.stat().st_size * 8 / 4 / 1000
    # An encoder that varies its rate aims at it; noise is the hardest to encode there is.
    assert found == pytest.approx(bitrate, rel=0.03 if row.name == "mp3" else 0.25)
    assert probe(path).frames == 4 * rate


@pytest.mark.parametrize("rate", [8000, 22050, 48000])
def test_an_mp3_of_any_rate_takes_the_most_it_can(tmp_path, rate):
    path = write(tmp_path / "a", FORMATS["mp3"], noise(1, 2 * rate), rate, bitrate=320)
    most = 320 if rate >= 32000 else 160 if rate >= 16000 else 64
    assert path.stat().st_size * 8 / 2 / 1000 == pytest.approx(most, rel=0.15)
    assert probe(path).frames == 2 * rate


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"bitrate": 192}, "`bitrate` is for lossy formats: wav is lossless"),
        ({"bitrate": 192, "format": "flac"}, "flac is lossless"),
        ({"bitrate": "190k", "format": "mp3"}, "`bitrate` is 190: mp3 allows 64, 80"),
        ({"bitrate": 600, "format": "opus"}, "`bitrate` is 600: opus allows 16 to 510"),
        ({"bitrate": "fast", "format": "opus"}, "bitrate"),
    ],
)
def test_a_bit_rate_that_a_format_has_not_is_refused_in_one_line(values, message):
    with pytest.raises(SettingsError, match=message):
        parse_settings(SeparateConfig, values)
    assert StemConfig(format="mp3", bitrate="192k").bitrate == 192


@pytest.mark.parametrize("row", BY_FFMPEG, ids=lambda row: row.name)
def test_what_the_format_cannot_hold_is_refused(tmp_path, row):
    (tmp_path / "folder").mkdir()
    rate = row.one_rate or 44100
    for path, wanted_rate, channels in (
        (tmp_path / "folder", rate, 2),
        (tmp_path / "a", 12345, 2),
    ):
        with pytest.raises(AudioError, match="cannot write"):
            write(path, row, noise(channels, 5000), wanted_rate)
    song = write_song(tmp_path / "three.wav", noise(3, 5000))
    with pytest.raises(AudioError, match="3 channels"):
        choose_encoding(probe(song), row.name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "three.wav"]


@pytest.mark.parametrize("row", BY_FFMPEG, ids=lambda row: row.name)
def test_a_full_disk_or_an_interruption_leaves_nothing(tmp_path, row):
    rate = row.one_rate or 44100
    writer = AudioWriter(tmp_path / "a", rate, 2, row.lossy, row.container)
    writer.__enter__()
    writer.write(noise(2, 50000))
    writer.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert not list(tmp_path.iterdir())
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(AudioError, match="'File too large'"):
            write(tmp_path / "a", row, noise(2, 200_000), rate)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())


# --- songs


@pytest.fixture(scope="module")
def separator():
    return Separator(small_model())


def test_stems_in_opus_are_resampled_and_reported_so(separator, tmp_path):
    song = write_song(tmp_path / "a.wav", noise(2, 12345))
    report = separate_file(separator, song, tmp_path / "opus", format="opus", bitrate=256)
    separate_file(separator, song, tmp_path / "wav", subtype="FLOAT")
    assert (report.sample_rate, report.format, report.seconds) == (48000, "OPUS", 12345 / RATE)
    for name in ("original", "vocals", "drums"):
        found, rate = read_audio(tmp_path / f"opus/{name}.opus")
        exact = resample(read_audio(tmp_path / f"wav/{name}.wav")[0], RATE, 48000)
        assert (found.shape, rate) == (exact.shape, 48000)
        assert error_db(found, exact) < -15


def test_stems_in_m4a_keep_rate_length_and_tags(separator, tmp_path):
    song = tmp_path / "a.flac"
    with soundfile.SoundFile(song, "w", RATE, 1, "PCM_16") as file:
        file.title = "Ünï"
        file.write(noise(1, 12345).T)
    report = separate_file(separator, song, tmp_path / "out", format="m4a", residual=True)
    assert (report.sample_rate, report.subtype) == (RATE, "AAC")
    assert len(report.files) == 4
    for name in report.files:
        info = probe(tmp_path / "out" / name)
        assert (info.sample_rate, info.channels, info.frames) == (RATE, 1, 12345)
        assert read_tags(tmp_path / "out" / name)["title"] == "Ünï"


@pytest.mark.parametrize("options", [{"format": "opus"}, {"format": "m4a", "bitrate": 96}])
def test_a_run_that_was_stopped_and_goes_on_gives_equal_bytes(separator, tmp_path, options):
    for name in "abc":
        write_song(tmp_path / f"songs/{name}.wav", noise(2, 3 * RATE, seed=ord(name)))
    songs = find_songs([tmp_path / "songs"])
    whole = list(separate_files(separator, songs, tmp_path / "whole", **options))
    assert [outcome.status for outcome in whole] == ["separated"] * 3
    run = separate_files(separator, songs, tmp_path / "parts", **options)
    next(run)
    run.close()  # type: ignore[attr-defined]
    again = list(separate_files(separator, songs, tmp_path / "parts", **options))
    assert [outcome.status for outcome in again] == ["kept", "separated", "separated"]
    assert outputs(tmp_path / "whole") == outputs(tmp_path / "parts")


def test_without_the_original_nothing_else_changes(separator, tmp_path):
    # Loud enough that all files must be lowered.
    song = write_song(tmp_path / "a.wav", noise(2, RATE, level=0.6))
    for name, original in (("with", True), ("without", False)):
        separate_file(separator, song, tmp_path / name, residual=True, original=original)
    whole = outputs(tmp_path / "with")
    assert whole.pop("original.wav")
    assert outputs(tmp_path / "without") == whole


def test_settings_that_came_later_change_no_key_while_they_are_not_used(separator, tmp_path):
    worker = Worker(separator, tmp_path, StemConfig())
    assert set(worker.options.file_identity()) == {
        "residual",
        "start",
        "duration",
        "format",
        "subtype",
        "clip",
    }
    changed = [{"original": False}, {"format": "mp3", "bitrate": 64}, {"format": "mp3", "bitrate": 128}]
    identities = [StemConfig(**values).file_identity() for values in ({}, {"format": "mp3"}, *changed)]
    assert all(first != second for i, first in enumerate(identities) for second in identities[:i])
