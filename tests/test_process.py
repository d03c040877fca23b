"""The process: Ctrl-C at any moment, and a standard output that takes nothing."""

import io
import os
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from conftest import RATE

import auralflow
from auralflow import __main__ as auralflow_process
from auralflow.cli import console, decoder_notes, main
from auralflow.cli.plain import PlainConsole

SOURCE = Path(auralflow.__file__).parents[1]
NO_SPACE = "No space left on device"


def _python(*arguments, first="", **options):
    path = os.pathsep.join(filter(None, [str(first), str(SOURCE)]))
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path, "COLUMNS": "500", "OMP_NUM_THREADS": "1"},
        **options,
    )


def _start(*command, **options):
    return _python("-m", "auralflow", *command, **options)


# --- Ctrl-C

SLOW_IMPORT = """
import sys, time
sys.stderr.write("loading\\n")
sys.stderr.flush()
try:
    time.sleep(60)
except KeyboardInterrupt:
    {reaction}
"""


@pytest.mark.parametrize("reaction", ["raise", "raise ImportError('half loaded') from None"])
@pytest.mark.parametrize("times", [1, 3])
def test_ctrl_c_while_modules_load_is_one_line(tmp_path, reaction, times):
    # The first module of another project that the command line imports.
    (tmp_path / "cyclopts.py").write_text(SLOW_IMPORT.format(reaction=reaction))
    with _start("models", first=tmp_path) as process:
        assert process.stderr.readline() == "loading\n"
        for _ in range(times):
            process.send_signal(signal.SIGINT)
        error = process.communicate(timeout=300)[1]
    assert process.returncode == 130
    assert error == "stopped\n"


# However late a busy machine presses again.
PATIENT = """
import sys
from auralflow import __main__ as process
process._GRACE = 3600
sys.exit(process.main())
"""

INTERRUPTED = """
import hashlib, os, signal, time
from auralflow import __main__ as process
process._GRACE = {grace}
process._Interrupts().install()
"""

STUCK = f"""{INTERRUPTED.format(grace=0.1)}
try:
    os.kill(os.getpid(), signal.SIGINT)
except KeyboardInterrupt:
    print("stuck", flush=True)
    # Takes many minutes, in which Python handles no signal.
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2**31 - 1)
"""

FINALISED = f"""{INTERRUPTED.format(grace=3600)}
class Finalised:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
try:
    Finalised()
    while True:
        time.sleep(1)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize("times", [1, 3])
def test_ctrl_c_during_the_work_is_one_line(model_folder, tmp_path, times):
    song = tmp_path / "song.wav"
    with soundfile.SoundFile(song, "w", RATE, 2, "PCM_16") as file:
        for _ in range(30):
            file.write(np.zeros((RATE * 60, 2), dtype=np.int16))
    command = ("separate", model_folder(), song, "--save", tmp_path)
    with _python("-c", PATIENT, *command, stdout=subprocess.PIPE) as process:
        journal = tmp_path / "separated_audio/.auralflow-journal.jsonl"
        while not journal.exists():
            assert process.poll() is None
            time.sleep(0.001)
        for _ in range(times):
            process.send_signal(signal.SIGINT)
        error = process.communicate(timeout=300)[1]
    assert process.returncode == 130
    assert error == "stopped; finished songs are kept, and the same command resumes from there\n"
    assert not list(tmp_path.rglob("*.part"))


def test_a_later_ctrl_c_ends_a_tidying_up_that_is_stuck():
    with _python("-c", STUCK, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == "stuck\n"
        while process.poll() is None:
            process.send_signal(signal.SIGINT)
            time.sleep(0.05)
        assert process.stderr.read() == "stopped\n"
    assert process.returncode == 130


def test_ctrl_c_right_after_the_first_is_not_a_later_one_however_late_it_is_noticed(monkeypatch):
    over, left = threading.Event(), threading.Event()
    monkeypatch.setattr(auralflow_process, "time", SimpleNamespace(sleep=lambda _: over.wait()))
    monkeypatch.setattr(auralflow_process, "_leave_at_once", left.set)
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    watch = threading.Thread(target=auralflow_process._Interrupts()._leave_at_a_later_one, args=(reader,))
    watch.start()
    os.write(writer, bytes([signal.SIGINT, signal.SIGINT]))
    over.set()
    while select.select([reader], [], [], 0)[0]:
        time.sleep(0.01)
    os.write(writer, bytes([signal.SIGCHLD]))
    while select.select([reader], [], [], 0)[0]:
        time.sleep(0.01)
    assert watch.is_alive()
    assert not left.is_set()
    os.write(writer, bytes([signal.SIGINT]))
    watch.join()
    assert left.is_set()
    os.close(reader)
    os.close(writer)


def test_ctrl_c_in_a_finaliser_is_not_lost():
    with _python("-c", FINALISED, stdout=subprocess.PIPE) as process:
        assert process.communicate(timeout=300) == ("interrupted\n", "")


def test_a_job_in_the_background_is_not_stopped_by_ctrl_c(tmp_path):
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN);"
        "from auralflow.__main__ import _Interrupts; _Interrupts().install();"
        "assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": str(SOURCE)})


# --- standard output


@pytest.fixture
def songs(tmp_path):
    for name in "ab":
        noise = 0.1 * np.random.default_rng(0).standard_normal((RATE, 2))
        (tmp_path / "songs").mkdir(exist_ok=True)
        soundfile.write(tmp_path / f"songs/{name}.wav", noise, RATE, subtype="PCM_16")
    return tmp_path / "songs"


def _full():
    return os.open("/dev/full", os.O_WRONLY)


def _broken():
    reader, writer = os.pipe()
    os.close(reader)
    return writer


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize(("output", "reason"), [(_full, NO_SPACE), (_broken, "Broken pipe")])
def test_all_songs_are_done_when_nothing_can_be_printed(model_folder, songs, tmp_path, output, reason):
    number = output()
    with _start("separate", model_folder(), songs, "--save", tmp_path, stdout=number) as process:
        os.close(number)
        error = process.communicate(timeout=300)[1]
    assert process.returncode == 1
    assert error == f"error: cannot write to standard output: {reason}\n"
    assert {path.parent.name for path in tmp_path.rglob("vocals.wav")} == {"a", "b"}


@pytest.mark.parametrize("command", [["models"], ["models", "--json"], ["--help"]])
def test_a_closed_or_full_output_is_told_by_every_command(command):
    for output, reason in ((_full, NO_SPACE), (_broken, "Broken pipe")):
        number = output()
        with _start(*command, stdout=number) as process:
            os.close(number)
            error = process.communicate(timeout=300)[1]
        assert process.returncode == 1
        assert error == f"error: cannot write to standard output: {reason}\n"


def test_an_output_that_was_closed_from_the_start_gets_nothing_else(tmp_path):
    command = [sys.executable, "-m", "auralflow", "models"]
    line = 'exec "$@" >&-'
    done = subprocess.run(
        ["/bin/sh", "-c", line, "sh", *command],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )
    assert done.returncode == 1
    assert done.stderr == "error: cannot write to standard output: it is closed\n"


class _Full(io.StringIO):
    def flush(self):
        raise OSError(28, NO_SPACE)


def test_a_console_that_has_lost_its_stream_is_quiet_and_begins_anew(monkeypatch, capsys):
    plain = PlainConsole()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", _Full())
        plain.print("one")
        plain.print("two")
    assert plain.lost == NO_SPACE
    plain.restore()
    plain.print("three")
    assert capsys.readouterr().out == "three\n"


def test_full_notes_do_not_change_the_exit_code(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", _Full())
    console.note("of no use")
    assert main(["models", "--json"]) == 0


FILTERED = """
import os, subprocess, sys, time
from auralflow.cli import decoder_notes
decoder_notes._PATIENCE = 3600
with decoder_notes.without_decoder_notes():
    os.write(2, b"\\nNote: Trying to resync...\\n")
    os.write(2, b"from C\\nNote: Trying to resync...\\n")
    os.write(2, b"more from C\\nNote: Try")
    time.sleep(0.2)
    os.write(2, b"ing to resync...\\nthe last from C\\n")
    print("from Python", file=sys.stderr)
    subprocess.run([sys.executable, "-c", "import os; os.write(2, b'from a child')"])
os.write(2, b", after")
"""


def test_only_notes_of_the_mp3_decoder_are_left_out():
    done = subprocess.run([sys.executable, "-c", FILTERED], capture_output=True, check=True)
    lines = done.stderr.decode().splitlines()
    assert [line for line in lines if line != "from Python"] == [
        "from C",
        "more from C",
        "the last from C",
        "from a child, after",
    ]
    assert "from Python" in lines


@pytest.mark.parametrize("name", ["pipe", "dup"])
def test_a_filter_that_cannot_be_set_up_leaves_nothing_open(monkeypatch, name):
    def fail(*_):
        raise OSError(24, "Too many open files")

    def next_free():
        number = os.open(os.devnull, os.O_RDONLY)
        os.close(number)
        return number

    monkeypatch.setattr(decoder_notes, "_is_original", lambda: True)
    before = next_free(), os.fstat(2)
    with monkeypatch.context() as patch:
        patch.setattr(os, name, fail)
        with pytest.raises(OSError, match="Too many"), decoder_notes.without_decoder_notes():
            pytest.fail("entered")
    assert (next_free(), os.fstat(2)) == before


def test_a_bad_mp3_is_one_line(model_folder, tmp_path):
    (tmp_path / "song.mp3").write_text("eggs, milk")
    command = ["separate", str(model_folder()), str(tmp_path / "song.mp3"), "--save", str(tmp_path)]
    done = subprocess.run([sys.executable, "-m", "auralflow", *command], capture_output=True, check=False)
    lines = done.stderr.decode().splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["error:", "error:"]
    assert "song.mp3" in lines[0]
    assert "0 of 1 songs" in lines[1]
