"""Folders of songs: nothing lost, nothing done twice, whatever happens in between."""

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from separating import RATE, noise, outputs, small_model, small_model_folder, write_song

import auralflow
from auralflow.config import SeparateConfig
from auralflow.errors import AudioError, NotFoundError
from auralflow.models import load
from auralflow.separation import Separator, find_songs, folder, plan_files, separate_files
from auralflow.separation.journal import JOURNAL_FILE, Journal
from auralflow.separation.records import FileMark, Record
from auralflow.separation.songs import numbered


@pytest.fixture(scope="module")
def separator():
    return Separator(small_model())


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """Songs in a tree, in several forms; with a folder of stems, and things that are no songs."""
    folder = tmp_path_factory.mktemp("library")
    for index, name in enumerate(("a.wav", "deep/b.wav", "deep/deeper/ç 音.wav", "-dash.wav")):
        write_song(folder / name, noise(2, 2 * RATE + index, seed=index))
    write_song(folder / "deep/c.flac", noise(1, RATE, seed=9), format="FLAC")
    write_song(folder / "tracks/Song One/mixture.wav", noise(2, RATE, seed=10), subtype="FLOAT")
    write_song(folder / "tracks/Song One/vocals.wav", noise(2, RATE, seed=11))
    (folder / "cover.jpg").write_bytes(b"no song")
    return folder


def _statuses(separator, folder, save, **options):
    return {
        outcome.song.path.name: outcome.status
        for outcome in separate_files(separator, find_songs([folder]), save, **options)
    }


def _journal(save):
    return [json.loads(line) for line in (save / "separated_audio" / JOURNAL_FILE).read_text().splitlines()]


def test_tree_is_mirrored_and_no_two_songs_share_a_folder(separator, library, tmp_path):
    _statuses(separator, library, tmp_path)
    folders = {
        path.parent.relative_to(tmp_path / "separated_audio") for path in tmp_path.rglob("original.wav")
    }
    assert {folder.as_posix() for folder in folders} == {
        "a",
        "-dash",
        "deep/b",
        "deep/c",
        "deep/deeper/ç 音",
        "tracks/Song One",
    }


def test_second_run_keeps_what_is_finished(separator, library, tmp_path):
    assert set(_statuses(separator, library, tmp_path).values()) == {"separated"}
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.wav")}
    assert set(_statuses(separator, library, tmp_path).values()) == {"kept"}
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.wav")} == before


def test_other_settings_other_models_and_force_do_it_again(separator, tmp_path):
    song = write_song(tmp_path / "a.wav")
    assert _statuses(separator, song, tmp_path) == {"a.wav": "separated"}
    assert _statuses(separator, song, tmp_path, residual=True) == {"a.wav": "separated"}
    assert _statuses(Separator(small_model(), overlap=0.5), song, tmp_path) == {"a.wav": "separated"}
    assert _statuses(Separator(small_model(seed=1)), song, tmp_path) == {"a.wav": "separated"}
    assert _statuses(separator, song, tmp_path) == {"a.wav": "separated"}
    assert _statuses(separator, song, tmp_path) == {"a.wav": "kept"}
    assert _statuses(separator, song, tmp_path, force=True) == {"a.wav": "separated"}


def test_settings_without_effect_on_the_stems_do_not_do_it_again(separator, tmp_path):
    song = write_song(tmp_path / "a.wav")
    _statuses(separator, song, tmp_path)
    assert _statuses(Separator(small_model(), batch_size=7, device="cpu"), song, tmp_path) == {
        "a.wav": "kept"
    }


@pytest.mark.parametrize("damage", ["missing", "shorter", "changed"])
def test_damaged_stems_are_made_again(separator, tmp_path, damage):
    song = write_song(tmp_path / "a.wav")
    _statuses(separator, song, tmp_path)
    stem = tmp_path / "separated_audio/a/drums.wav"
    whole = stem.read_bytes()
    if damage == "missing":
        stem.unlink()
    else:
        stem.write_bytes(whole[:-1] if damage == "shorter" else whole[:-1] + bytes([whole[-1] ^ 1]))
    assert _statuses(separator, song, tmp_path) == {"a.wav": "separated"}
    assert stem.read_bytes() == whole


def test_copied_results_are_recognised_by_their_content(separator, tmp_path):
    song = write_song(tmp_path / "a.wav")
    _statuses(separator, song, tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "two", copy_function=shutil.copyfile)
    assert _statuses(separator, song, tmp_path / "two") == {"a.wav": "kept"}


def test_changed_song_is_separated_again_in_its_place(separator, tmp_path):
    song = write_song(tmp_path / "a.wav", noise(seed=1))
    _statuses(separator, song, tmp_path)
    first = outputs(tmp_path / "separated_audio")
    write_song(song, noise(seed=2))
    assert _statuses(separator, song, tmp_path) == {"a.wav": "separated"}
    second = outputs(tmp_path / "separated_audio")
    assert first.keys() == second.keys()
    assert first["a/vocals.wav"] != second["a/vocals.wav"]


def test_songs_of_one_name_from_separate_runs_get_folders_of_their_own(separator, tmp_path):
    for index in range(3):
        song = write_song(tmp_path / f"{index}/a.wav", noise(seed=index))
        assert _statuses(separator, song, tmp_path) == {"a.wav": "separated"}
    folders = sorted(path.name for path in (tmp_path / "separated_audio").iterdir() if path.is_dir())
    assert folders == ["a", "a (2)", "a (3)"]
    assert _statuses(separator, tmp_path / "1/a.wav", tmp_path) == {"a.wav": "kept"}


def test_song_that_was_moved_is_kept(separator, tmp_path):
    song = write_song(tmp_path / "here/a.wav")
    _statuses(separator, song, tmp_path)
    (tmp_path / "there").mkdir()
    assert _statuses(separator, song.rename(tmp_path / "there/a.wav"), tmp_path) == {"a.wav": "kept"}


def test_files_of_other_origin_are_not_overwritten_without_force(separator, tmp_path):
    song = write_song(tmp_path / "a.wav")
    mine = tmp_path / "separated_audio/a/vocals.wav"
    mine.parent.mkdir(parents=True)
    mine.write_text("my own work")
    outcome = next(separate_files(separator, find_songs([song]), tmp_path))
    assert outcome.status == "failed"
    assert "not in the journal" in str(outcome.error)
    assert mine.read_text() == "my own work"
    assert _statuses(separator, song, tmp_path, force=True) == {"a.wav": "separated"}
    assert mine.read_bytes()[:4] == b"RIFF"


def test_one_bad_song_does_not_stop_the_others_and_is_tried_again(separator, tmp_path):
    (tmp_path / "songs").mkdir()
    (tmp_path / "songs/b.wav").write_text("no audio at all")
    for name in "ac":
        write_song(tmp_path / f"songs/{name}.wav")
    expected = {"a.wav": "separated", "b.wav": "failed", "c.wav": "separated"}
    assert _statuses(separator, tmp_path / "songs", tmp_path) == expected
    assert not (tmp_path / "separated_audio/b").exists()
    write_song(tmp_path / "songs/b.wav")
    expected = {"a.wav": "kept", "b.wav": "separated", "c.wav": "kept"}
    assert _statuses(separator, tmp_path / "songs", tmp_path) == expected


def test_several_jobs_give_the_same_files(separator, library, tmp_path):
    _statuses(separator, library, tmp_path / "one")
    assert set(_statuses(separator, library, tmp_path / "three", jobs=3).values()) == {"separated"}
    assert outputs(tmp_path / "one") == outputs(tmp_path / "three")


def test_jobs_stop_when_nobody_listens_any_more(separator, library, tmp_path, monkeypatch):
    stopped = threading.Event()
    songs = find_songs([library])

    def hold(song, fraction):
        if song != songs[0] and not fraction:
            assert stopped.wait(300)

    outcomes = separate_files(separator, songs, tmp_path, jobs=2, on_progress=hold)
    with monkeypatch.context() as patch:
        patch.setattr(folder, "Event", lambda: stopped)
        assert next(outcomes).song == songs[0]
    outcomes.close()  # type: ignore[attr-defined]
    assert len(list(tmp_path.rglob("original.wav"))) == 1
    assert not list(tmp_path.rglob("*.part"))
    assert set(_statuses(separator, library, tmp_path).values()) == {"kept", "separated"}


# --- the journal itself


def _record(name="a", event="finished", **changes):
    mark = FileMark(1, 2, "x")
    report = {"files": ["vocals.wav"], "seconds": 1.0}
    return Record(event, name, "key", "/songs/a.wav", mark, {"vocals.wav": mark}, report, **changes)


def test_torn_line_is_passed_over_and_costs_no_other(tmp_path):
    journal = Journal(tmp_path)
    journal.add(_record("a"))
    with journal.path.open("a") as file:
        file.write('{"event": "finis')
    journal.add(_record("b"))
    fresh = Journal(tmp_path)
    fresh.refresh()
    assert fresh.latest("a") == _record("a")
    assert fresh.latest("b") == _record("b")


def test_journal_reads_what_others_add(tmp_path):
    mine, yours = Journal(tmp_path), Journal(tmp_path)
    for index in range(3):
        yours.add(_record(str(index)))
        mine.refresh()
        assert mine.latest(str(index)) == _record(str(index))


def test_records_of_any_name_survive_the_file(tmp_path):
    name = os.fsdecode('ü\n"\xff'.encode("latin-1"))
    journal = Journal(tmp_path)
    journal.add(_record(name))
    fresh = Journal(tmp_path)
    fresh.refresh()
    assert fresh.latest(name) == _record(name)


def test_stems_of_a_song_that_changed_while_it_was_read_get_no_names(separator, tmp_path):
    song = write_song(tmp_path / "songs/a.wav", noise(2, 4 * RATE))
    write_song(tmp_path / "songs/b.wav")

    def touch(under_way, share):
        if under_way.path == song and share:
            os.utime(song, ns=(1, 1))

    songs = find_songs([tmp_path / "songs"])
    outcomes = {o.song.name.name: o for o in separate_files(separator, songs, tmp_path, on_progress=touch)}
    assert str(outcomes["a"].error) == f"'{song}' changed while it was being read. Run again."
    assert outcomes["b"].status == "separated"
    assert not (tmp_path / "separated_audio/a").exists()
    assert _statuses(separator, song, tmp_path) == {"a.wav": "separated"}


def test_stems_of_an_earlier_run_stay_when_the_song_changes_while_it_is_read_again(separator, tmp_path):
    song = write_song(tmp_path / "a.wav", noise(2, RATE))
    _statuses(separator, song, tmp_path)
    before = outputs(tmp_path)
    [outcome] = separate_files(
        separator,
        find_songs([song]),
        tmp_path,
        force=True,
        on_progress=lambda _, share: share and os.utime(song, ns=(1, 1)),
    )
    assert outcome.status == "failed"
    assert outputs(tmp_path) == before


# --- names


def test_longest_names_are_numbered_within_the_limit(separator, tmp_path):
    name = "ü" * 125 + "x"
    song = write_song(tmp_path / f"one/{name}.wav", noise(seed=1))
    other = write_song(tmp_path / f"two/{name}.wav", noise(seed=2))
    assert len(os.fsencode(song.name)) == 255
    for path in (song, other):
        assert _statuses(separator, path, tmp_path) == {song.name: "separated"}
    assert len(os.fsencode(numbered(Path(name), 12).name)) <= 255
    assert len(list(tmp_path.rglob("original.wav"))) == 2


def test_name_that_points_out_of_the_folder_stays_inside(separator, tmp_path):
    song = write_song(tmp_path / "songs/...wav", format="WAV")
    _statuses(separator, song, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"separated_audio"}
    assert (tmp_path / "out/separated_audio/...wav/vocals.wav").is_file()


def test_nothing_to_separate_is_an_error(tmp_path):
    with pytest.raises(NotFoundError, match="nothing to separate"):
        find_songs([tmp_path])
    with pytest.raises(NotFoundError, match="no such file"):
        find_songs([tmp_path / "gone.wav"])


# --- the plan


def test_plan_says_what_a_run_then_does(separator, library, tmp_path):
    songs = find_songs([library])
    list(separate_files(separator, songs[:2], tmp_path))
    size = sum(path.stat().st_size for path in tmp_path.rglob("*.wav"))
    before = outputs(tmp_path)
    plan = plan_files(separator, songs, tmp_path, SeparateConfig())
    assert outputs(tmp_path) == before
    assert [song.action for song in plan.songs] == ["keep"] * 2 + ["separate"] * 4
    list(separate_files(separator, songs, tmp_path))
    added = sum(path.stat().st_size for path in tmp_path.rglob("*.wav")) - size
    assert added <= plan.bytes
    assert plan.fits
    assert plan.speed > 0
    assert plan.seconds > 0
    assert json.loads(json.dumps(plan.to_json()))["fits"]


def test_plan_of_a_bad_song_tells_why(separator, tmp_path):
    (tmp_path / "a.wav").write_text("no audio")
    plan = plan_files(separator, find_songs([tmp_path]), tmp_path, SeparateConfig())
    assert plan.songs[0].action == "fail"
    assert plan.songs[0].error


def test_song_that_the_disk_cannot_hold_is_refused_before_it_is_begun(separator, tmp_path, monkeypatch):
    song = write_song(tmp_path / "a.wav")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 10))
    outcome = next(separate_files(separator, find_songs([song]), tmp_path))
    assert "not enough disk space" in str(outcome.error)
    assert not plan_files(separator, find_songs([song]), tmp_path, SeparateConfig()).fits


# --- death, and others at work


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    return small_model_folder(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def uninterrupted(library, model_folder, tmp_path_factory):
    save = tmp_path_factory.mktemp("whole")
    list(separate_files(Separator(load(model_folder)), find_songs([library]), save, residual=True))
    return outputs(save)


def _start(model_folder, songs, save, *options):
    source = Path(auralflow.__file__).parents[1]
    process = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("separating.py"), model_folder, songs, save, *options],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(source)},
    )
    assert process.stdout.readline() == "ready\n"
    return process


def _kill_and_run_again(model_folder, library, save, delay):
    with _start(model_folder, library, save) as process:
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
    list(separate_files(Separator(load(model_folder)), find_songs([library]), save, residual=True))
    return outputs(save)


@pytest.mark.parametrize("delay", [0.02, 0.15, 0.4])
def test_run_after_a_kill_gives_the_files_of_an_uninterrupted_run(
    model_folder, library, uninterrupted, tmp_path, delay
):
    assert _kill_and_run_again(model_folder, library, tmp_path, delay) == uninterrupted


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(30))
def test_run_after_a_kill_at_any_moment(model_folder, library, uninterrupted, tmp_path, seed):
    delay = random.Random(seed).uniform(0, 1.2)
    assert _kill_and_run_again(model_folder, library, tmp_path, delay) == uninterrupted


def test_processes_share_a_folder(model_folder, library, uninterrupted, tmp_path):
    processes = [_start(model_folder, library, tmp_path) for _ in range(2)]
    lines = [process.communicate()[0].splitlines() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert outputs(tmp_path) == uninterrupted
    done = [line for line in _journal(tmp_path) if line["event"] == "finished"]
    assert len(done) == len({line["name"] for line in done}) == 6
    # Each tells of every song, and did itself what the other kept.
    assert [len(told) for told in lines] == [6, 6]
    assert sum(line.startswith("separated") for told in lines for line in told) == 6


def test_claim_of_a_dead_process_is_taken_over(model_folder, library, tmp_path):
    with _start(model_folder, library, tmp_path) as process:
        os.kill(process.pid, signal.SIGSTOP)
        claims = list((tmp_path / "separated_audio").glob(".auralflow-claims/*"))
        process.send_signal(signal.SIGKILL)
    assert len(claims) <= 1
    separator = Separator(load(model_folder))
    assert {o.status for o in separate_files(separator, find_songs([library]), tmp_path)} <= {
        "separated",
        "kept",
    }


@pytest.mark.parametrize("limit", [50_000, 100_000, 400_000])
@pytest.mark.parametrize("options", [{}, {"subtype": "FLOAT"}, {"format": "flac"}])
def test_full_disk_fails_and_the_next_run_makes_up_for_it(tmp_path, separator, limit, options):
    songs = tmp_path / "songs"
    write_song(songs / "long.wav", noise(2, 6 * RATE))
    write_song(songs / "short.wav", noise(2, 500))
    save, whole = tmp_path / "save", tmp_path / "whole"
    list(separate_files(separator, find_songs([songs]), whole, **options))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # As a disk that is full: no file can grow beyond this.
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        outcomes = {
            o.song.name.name: o for o in separate_files(separator, find_songs([songs]), save, **options)
        }
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert outcomes["short"].status == "separated"
    assert not list(save.rglob("*.part"))
    if outcomes["long"].status == "failed":
        assert "\n" not in str(outcomes["long"].error)
        assert isinstance(outcomes["long"].error, AudioError)
        assert not list(save.rglob("long/*"))
    else:
        assert limit == 400_000
    list(separate_files(separator, find_songs([songs]), save, **options))
    assert outputs(save) == outputs(whole)


def test_a_start_behind_the_end_is_an_error_and_leaves_what_is_there(separator, tmp_path):
    song = write_song(tmp_path / "a.wav", noise(2, RATE))
    assert _statuses(separator, song, tmp_path) == {"a.wav": "separated"}
    before = outputs(tmp_path)
    [outcome] = separate_files(separator, find_songs([song]), tmp_path, SeparateConfig(start=1))
    assert outcome.status == "failed"
    assert "more than the 1 s skipped by `start`" in str(outcome.error)
    assert outputs(tmp_path) == before
    [planned] = plan_files(separator, find_songs([song]), tmp_path, SeparateConfig(start=2)).songs
    assert planned.error


def test_a_song_that_cannot_be_read_is_told_apart_from_stems_that_cannot_be_written(
    separator, tmp_path, monkeypatch
):
    song = write_song(tmp_path / "a.wav", noise(2, RATE))

    def closed(path, earlier=None):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(FileMark, "of", closed)
    [outcome] = separate_files(separator, find_songs([song]), tmp_path)
    assert "cannot read" in str(outcome.error)
    assert "Permission denied" in str(outcome.error)
