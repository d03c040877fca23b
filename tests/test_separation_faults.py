"""What can be wrong with a song, a model or a disk: each costs one line, and the rest goes on.

The rows of the table of faults in docs/separation.md, by name.
"""

import json
import os
import pickle
import tempfile
from pathlib import Path

import av
import numpy as np
import pytest
from safetensors.torch import load_file, save_file
from separating import RATE, noise, outputs, small_model_folder, write_song

from auralflow.audio import read_audio
from auralflow.cli import main


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    return small_model_folder(tmp_path_factory.mktemp("model"))


@pytest.fixture
def songs(tmp_path):
    """A folder with a good song, to which a test adds a bad one."""
    write_song(tmp_path / "songs/good.wav")
    return tmp_path / "songs"


def _separate(model, songs, save, *options):
    return main(["separate", str(model), str(songs), "--save", str(save), *options])


def _check_one_failed(model, songs, save, capsys, *words):
    assert _separate(model, songs, save, "--json") == 1
    captured = capsys.readouterr()
    result = json.loads(captured.out)
    assert result["failed"] == 1
    by_status = {song["status"]: song for song in result["songs"]}
    assert Path(by_status["separated"]["source"]).name == "good.wav"
    error = by_status["failed"]["error"]
    assert "\n" not in error
    assert all(word in error for word in words), error
    assert f"; 1 failed, listed in {save / 'separated_audio/failed.txt'}" in captured.err
    assert (save / "separated_audio/good/vocals.wav").is_file()
    assert not list(save.rglob("*.part"))
    assert {path.name for path in (save / "separated_audio").iterdir()} <= {
        "good",
        ".auralflow-journal.jsonl",
        ".auralflow-journal.lock",
        "failed.txt",
    }


def _encode(path, codec, audio, rate=44100, video=False):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout="stereo") if audio is not None else None
        picture = None
        if video:
            picture = container.add_stream("mpeg4", rate=10)
            picture.width = picture.height = 32
            for _ in range(5):
                container.mux(
                    picture.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), "rgb24"))
                )
            container.mux(picture.encode(None))
        if stream is not None:
            for start in range(0, audio.shape[1], 1024):
                frame = av.AudioFrame.from_ndarray(
                    np.ascontiguousarray(audio[:, start : start + 1024]), format="fltp", layout="stereo"
                )
                frame.sample_rate, frame.pts = rate, start
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return path


def _any_song(path):
    kinds = {
        ".wav": {"subtype": "PCM_16"},
        ".flac": {"subtype": "PCM_16"},
        ".ogg": {"subtype": "VORBIS"},
        ".mp3": {"subtype": "MPEG_LAYER_III"},
        ".aiff": {"subtype": "PCM_16"},
    }
    if path.suffix == ".m4a":
        return _encode(path, "aac", noise(2, 44100))
    return write_song(path, noise(2, 44100), 44100, **kinds[path.suffix])


FORMATS = [".wav", ".flac", ".ogg", ".mp3", ".aiff", ".m4a"]


@pytest.mark.parametrize("suffix", FORMATS)
def test_truncated(model_folder, songs, tmp_path, capsys, suffix):
    song = _any_song(songs / f"bad{suffix}")
    data = song.read_bytes()
    song.write_bytes(data[: len(data) * 2 // 3])
    _check_one_failed(model_folder, songs, tmp_path, capsys, f"bad{suffix}")


@pytest.mark.parametrize("suffix", FORMATS)
def test_corrupt(model_folder, songs, tmp_path, capsys, suffix):
    song = _any_song(songs / f"bad{suffix}")
    data = bytearray(song.read_bytes())
    data[:64] = bytes(range(100, 164))
    song.write_bytes(data[:64] + bytes(200))
    _check_one_failed(model_folder, songs, tmp_path, capsys, f"bad{suffix}")


def test_text_named_mp3(model_folder, songs, tmp_path, capsys):
    (songs / "bad.mp3").write_text("These are words.\n" * 100)
    _check_one_failed(model_folder, songs, tmp_path, capsys, "bad.mp3")


def test_empty_file(model_folder, songs, tmp_path, capsys):
    (songs / "bad.wav").touch()
    _check_one_failed(model_folder, songs, tmp_path, capsys, "empty")


def test_video_with_sound_is_a_song(model_folder, songs, tmp_path):
    _encode(songs / "clip.mp4", "aac", noise(2, 20480), video=True)
    assert _separate(model_folder, songs, tmp_path) == 0
    assert (tmp_path / "separated_audio/clip/vocals.wav").is_file()


def test_video_without_sound(model_folder, songs, tmp_path, capsys):
    _encode(songs / "bad.mp4", "aac", None, video=True)
    _check_one_failed(model_folder, songs, tmp_path, capsys, "no audio stream")


@pytest.fixture
def as_somebody():
    """Give up the rights of the superuser, to whom no file is closed, and a folder that all may use."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        before = os.geteuid()
        if before == 0:
            os.seteuid(65534)
        try:
            yield folder
        finally:
            os.seteuid(before)
            for path in folder.rglob("*"):
                path.chmod(0o777)


@pytest.fixture
def open_model(as_somebody):
    return small_model_folder(as_somebody / "model")


def test_unreadable_file(open_model, as_somebody, capsys):
    songs = as_somebody / "songs"
    write_song(songs / "good.wav")
    write_song(songs / "bad.wav").chmod(0)
    _check_one_failed(open_model, songs, as_somebody, capsys, "bad.wav", "ermission")


def test_closed_folder(open_model, as_somebody, capsys):
    songs = as_somebody / "songs"
    write_song(songs / "good.wav")
    (songs / "closed").mkdir(mode=0)
    _check_one_failed(open_model, songs, as_somebody, capsys, "closed", "ermission")


def test_output_folder_not_writable(open_model, as_somebody, capsys):
    write_song(as_somebody / "songs/good.wav")
    (as_somebody / "out").mkdir(mode=0o555)
    assert _separate(open_model, as_somebody / "songs", as_somebody / "out") == 1
    error = capsys.readouterr().err
    assert "cannot write to" in error
    assert "Permission denied" in error
    assert error.count("\n") == 1


def test_output_folder_is_a_file(model_folder, songs, tmp_path, capsys):
    (tmp_path / "separated_audio").touch()
    assert _separate(model_folder, songs, tmp_path) == 1
    assert "cannot write to" in capsys.readouterr().err


def test_links_in_a_circle_are_left_out(model_folder, songs, tmp_path):
    (songs / "round").symlink_to(songs)
    (songs / "self.wav").symlink_to("self.wav")
    (songs / "gone.wav").symlink_to("nowhere.wav")
    assert _separate(model_folder, songs, tmp_path) == 0
    assert {path.parent.name for path in tmp_path.rglob("vocals.wav")} == {"good"}


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_no_numbers(model_folder, songs, tmp_path, capsys, value):
    audio = noise()
    audio[1, 5000] = value
    write_song(songs / "bad.wav", audio, subtype="FLOAT")
    _check_one_failed(model_folder, songs, tmp_path, capsys, "bad.wav", "NaN")


@pytest.mark.parametrize(
    "audio",
    [
        np.zeros((2, RATE), dtype=np.float32),
        noise() + 0.5,
        np.sign(np.sin(np.arange(RATE) * 0.3))[None].astype(np.float32),
        np.full((2, RATE), 1e-30, dtype=np.float32),
        100 * noise(),
    ],
    ids=["silence", "direct current", "full-scale square wave", "nearly nothing", "far beyond full scale"],
)
@pytest.mark.parametrize("option", ["--residual", "--wiener=2", "--phase=griffin-lim", "--consistent"])
def test_strange_but_valid_sound(model_folder, tmp_path, audio, option):
    song = write_song(tmp_path / "strange.wav", audio, subtype="FLOAT")
    assert _separate(model_folder, song, tmp_path, option) == 0
    for path in (tmp_path / "separated_audio/strange").iterdir():
        stem = read_audio(path)[0]
        assert stem.shape == audio.shape
        assert np.isfinite(stem).all()
        assert np.abs(stem).max() <= 20 * np.abs(audio).max()


def _refused(model, songs, save, capsys, *words):
    assert _separate(model, songs, save) == 1
    error = capsys.readouterr().err
    assert all(word in error for word in words), error
    assert error.count("\n") == 1
    assert not list(save.rglob("*.wav")) or save in songs.parents


def test_broken_weights(tmp_path, songs, capsys):
    model = small_model_folder(tmp_path / "model")
    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    _refused(model, songs, tmp_path, capsys, "cannot read the weights")


def test_pickle_posing_as_weights_is_not_run(tmp_path, songs, capsys):
    model = small_model_folder(tmp_path / "model")
    trap = tmp_path / "sprung"

    class Bomb:
        def __reduce__(self):
            return (os.mkdir, (str(trap),))

    (model / "model.safetensors").write_bytes(pickle.dumps(Bomb()))
    _refused(model, songs, tmp_path, capsys, "cannot read the weights")
    assert not trap.exists()


def test_weights_that_are_no_numbers(tmp_path, songs, capsys):
    model = small_model_folder(tmp_path / "model")
    weights = load_file(model / "model.safetensors")
    weights["net.head.weight"][0] = float("nan")
    save_file(weights, model / "model.safetensors")
    _refused(model, songs, tmp_path, capsys, "NaN", "net.head.weight")


def test_target_that_would_leave_the_folder(tmp_path, songs, capsys):
    model = small_model_folder(tmp_path / "model")
    settings = json.loads((model / "model.json").read_text())
    settings["targets"] = ["../../escaped", "drums"]
    (model / "model.json").write_text(json.dumps(settings))
    _refused(model, songs, tmp_path, capsys, "escaped")
    assert not list(tmp_path.parent.rglob("escaped*"))


def test_link_that_leads_out_of_the_output_folder(model_folder, songs, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "500")  # a line is not broken
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "out/separated_audio").mkdir(parents=True)
    (tmp_path / "out/separated_audio/bad").symlink_to(elsewhere)
    write_song(songs / "bad.wav")
    assert _separate(model_folder, songs, tmp_path / "out") == 1
    assert "written outside the output folder" in capsys.readouterr().err
    assert not list(elsewhere.iterdir())


def test_name_with_a_leading_dash(model_folder, tmp_path, monkeypatch):
    write_song(tmp_path / "-song.wav")
    monkeypatch.chdir(tmp_path)
    assert main(["separate", str(model_folder), "--save", "out", "--", "-song.wav"]) == 0
    assert (tmp_path / "out/separated_audio/-song/vocals.wav").is_file()


def test_command_says_what_it_did(model_folder, songs, tmp_path, capsys):
    assert _separate(model_folder, songs, tmp_path) == 0
    assert str(tmp_path / "separated_audio/good") in capsys.readouterr().out
    assert _separate(model_folder, songs, tmp_path) == 0
    assert "kept from an earlier run" in capsys.readouterr().out
    before = outputs(tmp_path)
    assert _separate(model_folder, songs, tmp_path, "--dry-run", "--residual") == 0
    assert "1 of 1 songs to separate" in capsys.readouterr().out
    assert outputs(tmp_path) == before


def test_command_takes_targets_by_comma_or_one_by_one(model_folder, songs, tmp_path):
    assert _separate(model_folder, songs, tmp_path / "a", "--targets", "vocals,drums") == 0
    assert _separate(model_folder, songs, tmp_path / "b", "--targets", "vocals", "--targets", "drums") == 0
    assert outputs(tmp_path / "a") == outputs(tmp_path / "b")
    assert _separate(model_folder, songs, tmp_path, "--targets", "piano") == 2


@pytest.mark.parametrize(
    "options", [["--format", "flac", "--subtype", "FLOAT"], ["--format=flac", "--clip=float"], ["--shifts=0"]]
)
def test_wrong_options_are_refused_before_anything_is_done(model_folder, songs, tmp_path, capsys, options):
    assert _separate(model_folder, songs, tmp_path, *options) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "separated_audio").exists()


def test_a_pipe_or_device_is_refused_before_it_is_hashed(model_folder, songs, tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "zero.wav").symlink_to("/dev/zero")
    command = ["separate", str(model_folder), str(songs / "good.wav"), "--save", str(tmp_path), "--json"]
    assert main([*command, str(tmp_path / "pipe.wav"), str(tmp_path / "zero.wav")]) == 1
    result = json.loads(capsys.readouterr().out)
    errors = [song["error"] for song in result["songs"] if song["status"] == "failed"]
    assert len(errors) == 2
    assert all("not a regular file" in error for error in errors)
