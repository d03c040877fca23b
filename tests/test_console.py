"""What a terminal gets to see: names are text, one message is one line, and no sequence is obeyed."""

import ast
import io
import json
import logging
import os
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import RATE, write_track
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.table import Table
from rich.text import Text

import auralflow
from auralflow.cli import console, main
from auralflow.cli.plain import PlainColumn, PlainConsole, one_line, visible

BRACKETS = "song [remastered] [bold] :smile:.wav"
SEQUENCES = "e\x1b[31mX\x1b]0;pwned\x07\x9b2J\u202e.wav"
LINES = "one\ntwo\rthree\tfour.wav"
BYTES = os.fsdecode(b"caf\xe9.wav")
NAMES = [BRACKETS, SEQUENCES, LINES, BYTES]
LOGS = ("logger.info", "logger.warning", "logger.error", "warnings.warn")
UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\ud800-\udfff]")


@given(st.text())
def test_escaped_text_holds_nothing_that_a_terminal_obeys(text):
    assert not UNSAFE.search(visible(text))
    assert len(one_line(text).splitlines()) <= 1
    assert "\t" not in one_line(text)


@given(st.text(st.characters(exclude_categories=("C", "Z"))))
def test_other_text_is_left_alone(text):
    assert one_line(text) == text


def test_a_name_is_shown_so_that_it_can_be_told_from_others():
    assert one_line(BRACKETS) == BRACKETS
    assert one_line(SEQUENCES) == r"e\x1b[31mX\x1b]0;pwned\x07\x9b2J\u202e.wav"
    assert one_line(LINES) == r"one\ntwo\rthree\tfour.wav"
    assert one_line(BYTES) == r"caf\xe9.wav"


def _printed(capsys, *objects, **options):
    PlainConsole().print(*objects, **options)
    return capsys.readouterr().out


@pytest.mark.parametrize("name", NAMES)
def test_the_console_takes_nothing_for_markup_however_it_is_asked(capsys, name):
    table = Table(title=name, caption=name)
    table.add_column(name, no_wrap=True)
    table.add_row(name)
    table.add_row(Text(name))
    out = _printed(capsys, name, Text(name), table, markup=True, emoji=True)
    assert not UNSAFE.search(out)
    assert out.count(visible(name).split("\n")[0]) >= 5
    assert not UNSAFE.search(PlainColumn("{task.description}").render(_task(name)).plain)


def _task(name):
    return type("Task", (), {"description": name})()


def test_only_one_module_makes_consoles_and_none_makes_markup():
    source = Path(auralflow.__file__).parent
    for path in source.rglob("*.py"):
        if path.name != "plain.py":
            text = path.read_text(encoding="utf-8")
            assert not re.search(
                r"(?<!Plain)Console\(|from_markup|markup=|rich\.print|rich\.markup|TextColumn", text
            ), path
    assert isinstance(console.results, PlainConsole)
    assert Console is not PlainConsole


@pytest.fixture
def songs(tmp_path):
    """Songs with names of all kinds, each once good and once bad."""
    for kind in ("good", "bad"):
        # Together with its parent "[/a].wav" would end a style that never began.
        folder = tmp_path / "d[" / f"{kind}]"
        folder.mkdir(parents=True)
        for name in NAMES:
            if kind == "bad":
                (folder / name).write_text("no audio")
            else:
                noise = 0.1 * np.random.default_rng(0).standard_normal((800, 2))
                with (folder / name).open("wb") as file:
                    soundfile.write(file, noise, RATE, subtype="PCM_16", format="WAV")
    return tmp_path


@pytest.mark.parametrize("columns", ["80", "300"])
def test_names_of_songs_are_shown_whole_in_one_line_each(model_folder, songs, capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    assert main(["separate", str(model_folder()), str(songs), "--save", str(songs / "out")]) == 1
    captured = capsys.readouterr()
    good = [line for line in captured.out.splitlines() if "separated_audio" in line]
    assert len(good) == len(NAMES)
    for name in NAMES:
        assert sum(line.endswith(one_line(Path(name).stem)) for line in good) == 1
    assert not UNSAFE.search(captured.out + captured.err)
    if columns == "300":
        for name in NAMES:
            assert f"d[/bad]/{one_line(name)}" in captured.err
    assert "error: 4 of 8 songs" in captured.err


def test_json_keeps_the_exact_names(model_folder, songs, capsys):
    assert main(["separate", str(model_folder()), str(songs), "--save", str(songs / "out"), "--json"]) == 1
    out = capsys.readouterr().out
    assert not UNSAFE.search(out)
    names = {Path(song["source"]).name for song in json.loads(out)["songs"]}
    assert names == set(NAMES)


@pytest.mark.parametrize("name", [BRACKETS, SEQUENCES, LINES, BYTES, "[/a].wav", "[link=http://x]y"])
def test_a_path_that_does_not_exist_is_named_as_it_was_typed(model_folder, tmp_path, capsys, name):
    assert main(["separate", str(model_folder()), str(tmp_path / name)]) == 2
    assert main(["separate", name]) == 2
    assert main([name]) == 2
    error = capsys.readouterr().err
    assert not UNSAFE.search(error)
    assert error.count("\n") == 3
    words = " ".join(name.split()) if name == LINES else one_line(name)
    assert words in error


def test_tracks_and_datasets_of_any_name(model_folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    data = tmp_path / "data [x] \x1b[2J"
    for split in ("train", "valid", "test"):
        write_track(data / split / BRACKETS, seconds=1)
        write_track(data / split / SEQUENCES, seconds=1)
    assert main(["data", "check", str(data)]) == 0
    assert main(["evaluate", str(model_folder()), str(data), "--no-bounds"]) == 0
    captured = capsys.readouterr()
    assert not UNSAFE.search(captured.out + captured.err)
    assert captured.out.count(r"data [x] \x1b[2J") == 2
    assert BRACKETS in captured.out
    assert one_line(SEQUENCES) in captured.out


class _Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


SENTENCE = "cannot download the weights: " + "check the network, or choose another model; " * 3


def test_messages_are_broken_between_words_on_a_terminal_and_are_one_line_elsewhere(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    terminal, pipe = _Terminal(), io.StringIO()
    for stream in (terminal, pipe):
        monkeypatch.setattr("sys.stderr", stream)
        console.error_line(SENTENCE)
        console.note(SENTENCE)
    lines = terminal.getvalue().splitlines()
    assert max(map(len, lines)) <= 40
    assert " ".join(terminal.getvalue().split()) == " ".join(pipe.getvalue().split())
    assert len(pipe.getvalue().splitlines()) == 2
    words = SENTENCE.split()
    assert all(word in ("error:", "note:", *words) for line in lines for word in line.split())


def test_a_path_is_not_broken_on_a_terminal_so_that_it_can_be_copied(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "dumb")
    stream = _Terminal()
    monkeypatch.setattr("sys.stdout", stream)
    path = "separated audio/a song with a long name/and a long stem.wav"
    console.result_line(path, copyable=True)
    assert stream.getvalue() == path + "\n"


def test_a_sentence_is_wrapped_before_its_path_and_after_its_label(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    words = "stems " * 11 + "together"
    path = Path("my_model/with a long name") / "model.safetensors"
    terminal, pipe = _Terminal(), io.StringIO()
    for stream in (terminal, pipe):
        monkeypatch.setattr("sys.stdout", stream)
        console.result_line(words, label="warning:", style="yellow")
        console.result_line(words, path=path)
        console.result_line("best:", path=path)
    text = re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue())
    assert [line.rstrip() for line in text.splitlines()] == [
        "warning: " + "stems " * 10 + "stems",
        "together",
        words,
        str(path),
        f"best: {path}",
    ]
    assert pipe.getvalue().splitlines() == [f"warning: {words}", f"{words} {path}", f"best: {path}"]


def test_no_word_of_a_check_is_broken_at_80_columns(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    for number in range(8):
        write_track(tmp_path / "train" / ("Tune" + "e" * number), seconds=1, stems=("vocals", "drums"))
    assert main(["data", "check", str(tmp_path)]) == 1
    words = set(capsys.readouterr().out.split())
    terminal = _Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    assert main(["data", "check", str(tmp_path)]) == 1
    lines = [line for line in terminal.getvalue().splitlines() if "train/" in line or "error" in line]
    assert len(lines) >= 9
    for line in lines:
        assert len(line.rstrip()) <= 80
        assert set(re.sub(r"\x1b\[[0-9;]*m", "", line).split()) <= words


def test_what_the_library_logs_names_fields_which_the_command_line_translates(capsys, tmp_path):
    console.set_messages(log_file=tmp_path / "log")
    logging.getLogger("auralflow.trainer").warning("`batch_size` is %d", 0)
    console.note("`max_leak`: no effect")
    printed = capsys.readouterr().err
    console.set_messages()
    for text in (printed, (tmp_path / "log").read_text()):
        assert "--batch-size is 0" in text
        assert "--max-leak: no effect" in text
    for path in (Path(auralflow.__file__).parent).rglob("*.py"):
        if "cli" in path.parts:
            continue
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call) or ast.unparse(call.func) not in LOGS:
                continue
            texts = [part.value for part in ast.walk(call) if isinstance(part, ast.Constant)]
            assert not re.search(r"(?<!\w)--[a-z]", " ".join(map(str, texts))), f"{path}:{call.lineno}"
