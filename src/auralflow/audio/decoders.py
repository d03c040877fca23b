"""Processes that decode with FFmpeg, kept for the next file, replaced when one dies.

A child is started with `subprocess`, not with `multiprocessing`: the workers of a data loader may have no
children of that kind, the parent's main module is not imported again, and no lock of a parent with threads is
inherited. Samples come through a pipe, of which nothing is left behind however either side ends.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from auralflow.audio import decoder_process
from auralflow.errors import AudioError

__all__ = ["Decoder", "DecoderLostError", "borrow", "close_all", "give_back", "running"]

PATIENCE = 60.0
"""Seconds without any progress (nothing read, nothing decoded) after which a child is given up."""

_IDLE = 4
_PIPE = 1 << 20


class DecoderLostError(Exception):
    """A child died, was given up, or says that it cannot be trusted any more."""


class Decoder:
    """One child process, which decodes one file at a time.

    Attributes:
        loans: How often it was borrowed; what goes wrong in the first loan is not left from an earlier file.
        pid: Number of its process.
    """

    def __init__(self) -> None:
        self.loans = 0
        self.waiting_since: float | None = None
        self._overdue = False
        self._busy = False
        # -I and -S: the list of modules is sent, so that nothing of the user's own is run at the start.
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [_python(), "-I", "-S", decoder_process.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            # An interrupt from the keyboard is for the parent.
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        assert self._process.stdin
        assert self._process.stdout
        self._input, self._output = self._process.stdin, self._process.stdout
        self.pid = self._process.pid
        _widen(self._output.fileno())
        self._send(sys.path)

    @property
    def is_ready(self) -> bool:
        """Whether it lives, and nothing is under way."""
        return not self._busy and self._process.poll() is None

    def ask(self, do: str, path: Path, stream: int = 0, **words: Any) -> None:
        """Begin a request; its answer has to be taken with `reply`, or block by block with `samples`."""
        self._busy = True
        # A name as the system has it, which need not be text.
        self._send({"do": do, "path": os.fsencode(path).decode("latin-1"), "stream": stream, **words})

    def reply(self, path: Path) -> dict[str, Any]:
        """What was asked for.

        Raises:
            AudioError: If something is wrong with the file.
            DecoderLostError: If something is wrong with the process.
        """
        while (kind_size := self._header())[0] != b"J":
            assert kind_size[0] == b"P"
        return self._answer(path, kind_size[1])

    def samples(self, path: Path) -> int:
        """Bytes of samples that follow, to be taken with `read_into`; 0 at the end.

        Raises:
            AudioError: If something is wrong with the file.
            DecoderLostError: If something is wrong with the process.
        """
        while True:
            kind, size = self._header()
            if kind == b"S":
                return size
            if kind == b"J":
                self._answer(path, size)
                return 0

    def read_into(self, memory: memoryview) -> None:
        """Fill memory with what the child sends next.

        Raises:
            DecoderLostError: If it dies before.
        """
        self.waiting_since = time.monotonic()
        try:
            while memory:
                count = self._output.readinto(memory)  # type: ignore[attr-defined]
                if not count:
                    raise DecoderLostError(self._obituary())
                memory = memory[count:]
                self.waiting_since = time.monotonic()
        finally:
            self.waiting_since = None

    def release(self) -> None:
        """Let go of the file."""
        self._send({"do": "close"})

    def give_up_if_overdue(self) -> None:
        """Kill it if it has kept its reader waiting for too long."""
        since = self.waiting_since
        if since is not None and time.monotonic() - since > PATIENCE:
            self._overdue = True
            self._process.kill()

    def close(self) -> None:
        """End it. It has nothing to save."""
        self._process.kill()
        self._process.wait()
        self._input.close()
        self._output.close()

    def forget(self) -> None:
        """Close the copies of the pipes that a fork has made, so that the child sees when its parent dies."""
        self._process.returncode = 0
        self._busy = True
        with suppress(OSError):
            self._input.close()
        with suppress(OSError):
            self._output.close()

    def _send(self, request: object) -> None:
        line = memoryview(json.dumps(request).encode() + b"\n")
        try:
            while line:
                line = line[self._input.write(line) :]
        except OSError as error:
            raise DecoderLostError(self._obituary()) from error

    def _header(self) -> tuple[bytes, int]:
        header = bytearray(decoder_process.HEADER.size)
        self.read_into(memoryview(header))
        kind, size = decoder_process.HEADER.unpack(header)
        return kind, size

    def _answer(self, path: Path, size: int) -> dict[str, Any]:
        content = bytearray(size)
        self.read_into(memoryview(content))
        self._busy = False
        answer: dict[str, Any] = json.loads(content)
        if words := answer.get("fault"):
            what = words.pop("what").replace("{path}", str(path))
            raise AudioError(what, **words) from RuntimeError(answer["trace"])
        if words := answer.get("error"):
            self._busy = True
            raise DecoderLostError(words["found"]) from RuntimeError(answer["trace"])
        return answer

    def _obituary(self) -> str:
        if self._overdue:
            return f"a decoder that made no progress for {PATIENCE:g} s"
        self._process.kill()
        code = self._process.wait()
        name = f"signal {-code}" if code < 0 else f"code {code}"
        with suppress(ValueError):
            name = signal.Signals(-code).name if code < 0 else name
        return f"a decoder that crashed ({name})"


class _Pool:
    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self.changed = threading.Condition(threading.Lock())
        self.idle: list[Decoder] = []
        self.busy: set[Decoder] = set()
        self.is_watched = False

    def borrow(self, *, fresh: bool) -> Decoder:
        with self.changed:
            self._prepare()
            decoder = None
            while self.idle and not fresh and decoder is None:
                decoder = self.idle.pop()
                if not decoder.is_ready:
                    decoder.close()
                    decoder = None
            decoder = decoder or Decoder()
            decoder.loans += 1
            self.busy.add(decoder)
            self.changed.notify()
        return decoder

    def give_back(self, decoder: Decoder) -> None:
        with self.changed:
            if decoder not in self.busy:
                # Borrowed before a fork, by the parent.
                return
            self.busy.remove(decoder)
            if decoder.is_ready and len(self.idle) < _IDLE:
                with suppress(DecoderLostError):
                    decoder.release()
                    self.idle.append(decoder)
                    return
        decoder.close()

    def close(self) -> None:
        with self.changed:
            decoders = [*self.idle, *self.busy]
            self.idle.clear()
            self.busy.clear()
        for decoder in decoders:
            decoder.close()

    def hold(self) -> None:
        """Before a fork: no child is started meanwhile, of whose pipes the fork would keep copies."""
        self.changed.acquire()

    def let_go(self) -> None:
        """After a fork, in the parent."""
        self.changed.release()

    def forget(self) -> None:
        """After a fork, in the fork: the children are the parent's."""
        for decoder in (*self.idle, *self.busy):
            decoder.forget()
        self._begin()

    def _prepare(self) -> None:
        if self.is_watched:
            return
        self.is_watched = True
        threading.Thread(target=self._watch, name="auralflow-decoders", daemon=True).start()
        # Unlike atexit, this is also done at the end of a worker process.
        import multiprocessing.util  # noqa: PLC0415 - most programs never get here

        multiprocessing.util.Finalize(None, self.close, exitpriority=0)

    def _watch(self) -> None:
        while True:
            with self.changed:
                # Nobody has to be watched while nobody waits.
                self.changed.wait(min(PATIENCE / 4, 1.0) if self.busy else None)
                for decoder in self.busy:
                    decoder.give_up_if_overdue()


_pool = _Pool()


def borrow(*, fresh: bool = False) -> Decoder:
    """Take a child from the pool, or start one. A few wait there at most, but any number may be out.

    Args:
        fresh: Start one, which no earlier file can have harmed.

    Returns:
        A child, to be given back.
    """
    return _pool.borrow(fresh=fresh)


def give_back(decoder: Decoder) -> None:
    """Put a child back into the pool, or end it if it is in the midst of something, or dead.

    Args:
        decoder: A child that was borrowed.
    """
    _pool.give_back(decoder)


def running() -> int:
    """How many children there are."""
    return len(_pool.idle) + len(_pool.busy)


def close_all() -> None:
    """End all children; the next file gets a new one. This is done by itself when the process ends."""
    _pool.close()


def _python() -> str:
    """The interpreter, also where the program that runs is another one and has said so."""
    import multiprocessing.spawn  # noqa: PLC0415

    return os.fsdecode(multiprocessing.spawn.get_executable() or sys.executable)


def _widen(pipe: int) -> None:
    """Let the child work ahead while its samples are used."""
    try:
        import fcntl  # noqa: PLC0415 - not on Windows

        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE)
    except (ImportError, AttributeError, OSError):
        # Another system, or a user with many pipes already: it is slower then.
        pass


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_pool.hold, after_in_parent=_pool.let_go, after_in_child=_pool.forget)
