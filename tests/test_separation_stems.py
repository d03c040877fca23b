"""The files of a song: the input's form, sums that hold, one gain where something would clip."""

import av
import numpy as np
import pytest
import soundfile
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from separating import RATE, fixed_model, noise, small_model, write_song

from auralflow.audio import probe, read_audio, read_tags
from auralflow.errors import AudioError, CancelledError, UsageError
from auralflow.separation import Separator, separate_file

DEPTHS = ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")


@pytest.fixture(scope="module")
def separator():
    return Separator(small_model())


def _integers(path, bits):
    audio = read_audio(path, dtype="float64")[0] * 2.0 ** (bits - 1)
    assert np.array_equal(audio, np.rint(audio))
    return audio.astype(np.int64)


@pytest.mark.parametrize("subtype", DEPTHS)
def test_stems_have_the_form_of_the_input_and_the_original_its_samples(separator, tmp_path, subtype):
    song = write_song(tmp_path / "a.wav", noise(3, 5001), 22050, subtype)
    report = separate_file(separator, song, tmp_path / "out")
    assert report.files == ("original.wav", "vocals.wav", "drums.wav")
    for name in report.files:
        info = probe(tmp_path / "out" / name)
        assert (info.sample_rate, info.channels, info.frames) == (22050, 3, 5001)
        assert (info.format, info.subtype) == ("WAV", subtype)
    expected = read_audio(song, dtype="float64")[0]
    np.testing.assert_array_equal(read_audio(tmp_path / "out/original.wav", dtype="float64")[0], expected)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rate=st.sampled_from([8000, 11025, 44100, 48000, 96000, 192000]),
    channels=st.integers(1, 8),
    frames=st.sampled_from([0, 1, 2, 127, 3999, 4000, 4001]),
    subtype=st.sampled_from(DEPTHS),
)
def test_any_file_comes_back_as_long_and_wide_as_it_was(separator, tmp_path, rate, channels, frames, subtype):
    song = write_song(tmp_path / "a.wav", noise(channels, frames), rate, subtype)
    separate_file(separator, song, tmp_path / "out", residual=True)
    for name in ("original", "vocals", "drums", "residual"):
        info = soundfile.info(str(tmp_path / "out" / f"{name}.wav"))
        assert (info.samplerate, info.channels, info.frames, info.subtype) == (
            rate,
            channels,
            frames,
            subtype,
        )


@pytest.mark.parametrize(("subtype", "bits"), [("PCM_U8", 8), ("PCM_16", 16), ("PCM_24", 24), ("PCM_32", 32)])
@pytest.mark.parametrize("level", [0.1, 0.9])
def test_integer_files_add_up_to_the_original_to_the_last_bit(separator, tmp_path, subtype, bits, level):
    audio = np.clip(noise(2, 6000, level=level), -1, 0.999)
    song = write_song(tmp_path / "a.wav", audio, RATE, subtype)
    report = separate_file(separator, song, tmp_path / "out", residual=True)
    original, *others = (_integers(tmp_path / "out" / name, bits) for name in report.files)
    np.testing.assert_array_equal(sum(others), original)
    assert report.null_db is None


BITS = {"PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 1000),
    subtype=st.sampled_from(DEPTHS),
    level=st.sampled_from([0.3, 0.5, 1.0]),
    masks=st.lists(st.floats(-1.5, 1.5), min_size=2, max_size=4),
    residual=st.booleans(),
)
def test_files_add_up_when_any_of_them_is_the_loudest(tmp_path, seed, subtype, level, masks, residual):
    # Noise at full scale; masks below 0 make the residual the loudest file.
    audio = np.clip(noise(1, 3000, seed=seed, level=level), -1, 1)
    song = write_song(tmp_path / "a.wav", audio, RATE, subtype)
    separator = Separator(fixed_model(*masks, num_channels=1), consistent=not residual)
    report = separate_file(separator, song, tmp_path / "out", residual=residual)
    files = [read_audio(tmp_path / "out" / name, dtype="float64")[0] for name in report.files]
    if subtype in BITS:
        full = 2.0 ** (BITS[subtype] - 1)
        original, *others = (np.rint(file * full).astype(np.int64) for file in files)
        np.testing.assert_array_equal(sum(others), original)
        assert report.null_db is None
        assert max(np.abs(file).max() for file in files) <= 1.0
    elif residual:
        # The residual is the difference, rounded once.
        original, *targets, rest = files
        expected = original - sum(targets)
        kind = np.float32 if subtype == "FLOAT" else np.float64
        np.testing.assert_array_equal(rest, expected.astype(kind))


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32"])
def test_the_gain_leaves_room_for_the_rounding_of_the_residual(tmp_path, subtype):
    # Every sample of the residual lies where the gain puts it: at full scale, half a step from the next.
    audio = np.tile([[0.5, -0.5, 0.499, -0.499]], 1000)
    song = write_song(tmp_path / "a.wav", audio, RATE, subtype)
    separator = Separator(fixed_model(-0.7, -0.7, num_channels=1))
    report = separate_file(separator, song, tmp_path / "out", residual=True)
    assert report.null_db is None
    assert -2.0 < report.gain_db < -1.5
    loudest = np.abs(read_audio(tmp_path / "out/residual.wav", dtype="float64")[0]).max()
    assert 1 - 6 * 2.0 ** (1 - BITS[subtype]) - 2e-6 < loudest <= 1.0


@pytest.mark.parametrize(("subtype", "bits"), [("PCM_16", 16), ("PCM_24", 24)])
def test_consistent_integer_files_add_up_without_a_residual(tmp_path, subtype, bits):
    song = write_song(tmp_path / "a.wav", noise(2, 6000, level=0.3), 11025, subtype)
    report = separate_file(Separator(small_model(), consistent=True), song, tmp_path / "out")
    original, *targets = (_integers(tmp_path / "out" / name, bits) for name in report.files)
    np.testing.assert_array_equal(sum(targets), original)
    assert report.null_db is None


def test_float_files_add_up_to_rounding(separator, tmp_path):
    song = write_song(tmp_path / "a.wav", noise(2, 6000), RATE, "FLOAT")
    report = separate_file(separator, song, tmp_path / "out", residual=True)
    original, *others = (read_audio(tmp_path / "out" / name, dtype="float64")[0] for name in report.files)
    assert np.abs(sum(others) - original).max() < 1e-8
    assert report.null_db < -150


def test_report_tells_what_is_left(tmp_path):
    audio = noise(2, 20000)
    song = write_song(tmp_path / "a.wav", audio, RATE, "FLOAT")
    report = separate_file(Separator(fixed_model(0.5, 0.4)), song, tmp_path / "out")
    level = 10 * np.log10(np.mean(audio.astype(np.float64) ** 2))
    assert report.residual_db == pytest.approx(-20, abs=0.01)
    assert report.null_db == pytest.approx(level - 20, abs=0.01)
    assert report.gain_db == 0


def _square(frames=6000):
    """A full-scale square wave: half of its bandwidth alone goes beyond full scale."""
    return np.sign(np.sin(np.arange(frames) * 0.2))[None].astype(np.float32) * np.float32(0.99996)


def _overshooting():
    # A mask that takes the upper bins away makes the wave ring at its edges.
    model = fixed_model(0.9, 0.1, num_channels=1)
    shape = torch.tensor([1.0] * 21 + [0.2] * 108).reshape(129, 1)
    model.net.values = model.net.values * shape
    return Separator(model)


def test_one_gain_for_all_files_where_one_would_clip(tmp_path):
    song = write_song(tmp_path / "a.wav", _square())
    separator = _overshooting()
    assert np.abs(separator.separate(song)[0]).max() > 1.05
    report = separate_file(separator, song, tmp_path / "out", residual=True)
    assert report.gain_db < -0.4
    original, *others = (_integers(tmp_path / "out" / name, 16) for name in report.files)
    np.testing.assert_array_equal(sum(others), original)
    gain = 10 ** (report.gain_db / 20)
    np.testing.assert_allclose(original / 32768, gain * read_audio(song)[0], atol=2 / 32768)
    np.testing.assert_allclose(others[0] / 32768, gain * separator.separate(song)[0], atol=2 / 32768)
    assert max(np.abs(stem).max() for stem in others) >= 32766


def test_clip_float_writes_the_song_as_float_only_where_needed(tmp_path):
    separator = _overshooting()
    loud = write_song(tmp_path / "loud.wav", _square())
    quiet = write_song(tmp_path / "quiet.wav", 0.1 * _square())
    report = separate_file(separator, loud, tmp_path / "loud", clip="float")
    assert (report.subtype, report.gain_db) == ("FLOAT", 0)
    np.testing.assert_allclose(
        read_audio(tmp_path / "loud/vocals.wav")[0], separator.separate(loud)[0], atol=1e-7
    )
    assert separate_file(separator, quiet, tmp_path / "quiet", clip="float").subtype == "PCM_16"


def test_clip_error_fails_and_leaves_nothing(tmp_path):
    song = write_song(tmp_path / "a.wav", _square())
    with pytest.raises(AudioError, match="would clip"):
        separate_file(_overshooting(), song, tmp_path / "out", clip="error")
    assert not list((tmp_path / "out").iterdir())


def test_full_scale_original_is_no_reason_for_a_gain(tmp_path):
    song = write_song(tmp_path / "a.wav", _square())
    report = separate_file(Separator(fixed_model(1.0)), song, tmp_path / "out")
    assert report.gain_db == 0


@pytest.mark.parametrize(
    ("format_", "given", "expected"),
    [
        ("flac", "PCM_16", "PCM_16"),
        ("flac", "PCM_U8", "PCM_S8"),
        ("flac", "FLOAT", "PCM_24"),
        ("ogg", "PCM_16", "VORBIS"),
        ("mp3", "PCM_16", "MPEG_LAYER_III"),
    ],
)
def test_formats_are_what_was_asked_for(separator, tmp_path, format_, given, expected):
    song = write_song(tmp_path / "a.wav", noise(2, 20000), 44100, given)
    report = separate_file(separator, song, tmp_path / "out", format=format_)
    for name in report.files:
        info = probe(tmp_path / "out" / name)
        assert (info.sample_rate, info.channels, info.frames) == (44100, 2, 20000)
        assert info.subtype == expected
        assert name.endswith(f".{format_}")


def test_lossy_inputs_become_16_bits_and_float_stays_float(separator, tmp_path):
    ogg = write_song(tmp_path / "a.ogg", noise(2, 9000), 44100, "VORBIS", format="OGG")
    assert separate_file(separator, ogg, tmp_path / "ogg").subtype == "PCM_16"
    aiff = write_song(tmp_path / "a.aiff", noise(2, 900), 44100, "PCM_24", format="AIFF")
    assert separate_file(separator, aiff, tmp_path / "aiff").subtype == "PCM_24"


def test_wished_subtype_is_used_and_a_wrong_one_refused(separator, tmp_path):
    song = write_song(tmp_path / "a.wav")
    assert separate_file(separator, song, tmp_path / "out", subtype="pcm-24").subtype == "PCM_24"
    with pytest.raises(UsageError, match="flac has no such encoding"):
        separate_file(separator, song, tmp_path / "out", format="flac", subtype="FLOAT")


def test_start_and_duration_cut_the_original_and_the_targets_alike(separator, tmp_path):
    song = write_song(tmp_path / "a.wav", noise(2, 3 * RATE))
    report = separate_file(separator, song, tmp_path / "out", start=0.5, duration=1.25)
    assert report.seconds == 1.25
    whole = read_audio(song)[0]
    np.testing.assert_array_equal(
        read_audio(tmp_path / "out/original.wav")[0], whole[:, RATE // 2 : RATE // 2 + 10000]
    )
    assert probe(tmp_path / "out/vocals.wav").frames == 10000
    assert separate_file(separator, song, tmp_path / "end", start=2.5, duration=9).seconds == 0.5


TAGS = {"title": "Lied", "artist": "Zoë", "album": "Über", "date": "1999", "tracknumber": "7"}


@pytest.mark.parametrize("format_", ["wav", "flac", "ogg", "mp3"])
def test_tags_are_carried_over(separator, tmp_path, format_):
    path = tmp_path / "a.flac"
    with soundfile.SoundFile(path, "w", RATE, 2, "PCM_16", format="FLAC") as file:
        for name, text in TAGS.items():
            setattr(file, name, text)
        file.write(noise().T)
    separate_file(separator, path, tmp_path / "out", format=format_)
    # An MP3 file cannot say in which alphabet its tags are.
    expected = {name: text for name, text in TAGS.items() if format_ != "mp3" or text.isascii()}
    found = read_tags(tmp_path / "out" / f"vocals.{format_}")
    assert {name: found.get(name) for name in expected} == expected


def test_tags_of_a_container_are_carried_over(separator, tmp_path):
    path = tmp_path / "a.m4a"
    with av.open(str(path), "w") as container:
        container.metadata.update({"title": "Lied", "artist": "Zoë", "track": "7"})
        stream = container.add_stream("aac", rate=44100, layout="stereo")
        frame = av.AudioFrame.from_ndarray(noise(2, 44100), format="fltp", layout="stereo")
        frame.sample_rate = 44100
        container.mux(list(stream.encode(frame)) + list(stream.encode(None)))
    separate_file(separator, path, tmp_path / "out", format="flac")
    assert read_tags(tmp_path / "out/drums.flac") == {"title": "Lied", "artist": "Zoë", "tracknumber": "7"}


def test_equal_runs_give_equal_bytes(separator, tmp_path):
    song = write_song(tmp_path / "a.wav", noise(2, 9000), subtype="FLOAT")
    for options in ({}, {"subtype": "PCM_24"}, {"format": "flac"}):
        for folder in ("one", "two"):
            report = separate_file(separator, song, tmp_path / folder, **options)
        for name in report.files:
            assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_stopping_leaves_nothing(separator, tmp_path):
    song = write_song(tmp_path / "a.wav", noise(2, 10 * RATE))
    with pytest.raises(CancelledError):
        separate_file(separator, song, tmp_path / "out", should_stop=lambda: True)
    assert not list((tmp_path / "out").iterdir())


def test_only_the_wished_targets_are_written(tmp_path):
    song = write_song(tmp_path / "a.wav")
    report = separate_file(Separator(small_model(), targets="drums"), song, tmp_path / "out", residual=True)
    assert report.files == ("original.wav", "drums.wav", "residual.wav")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(report.files)
