"""The journal of an output folder, whatever somebody has written to it or put in its place."""

import json
import logging
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from separating import noise, small_model_folder, write_song

from auralflow.cli import main
from auralflow.separation.journal import CLAIMS_FOLDER, JOURNAL_FILE, LOCK_FILE, Journal
from auralflow.separation.records import FileMark, Record

MARK = {"size": 1, "modified": 2, "sha256": "x"}
GOOD = {
    "event": "finished",
    "name": "a",
    "key": "k",
    "source": "/a.wav",
    "content": MARK,
    "files": {"vocals.wav": MARK},
    "report": {"files": ["vocals.wav"], "seconds": 1.0, "gain_db": -0.5},
}


def _with(path, value):
    """The good line with one value changed, or taken out."""
    line = json.loads(json.dumps(GOOD))
    *parents, last = path
    place = line
    for name in parents:
        place = place[name]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return json.dumps(line)


# From attacks that once ended every later run: each is JSON, or nearly, and no record.
BAD_LINES = {
    "brackets without end": "[" * 100_000,
    "a list": "[]",
    "null": "null",
    "a number too long": "1" * 5000,
    "no event": _with(["event"], None),
    "a foreign event": _with(["event"], "eaten"),
    "a name that is a list": _with(["name"], ["a"]),
    "no name at all": _with(["name"], ""),
    "NUL in the name": _with(["name"], "a\0b"),
    "a key that is a list": _with(["key"], [1]),
    "a source that is a list": _with(["source"], [1]),
    "content that is null": _with(["content"], "null"),
    "a size that is text": _with(["content", "size"], "many"),
    "a size that is true": _with(["content", "size"], True),
    "no files": _with(["files"], {}),
    "files that are a list": _with(["files"], ["vocals.wav"]),
    "NUL in a file": _with(["files"], {"a\0.wav": MARK}),
    "a file elsewhere": _with(["files"], {"../vocals.wav": MARK}),
    "files that the report does not know": _with(["files"], {"drums.wav": MARK}),
    "a report that is empty": _with(["report"], {}),
    "a report that is a list": _with(["report"], [1]),
    "a report without its length": _with(["report", "seconds"], None),
    "a length that is text": _with(["report", "seconds"], "long"),
    "a gain that is text": _with(["report", "gain_db"], "low"),
    "a gain that is NaN": _with(["report", "gain_db"], float("nan")),
    "an infinite gain": _with(["report", "gain_db"], float("inf")),
    "bytes": "\udcff\udcfe",
}


def _write(journal, *lines):
    journal.folder.mkdir(exist_ok=True)
    with journal.path.open("a", errors="surrogateescape") as file:
        file.writelines(f"{line}\n" for line in lines)


@pytest.mark.parametrize("line", BAD_LINES.values(), ids=BAD_LINES)
def test_a_line_of_any_shape_is_passed_over_with_a_warning(tmp_path, caplog, line):
    journal = Journal(tmp_path)
    _write(journal, line, json.dumps(GOOD))
    with caplog.at_level(logging.WARNING, "auralflow"):
        journal.refresh()
    assert [record.getMessage() for record in caplog.records] == [
        f"skipped unreadable lines in '{journal.path}': 1"
    ]
    assert journal.latest("a").report["gain_db"] == -0.5


def test_a_line_of_today_is_a_record_and_says_nothing(tmp_path, caplog):
    journal = Journal(tmp_path)
    mark = FileMark(1, 2, "x")
    journal.add(Record("started", "a", "k", "/a.wav", mark, {}, {}))
    journal.add(Record("failed", "a", "k", "/a.wav", mark, {}, {}, error="why"))
    _write(journal, json.dumps(GOOD | {"what a later version adds": 1}))
    with caplog.at_level(logging.WARNING, "auralflow"):
        journal.refresh()
    assert not caplog.records
    assert journal.latest("a").event == "finished"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(field=st.sampled_from([*GOOD, "content.size", "report.files", "report.seconds"]), value=VALUES)
def test_no_value_in_any_place_raises(field, value):
    line = json.loads(json.dumps(GOOD))
    *parents, last = field.split(".")
    place = line
    for name in parents:
        place = place[name]
    place[last] = value
    record = Record.from_line(json.dumps(line).encode())
    assert record is None or (record.files and isinstance(record.report["seconds"], float | int))


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    return small_model_folder(tmp_path_factory.mktemp("model"))


def _separate(model, tmp_path, *options):
    return main(["separate", str(model), str(tmp_path / "songs"), "--save", str(tmp_path), *options])


def test_a_forged_finish_without_files_does_not_keep_the_song(model_folder, tmp_path, capsys):
    write_song(tmp_path / "songs/a.wav", noise())
    assert _separate(model_folder, tmp_path) == 0
    output = tmp_path / "separated_audio"
    lines = [json.loads(line) for line in (output / JOURNAL_FILE).read_text().splitlines()]
    for path in (output / "a").iterdir():
        path.unlink()
    forged = lines[-1] | {"files": {}, "report": lines[-1]["report"] | {"files": []}}
    (output / JOURNAL_FILE).write_text(json.dumps(forged) + "\n")
    capsys.readouterr()
    assert _separate(model_folder, tmp_path, "--force") == 0
    assert (output / "a/vocals.wav").is_file()
    assert "warning: skipped unreadable lines in" in capsys.readouterr().err


def _pipe(path):
    os.mkfifo(path)


def _device(path):
    path.symlink_to("/dev/zero")


def _link(path):
    elsewhere = path.parent.parent / "my notes"
    elsewhere.write_text("mine")
    path.symlink_to(elsewhere)


def _folder(path):
    path.mkdir()


@pytest.mark.parametrize(
    ("name", "make"),
    [
        *((JOURNAL_FILE, make) for make in (_pipe, _device, _link, _folder)),
        *((LOCK_FILE, make) for make in (_pipe, _device, _link, _folder)),
        *((CLAIMS_FOLDER, make) for make in (_pipe, _device, _link)),
    ],
)
def test_what_is_no_regular_file_in_its_place_is_refused_in_one_line(
    model_folder, tmp_path, capsys, name, make
):
    write_song(tmp_path / "songs/a.wav", noise())
    output = tmp_path / "separated_audio"
    output.mkdir()
    make(output / name)
    assert _separate(model_folder, tmp_path) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"cannot use '{output / name}'" in error
    assert "Remove it, or choose another --save." in error
    assert not list(output.rglob("*.wav"))
    if make is _link:
        assert (tmp_path / "my notes").read_text() == "mine"
