"""One item of many that goes wrong in a way that nobody foresaw costs one line; the others are done."""

import gc
import json
import weakref
from dataclasses import fields

import numpy as np
import pytest
import soundfile
from conftest import RATE, constant_model, write_track

from auralflow.app import Order, Studio, Workspace
from auralflow.app.jobs import Jobs
from auralflow.app.page import _separating
from auralflow.app.view import View
from auralflow.cli import main
from auralflow.config import AppConfig
from auralflow.errors import AudioError, UnexpectedError
from auralflow.evaluation import run
from auralflow.separation import Separator, find_songs, separate_files, work
from auralflow.separation.cluster import _outcome
from auralflow.separation.songs import Song

SURPRISES = [
    AttributeError("'AudioStream' object has no attribute 'rate'"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    RuntimeError("a\nmessage of\ntwo lines and more"),
    MemoryError(),
    RecursionError(),
    ZeroDivisionError(),
]


@pytest.fixture
def songs(tmp_path):
    for name in "abc":
        noise = 0.1 * np.random.default_rng(0).standard_normal((RATE, 2))
        (tmp_path / "songs").mkdir(exist_ok=True)
        soundfile.write(tmp_path / f"songs/{name}.wav", noise, RATE, subtype="PCM_16")
    return tmp_path / "songs"


@pytest.fixture
def surprise(monkeypatch):
    """Let the separation of b.wav raise something."""
    real = work.separate_file  # type: ignore[attr-defined]

    def install(error):
        def separate_file(separator, path, *arguments, **options):
            if path.name == "b.wav":
                raise error
            return real(separator, path, *arguments, **options)

        monkeypatch.setattr(work, "separate_file", separate_file)

    return install


@pytest.mark.parametrize("error", SURPRISES, ids=lambda error: type(error).__name__)
def test_a_song_that_raises_anything_stops_no_other(
    model_folder, songs, tmp_path, capsys, surprise, error, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "500")  # a line is not broken
    surprise(error)
    model = str(model_folder())
    assert main(["separate", model, str(songs), "--save", str(tmp_path), "--json"]) == 1
    captured = capsys.readouterr()
    told = {song["source"][-5:]: song for song in json.loads(captured.out)["songs"]}
    assert [told[name]["status"] for name in ("a.wav", "b.wav", "c.wav")] == [
        "separated",
        "failed",
        "separated",
    ]
    assert told["b.wav"]["error"].startswith(f"cannot separate '{songs / 'b.wav'}': found ")
    assert "\n" not in told["b.wav"]["error"]
    assert "Traceback" not in captured.err
    assert "; 1 failed, listed in " in captured.err
    assert not (tmp_path / "separated_audio/b").exists()


def test_what_failed_holds_none_of_its_audio(songs, tmp_path, monkeypatch):
    class Audio:
        pass

    held = []

    def separate_file(*_, **__):
        first = Audio()
        held.append(weakref.ref(first))
        try:
            second = Audio()
            held.append(weakref.ref(second))
            raise ValueError
        except ValueError as error:
            raise (AudioError("no sound") if len(held) == 2 else KeyError("x")) from error

    monkeypatch.setattr(work, "separate_file", separate_file)
    outcomes = list(separate_files(Separator(constant_model(0.5)), find_songs([songs]), tmp_path / "save"))
    gc.collect()
    assert [outcome.status for outcome in outcomes] == ["failed"] * 3
    assert [reference() for reference in held] == [None] * 6


def test_where_it_comes_from_is_shown_with_verbose_only(model_folder, songs, tmp_path, capsys, surprise):
    surprise(KeyError("rate"))
    command = ["separate", str(model_folder()), str(songs), "--save", str(tmp_path)]
    assert main(command) == 1
    assert "Traceback" not in capsys.readouterr().err
    assert main(["--verbose", *command]) == 1
    error = capsys.readouterr().err
    assert "Traceback" in error
    assert "in separate_file" in error


def test_ctrl_c_is_no_fault_of_a_song(model_folder, songs, tmp_path, capsys, surprise):
    surprise(KeyboardInterrupt())
    assert main(["separate", str(model_folder()), str(songs), "--save", str(tmp_path)]) == 130
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "separated_audio/c").exists()


def test_a_dry_run_tells_of_any_fault_as_the_run_would(model_folder, songs, tmp_path, capsys, monkeypatch):
    real = work.probe  # type: ignore[attr-defined]

    def probe(path, **options):
        if path.name == "b.wav":
            raise AttributeError("no rate")
        return real(path, **options)

    monkeypatch.setattr(work, "probe", probe)
    command = ["separate", str(model_folder()), str(songs), "--save", str(tmp_path), "--dry-run", "--json"]
    assert main(command) == 1
    assert [song["action"] for song in json.loads(capsys.readouterr().out)["songs"]] == [
        "separate",
        "fail",
        "separate",
    ]


def test_a_worker_of_a_cluster_that_raises_anything_is_one_failed_song(tmp_path):
    class Ray:
        def get(self, task):
            raise TypeError("cannot pickle\nthis")

    outcome = _outcome(Ray(), None, Song(tmp_path / "a.wav", tmp_path), tmp_path)
    assert outcome.status == "failed"
    assert (
        str(outcome.error) == f"no worker on the cluster finished '{tmp_path / 'a.wav'}': found cannot pickle"
    )


def test_a_track_that_raises_anything_stops_no_other(model_folder, tmp_path, capsys, monkeypatch):
    for name in "abc":
        write_track(tmp_path / "data/test" / name, seconds=1)
    real = run.score_track  # type: ignore[attr-defined]

    def score_track(system, track, *arguments, **options):
        if track.name == "b":
            raise ZeroDivisionError("division by zero")
        return real(system, track, *arguments, **options)

    monkeypatch.setattr(run, "score_track", score_track)
    save = tmp_path / "scores.json"
    command = ["evaluate", str(model_folder()), str(tmp_path / "data"), "--no-bounds", "--save", str(save)]
    assert main(command) == 1
    error = capsys.readouterr().err
    assert "cannot score 'b': found ZeroDivisionError: division by zero" in error
    assert "Traceback" not in error
    assert len(json.loads(save.read_text())["tracks"]) == 2


def test_a_song_of_the_page_that_raises_anything_is_one_line_there(songs, tmp_path, monkeypatch):
    def separate_file(*_, **__):
        raise KeyError("rate")

    monkeypatch.setattr("auralflow.app.studio.separate_file", separate_file)
    models = {"mine": constant_model(0.5, num_channels=2)}
    with (
        Workspace(keep=60, parent=tmp_path / "kept") as workspace,
        Jobs(Studio(models, AppConfig(), workspace)) as jobs,
    ):
        order = Order(songs / "a.wav", "mine", ("vocals",))
        with pytest.raises(
            UnexpectedError, match=r"cannot separate 'a.wav': found KeyError: 'rate'\. Try anoth"
        ):
            list(jobs.studio.run(order))
        assert not list(workspace.jobs.iterdir())

        pytest.importorskip("gradio", reason="needs the extra app")
        request = type("Request", (), {"session_hash": "me"})()
        view = View(**{field.name: field.name for field in fields(View)})
        shown = list(_separating(jobs, view)(str(order.song), "mine", ["vocals"], request))[-1]
        assert "Cannot separate &#x27;a.wav&#x27;" in str(shown["status"])


def test_anything_else_ends_a_command_in_one_line(model_folder, songs, tmp_path, capsys, monkeypatch):
    def find_songs(paths, **_):
        raise PermissionError(13, "Permission denied", "/closed")

    monkeypatch.setattr("auralflow.separation.find_songs", find_songs)
    command = ["separate", str(model_folder()), str(songs), "--save", str(tmp_path)]
    assert main(command) == 1
    assert capsys.readouterr().err == "error: cannot use '/closed': found 'Permission denied'\n"
    monkeypatch.setattr("auralflow.separation.find_songs", lambda *_, **__: 1 / 0)
    assert main(command) == 1
    expected = "error: the command failed: found ZeroDivisionError: division by zero. --verbose shows where"
    assert capsys.readouterr().err.startswith(expected)
