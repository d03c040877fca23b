"""Many songs, as an operator separates them: lists, shares, what failed, names, and what is printed."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from separating import RATE, noise, outputs, small_model, small_model_folder, write_song

import auralflow
from auralflow.cli import console, main
from auralflow.cli.separating import spoken
from auralflow.config import SeparateConfig, StemConfig, parse_settings
from auralflow.errors import SettingsError, UsageError
from auralflow.separation import Separator, find_songs, plan_files, separate_files
from auralflow.separation.lists import FailedSongs, escaped_path, paths_in, share_of, unescaped_path
from auralflow.separation.naming import file_names
from auralflow.separation.songs import Song


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(small_model_folder(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module")
def separator():
    return Separator(small_model())


@pytest.fixture
def songs(tmp_path):
    """Three good songs, of which two have one name, and a bad one."""
    for index, name in enumerate(("a.wav", "deep/a.wav", "deep/b.wav")):
        write_song(tmp_path / "songs" / name, noise(2, RATE, seed=index))
    (tmp_path / "songs/bad.wav").write_text("no audio")
    return tmp_path / "songs"


def run(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def stems(save):
    return sorted(path for path in outputs(save / "separated_audio") if path.endswith(".wav"))


# --- lists, shares

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1, max_size=20)


@given(st.lists(NAMES))
def test_a_list_separated_by_nul_holds_any_name(names):
    assert paths_in("".join(f"{name}\0" for name in names).encode()) == [Path(name) for name in names]


@given(st.binary(min_size=1).filter(lambda name: not set(name) & {0, 47}))
def test_any_path_is_one_line_of_the_list_of_failures_and_comes_back(name):
    path = Path("/songs") / os.fsdecode(name)
    line = escaped_path(path)
    assert len(line.splitlines()) == 1
    assert line.encode("utf-8")
    assert unescaped_path(line) == path


@given(st.sets(NAMES, max_size=50), st.integers(1, 12))
def test_shares_are_disjoint_complete_and_the_same_everywhere(names, count):
    songs = [Song(Path("here") / name, Path(name)) for name in sorted(names)]
    elsewhere = [Song(Path("/mnt") / song.name, song.name) for song in reversed(songs)]
    shares = [share_of(songs, (number, count)) for number in range(1, count + 1)]
    assert sorted(song.name for share in shares for song in share) == sorted(song.name for song in songs)
    for number, share in enumerate(shares, 1):
        assert {song.name for song in share} == {song.name for song in share_of(elsewhere, (number, count))}
        # More songs move none.
        assert set(share) >= set(share_of(songs[::2], (number, count)))


def test_shares_are_about_equal_and_blind_to_how_accents_are_written():
    songs = [Song(Path(f"{n}.wav"), Path(f"album {n // 12}/{n}")) for n in range(2000)]
    assert all(150 < len(share_of(songs, (number, 10))) < 250 for number in range(1, 11))
    one, other = (Song(Path(name), Path(name)) for name in ("Zo\u00eb", "Zoe\u0308"))
    assert [bool(share_of([one], (n, 97))) for n in range(1, 98)] == [
        bool(share_of([other], (n, 97))) for n in range(1, 98)
    ]


@pytest.mark.parametrize("shard", ["0/3", "4/3", "1", "1/0", "-1/3", "a/b"])
def test_a_share_that_is_none_is_refused(shard):
    with pytest.raises(SettingsError, match="must be of the form INDEX"):
        parse_settings(SeparateConfig, {"shard": shard})


def test_shares_in_one_folder_are_what_one_machine_makes(capsys, model, songs, tmp_path):
    assert run(capsys, "separate", model, songs, "-o", tmp_path / "one")[0] == 1
    for number in (1, 2, 3):
        run(capsys, "separate", model, songs, "--save", tmp_path / "three", "--shard", f"{number}/3", "-q")
    assert outputs(tmp_path / "three") == outputs(tmp_path / "one")


def test_songs_of_a_list_keep_their_paths_and_one_that_is_missing_fails(
    capsys, model, songs, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list").write_bytes(b"songs/a.wav\n./songs/deep/a.wav\r\n\n../x/missing.wav\n")
    code, _, err = run(capsys, "separate", model, "--from-file", "list", "-o", "out")
    assert code == 1
    assert "no such file or folder: '../x/missing.wav'" in err
    assert {Path(path).parent.as_posix() for path in stems(tmp_path / "out")} == {"songs/a", "songs/deep/a"}
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"songs/deep\0")))
    assert run(capsys, "separate", model, "songs/a.wav", "--from-file", "-", "-o", "more")[0] == 0
    folders = {Path(path).parent.as_posix() for path in stems(tmp_path / "more")}
    assert folders == {"a", "songs/deep/a", "songs/deep/b"}
    assert run(capsys, "separate", model, "--from-file", "nowhere")[0] == 2


# --- what failed


def test_an_empty_folder_is_an_error_unless_a_job_accepts_it(capsys, model, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/cover.jpg").write_bytes(b"a picture")
    command = ("separate", model, tmp_path / "empty", "--save", tmp_path)
    code, _, err = run(capsys, *command)
    assert code == 2
    assert "nothing to separate" in err
    code, out, err = run(capsys, *command, "--accept-failed", "--json")
    assert (code, json.loads(out)) == (0, {"songs": [], "failed": 0})
    assert "nothing to do: no song was found" in err
    assert run(capsys, "separate", model, tmp_path / "nowhere", "--accept-failed")[0] == 2


def test_what_failed_is_listed_and_done_alone(capsys, model, songs, tmp_path):
    command = ("separate", model, songs, "--save", tmp_path)
    listed = tmp_path / "separated_audio/failed.txt"
    code, out, err = run(capsys, *command)
    assert code == 1
    assert re.search(
        r"^error: 3 of 4 songs, 3\.0 s of audio in .*x real time; 1 failed, listed in (.*)$", err, re.M
    )[1] == str(listed)
    assert listed.read_text() == f"{songs / 'bad.wav'}\n"
    assert len(out.splitlines()) == 3
    code, out, err = run(capsys, *command, "--accept-failed")
    assert code == 0
    assert "3 of 4 songs; 3 kept from an earlier run; 1 failed, listed in" in out
    write_song(songs / "bad.wav")
    write_song(songs / "new.wav")
    code, out, _ = run(capsys, *command, "--only-failed", "--json")
    assert code == 0
    assert [Path(song["source"]).name for song in json.loads(out)["songs"]] == ["bad.wav"]
    assert not listed.exists()
    code, out, err = run(capsys, *command, "--only-failed")
    assert (code, out) == (0, "")
    assert "no song failed" in err


def test_only_failed_needs_an_earlier_run(capsys, model, songs, tmp_path):
    code, out, err = run(capsys, "separate", model, songs, "--save", tmp_path / "typo", "--only-failed")
    assert (code, out) == (2, "")
    assert f"no folder '{tmp_path / 'typo/separated_audio'}'" in err
    assert not (tmp_path / "typo").exists()


def test_a_folder_without_songs_is_noted(capsys, model, songs, tmp_path):
    (tmp_path / "empty").mkdir()
    command = ("separate", model, tmp_path / "empty", songs, "--save", tmp_path, "--dry-run")
    assert f"note: no audio files in '{tmp_path / 'empty'}'\n" in run(capsys, *command)[2]
    # The same folder, named in two ways, is not empty.
    twice = ("separate", songs, songs / ".." / songs.name, "--save", tmp_path, "--dry-run")
    assert "no audio files" not in run(capsys, *twice)[2]
    # Where no model was named, the first may be meant as one.
    first = ("separate", tmp_path / "empty", songs, "--save", tmp_path, "--dry-run")
    assert "no audio files in" in (err := run(capsys, *first)[2])
    assert "no model.json" in err


def test_runs_that_share_a_folder_share_the_list(tmp_path):
    failed = FailedSongs(tmp_path)
    failed.update(failed=[tmp_path / "closed", tmp_path / "x\ny"], done=[])
    FailedSongs(tmp_path).update(failed=[Path("/z")], done=[tmp_path / "other"])
    assert set(failed.read()) == {tmp_path / "closed", tmp_path / "x\ny", Path("/z")}
    inside = Song(tmp_path / "closed/deep/a.wav", Path("a"))
    assert failed.chosen([inside, Song(Path("/b"), Path("b"))]) == [inside]
    failed.update(failed=[], done=[inside.path, Path("/z"), tmp_path / "x\ny"])
    assert not failed.path.exists()
    failed.path.write_bytes(b"\xff")
    with pytest.raises(UsageError, match="cannot read"):
        failed.read()


# --- names and layouts


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "{track}"}, "{stem} is missing"),
        ({"name": "../{stem}"}, "valid in a file name"),
        ({"name": ".{stem}"}, "valid in a file name"),
        ({"name": "a\\{stem}"}, "valid in a file name"),
        ({"name": "{stem!r}"}, "only {track} and {stem}"),
        ({"name": "{stem.__class__}"}, "only {track} and {stem}"),
        ({"name": "{stem"}, "not a pattern"),
        ({"layout": "flat", "name": "{stem}"}, "needs {track}"),
    ],
)
def test_a_pattern_that_is_none_is_refused_in_one_line(values, message):
    with pytest.raises(SettingsError, match=re.escape(message)):
        parse_settings(SeparateConfig, values)


@given(NAMES, st.sampled_from(["{track} - {stem}", "{stem}{track}", "{track}_{track}_{stem}"]))
def test_a_name_stays_in_its_folder_and_fits_a_file_system(track, pattern):
    [name] = file_names(("vocals",), StemConfig(name=pattern, original=False), track * 30)
    assert len(os.fsencode(name)) <= 255
    assert Path(name).name == name
    assert name.endswith(".wav")


def test_files_are_named_by_a_pattern_in_a_tree_or_flat(separator, songs, tmp_path):
    list(separate_files(separator, find_songs([songs]), tmp_path / "t", name="{track} - {stem}"))
    assert "deep/b/b - vocals.wav" in stems(tmp_path / "t")
    found = find_songs([songs], flat=True)
    outcomes = list(separate_files(separator, found, tmp_path / "f", layout="flat", original=False))
    assert sorted(outcome.status for outcome in outcomes) == ["failed"] + ["separated"] * 3
    expected = [
        f"{track} - {stem}.wav" for track in ("a.wav (2)", "a.wav", "b") for stem in ("drums", "vocals")
    ]
    assert stems(tmp_path / "f") == expected
    again = list(separate_files(separator, found, tmp_path / "f", layout="flat", original=False))
    assert sorted(outcome.status for outcome in again) == ["failed"] + ["kept"] * 3
    # A missing file is made again, and no other.
    (tmp_path / "f/separated_audio/b - drums.wav").unlink()
    once_more = list(separate_files(separator, found, tmp_path / "f", layout="flat", original=False))
    assert sorted(outcome.status for outcome in once_more) == ["failed", "kept", "kept", "separated"]


def test_names_that_would_collide_are_refused_before_anything_is_computed(separator, songs, tmp_path):
    same = [Song(songs / "a.wav", Path("x/A")), Song(songs / "deep/a.wav", Path("y/a"))]
    for start in (separate_files, plan_files):
        with pytest.raises(UsageError, match=r"two files would have the name 'a - original\.wav'"):
            list(start(separator, same, tmp_path, StemConfig(layout="flat")))
    assert not (tmp_path / "separated_audio").exists()


def test_files_of_other_origin_are_not_replaced_in_a_flat_layout(separator, songs, tmp_path):
    mine = tmp_path / "separated_audio/b - vocals.wav"
    mine.parent.mkdir()
    mine.write_text("my own work")
    outcomes = separate_files(separator, find_songs([songs / "deep/b.wav"]), tmp_path, layout="flat")
    assert "not in the journal" in str(next(outcomes).error)
    assert mine.read_text() == "my own work"


FLAT = ("--layout", "flat", "--no-original", "--format", "flac")


def _is_writing(folder):
    # Folders come and go meanwhile, which `rglob` takes for an error.
    return any(name.endswith(".part") for _, _, names in os.walk(folder) for name in names)


def test_a_flat_layout_after_a_kill_is_that_of_an_uninterrupted_run(capsys, model, tmp_path):
    for index in range(6):
        write_song(tmp_path / f"songs/{index}.wav", noise(2, 8 * RATE, seed=index))
    command = ("separate", model, str(tmp_path / "songs"), *FLAT, "--precision", "float32")
    assert run(capsys, *command, "--save", tmp_path / "whole")[0] == 0
    environment = {**os.environ, "PYTHONPATH": str(Path(auralflow.__file__).parents[1])}
    with subprocess.Popen(
        [sys.executable, "-m", "auralflow", *command, "--save", tmp_path / "killed", "--json-lines"],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        first = json.loads(process.stdout.readline())
        # In the middle of a later song.
        while not _is_writing(tmp_path / "killed") and process.poll() is None:
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
    assert first["status"] == "separated"
    code, out, _ = run(capsys, *command, "--save", tmp_path / "killed", "--json-lines")
    assert code == 0
    assert {json.loads(line)["status"] for line in out.splitlines()} <= {"kept", "separated"}
    assert json.loads(out.splitlines()[0])["status"] == "kept"
    assert outputs(tmp_path / "killed") == outputs(tmp_path / "whole")
    left = {path.name for path in (tmp_path / "killed/separated_audio").iterdir() if path.name[0] == "."}
    assert left <= {".auralflow-journal.jsonl", ".auralflow-journal.lock"}


# --- what is printed


def test_a_line_of_json_for_each_song(capsys, model, songs, tmp_path):
    code, out, err = run(capsys, "separate", model, songs, "--save", tmp_path, "--json-lines")
    assert code == 1
    told = {
        Path(line["path"]).relative_to(songs).as_posix(): line for line in map(json.loads, out.splitlines())
    }
    assert set(told) == {"a.wav", "deep/a.wav", "deep/b.wav", "bad.wav"}
    assert set(told["a.wav"]) == {"path", "status", "seconds", "elapsed", "stems", "error"}
    assert told["a.wav"]["seconds"] == 1.0
    assert all(Path(stem).is_file() for stem in told["a.wav"]["stems"])
    assert told["bad.wav"]["status"] == "failed"
    assert "bad.wav" in told["bad.wav"]["error"]
    assert "1 failed, listed in" in err
    assert run(capsys, "separate", model, songs, "--json", "--json-lines")[0] == 2


def test_quiet_prints_errors_only(capsys, model, songs, tmp_path):
    code, out, err = run(capsys, "separate", model, songs / "a.wav", "--save", tmp_path, "-q")
    assert (code, out, err) == (0, "", "")
    code, out, err = run(capsys, "separate", model, songs, "--save", tmp_path, "-q")
    assert (code, out) == (1, "")
    assert all(line.startswith("error: ") for line in err.splitlines())


def test_the_end_names_the_stems_and_their_place(capsys, model, songs, tmp_path):
    folder = tmp_path / "separated_audio"
    _, out, _ = run(capsys, "separate", model, songs / "a.wav", "--save", tmp_path)
    assert out.splitlines()[:-1] == [
        str(folder / f"a/{stem}.wav") for stem in ("original", "vocals", "drums")
    ]
    assert re.fullmatch(r"1 song, 1\.0 s of audio in .*x real time", out.splitlines()[-1])
    _, out, _ = run(capsys, "separate", model, songs / "deep", "--save", tmp_path, "--residual")
    *folders, stems_line, last = out.splitlines()
    assert folders == [str(folder / "a (2)"), str(folder / "b")]
    assert stems_line == "stems: original, vocals, drums, residual"
    assert last.startswith("2 of 2 songs, 2.0 s of audio in ")
    lines = (folder / ".auralflow-journal.jsonl").read_text().splitlines()
    finished = [record for record in map(json.loads, lines) if record["event"] == "finished"]
    for record in finished:
        speed = record["report"]["seconds"] / record["elapsed"]
        assert record["times_real_time"] == pytest.approx(speed, rel=0.02, abs=0.01)


def test_a_log_file_gets_everything_with_its_time(capsys, model, songs, tmp_path):
    log = tmp_path / "run.log"
    for _ in range(2):
        run(capsys, "separate", model, songs, "--save", tmp_path, "--log-file", log, "-q")
    lines = log.read_text().splitlines()
    assert any("ERROR auralflow.messages: 3 of 4 songs" in line for line in lines)
    assert any("loading the model" in line for line in lines)
    assert sum("cannot read" in line and "bad.wav" in line and "ERROR" in line for line in lines) == 2
    stamped = [line for line in lines if re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} ", line)]
    assert len(stamped) > 6
    code, _, err = run(capsys, "separate", model, songs, "--log-file", tmp_path)
    assert code == 2
    assert err.startswith(f"error: cannot write the log to '{tmp_path}'")


@pytest.mark.parametrize(
    "name", ["song.flac", "音楽" * 60 + ".wav", "[bold]x[/] [/a] " + "long " * 40, "e\u0301" * 90]
)
@pytest.mark.parametrize("columns", [40, 80, 200])
def test_the_bar_is_one_line_that_fits_whatever_a_song_is_called(name, columns):
    progress = console.song_progress()
    now = [0.0]
    progress.get_time = lambda: now[0]
    task = progress.add_task(name, total=63, done=12)
    now[0] = 8.0
    progress.update(task, completed=12.2)
    page = io.StringIO()
    Console(file=page, width=columns, markup=True).print(progress.get_renderable())
    [line] = page.getvalue().splitlines()
    assert cell_len(line) <= columns
    assert line.startswith("12/63 ")
    if columns >= 80:
        assert line.startswith("12/63 " + name[:4])
        assert "19 %, 0:08 gone" in line


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.04, "0.0 s"), (59.6, "1 min"), (600, "10 min"), (3600, "1 h 0 min")]
)
def test_times_in_words(seconds, words):
    assert spoken(seconds) == words
