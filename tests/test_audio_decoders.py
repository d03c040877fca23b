"""The processes that decode with FFmpeg: they may die, and nobody else does."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from audio_files import encode, noise

from auralflow.audio import decoder, decoder_process, decoders, probe, read_audio, stream_audio, write_audio
from auralflow.audio.containers import ContainerSource
from auralflow.errors import AudioError

FRAMES = 400_000


@pytest.fixture(scope="module")
def song(tmp_path_factory):
    return encode(tmp_path_factory.mktemp("songs") / "song.m4a", "alac", noise(2, FRAMES))


@pytest.fixture(autouse=True)
def no_children():
    decoders.close_all()
    yield
    decoders.close_all()


def _child():
    """The one that is at work."""
    (child,) = decoders._pool.busy
    return child.pid


def _is_alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def _wait_for(condition):
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_child_is_used_for_one_file_after_the_other(song):
    pids = set()
    for _ in range(3):
        probe(song)
        assert len(decoders.pids()) == 1
        pids.add(decoders._pool.idle[0].pid)
    assert len(pids) == 1


def test_none_is_started_for_what_libsndfile_reads(tmp_path):
    for name, subtype in (("a.wav", "FLOAT"), ("a.flac", "PCM_16"), ("a.ogg", "VORBIS")):
        write_audio(tmp_path / name, noise(2, 1000), 44100, subtype)
        probe(tmp_path / name)
        read_audio(tmp_path / name)
    assert not decoders.pids()


def test_a_death_in_the_midst_is_an_error_of_that_file_and_the_next_gets_another_child(song):
    stream = stream_audio(song, block=10000)
    next(stream)
    killed = _child()
    os.kill(killed, signal.SIGKILL)
    with pytest.raises(AudioError, match=r"song\.m4a.*crashed \(SIGKILL\)") as caught:
        list(stream)
    assert "\n" not in str(caught.value)
    assert not decoders.pids()
    assert read_audio(song)[0].shape == (2, FRAMES)
    assert decoders._pool.idle[0].pid != killed


def test_what_an_earlier_file_may_have_broken_is_tried_again_with_a_fresh_child(song):
    whole, _ = read_audio(song)
    stream = stream_audio(song, block=10000)
    blocks = [next(stream)]
    os.kill(_child(), signal.SIGKILL)
    blocks += list(stream)
    assert np.array_equal(np.concatenate(blocks, axis=1), whole)
    # One that died while nobody looked is no reason for anything.
    (idle,) = decoders._pool.idle
    os.kill(idle.pid, signal.SIGKILL)
    assert probe(song).frames == FRAMES


def test_a_child_that_makes_no_progress_is_given_up(tmp_path, monkeypatch):
    # Nobody writes to this pipe: to open it takes for ever.
    os.mkfifo(tmp_path / "pipe.m4a")
    monkeypatch.setattr(decoder, "PATIENCE", 1.0)
    with pytest.raises(AudioError, match=r"pipe\.m4a.*no progress for 1 s"):
        ContainerSource(tmp_path / "pipe.m4a")
    assert not decoders.pids()


def test_a_child_at_work_shows_that_it_is(song, monkeypatch):
    monkeypatch.setattr(decoder_process, "_HEARTBEAT", 0.0)
    sent = []

    class Output:
        def write(self, content):
            sent.append(bytes(content))

        def flush(self):
            pass

    server = decoder_process._Server(Output())
    server.answer({"do": "count", "path": os.fsencode(song).decode("latin-1"), "stream": 0, "most": None})
    kinds = [message[:1] for message in sent if len(message) == decoder_process.HEADER.size]
    assert kinds.count(b"P") > 50
    assert kinds[-1] == b"J"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits are read from /proc")
def test_a_child_can_neither_take_all_memory_nor_write(song):
    probe(song)
    limits = Path(f"/proc/{decoders._pool.idle[0].pid}/limits").read_text()
    found = {line[:26].strip(): line[26:].split()[0] for line in limits.splitlines()}
    assert found["Max address space"] == str(1 << 30)
    assert found["Max file size"] == found["Max core file size"] == "0"


def test_no_child_outlives_its_parent_or_stays_a_zombie(song):
    code = (
        "import sys, time; from pathlib import Path; from auralflow.audio import decoders, stream_audio\n"
        f"stream = stream_audio(Path({str(song)!r}), block=100); next(stream)\n"
        "print(*[child.pid for child in decoders._pool.busy], flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        child = int(parent.stdout.readline())
        assert _is_alive(child)
        parent.kill()
    _wait_for(lambda: not _is_alive(child))
    probe(song)
    pid = decoders._pool.idle[0].pid
    decoders.close_all()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_nobody_watches_when_nobody_waits(song):
    probe(song)
    _wait_for(lambda: not any("decoders" in thread.name for thread in threading.enumerate()))
    assert probe(song).frames == FRAMES
    assert any("decoders" in thread.name for thread in threading.enumerate())


def test_many_threads_decode_at_the_same_time(song):
    whole, _ = read_audio(song)

    def part(start):
        return np.array_equal(read_audio(song, start=start, frames=5000)[0], whole[:, start : start + 5000])

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(part, range(0, 300_000, 10_000)))
    # As many as were at work at a time; a few stay.
    assert 1 <= len(decoders.pids()) <= 4


def test_streams_left_in_the_midst_take_their_children_along(song):
    streams = [stream_audio(song, block=1000) for _ in range(3)]
    pids = [next(stream) is not None and child.pid for stream in streams for child in decoders._pool.busy]
    for stream in streams:
        stream.close()  # type: ignore[attr-defined]
    assert not decoders.pids()
    _wait_for(lambda: not any(_is_alive(pid) for pid in pids))


def _length(path, results):
    results.put(read_audio(path)[0].shape)


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_daemonic_worker_has_children_of_its_own(song, method):
    probe(song)
    stream = stream_audio(song, block=1000)
    first = next(stream)
    context = multiprocessing.get_context(method)
    results = context.Queue()
    worker = context.Process(target=_length, args=(song, results), daemon=True)
    worker.start()
    assert results.get(timeout=300) == (2, FRAMES)
    worker.join()
    # The parent's own go on.
    assert first.shape[1] + sum(block.shape[1] for block in stream) == FRAMES


def test_a_child_loads_no_more_than_it_needs():
    code = (
        "import runpy, sys; sys.argv = ['x']; sys.stdin = open('/dev/null')\n"
        f"runpy.run_path({decoder_process.__file__!r}); import av\n"
        "print({'numpy', 'torch', 'soundfile', 'auralflow'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"
