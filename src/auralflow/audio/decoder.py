"""The parent's side of a process that decodes with FFmpeg: requests go in, samples and errors come out.

It is started with `subprocess`, not with `multiprocessing`: the workers of a data loader may not have such
children, the parent's main module is not imported again, and no lock of a parent with threads is inherited.
Samples come through a pipe, which leaves nothing behind however either side ends.
"""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from auralflow.audio import decoder_process
from auralflow.errors import AudioError

__all__ = ["PATIENCE", "Decoder", "DecoderLostError"]

PATIENCE = 60.0
"""Seconds without progress (nothing read, nothing decoded) after which a child is killed."""

_PIPE = 1 << 20


class DecoderLostError(Exception):
    """A child died, was killed, or reports that it can no longer be trusted."""


class Decoder:
    """One child process, which decodes one file at a time.

    Attributes:
        loans: How often it was borrowed; an error in the first loan cannot stem from an earlier file.
        pid: Number of its process.
    """

    def __init__(self) -> None:
        self.loans = 0
        self.waiting_since: float | None = None
        self._overdue = False
        self._busy = False
        # -I and -S: the module path is passed on, so that no code of the user's runs at startup.
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
        """Whether it is alive and idle."""
        return not self._busy and self._process.poll() is None

    def ask(self, do: str, path: Path, stream: int = 0, **words: Any) -> None:
        """Send a request; read its answer with `reply`, or block by block with `samples`."""
        self._busy = True
        # The name in the system's encoding; it need not be valid text.
        self._send({"do": do, "path": os.fsencode(path).decode("latin-1"), "stream": stream, **words})

    def reply(self, path: Path) -> dict[str, Any]:
        """The answer to a request.

        Raises:
            AudioError: If something is wrong with the file.
            DecoderLostError: If something is wrong with the process.
        """
        while (kind_size := self._header())[0] != b"J":
            assert kind_size[0] == b"P"
        return self._answer(path, kind_size[1])

    def samples(self, path: Path) -> int:
        """Number of bytes of samples that follow, to be read with `read_into`; 0 at the end.

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
        """Fill a buffer with what the child sends next.

        Raises:
            DecoderLostError: If it dies first.
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
        """Kill it if its reader has been waiting too long."""
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
        """Close a fork's copies of the pipes, so that the child notices when its parent dies."""
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


def _python() -> str:
    """The Python interpreter, even in a program that embeds Python."""
    import multiprocessing.spawn  # noqa: PLC0415

    return os.fsdecode(multiprocessing.spawn.get_executable() or sys.executable)


def _widen(pipe: int) -> None:
    """Enlarge the pipe, so that the child can work ahead."""
    try:
        import fcntl  # noqa: PLC0415 - not on Windows

        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE)
    except (ImportError, AttributeError, OSError):
        # Another system, or a user with many pipes: slower, but it works.
        pass
