"""The process: the command ``auralflow``, and ``python -m auralflow``.

Ctrl-C is taken in hand here, before the imports that take long: whenever it comes, and however often, the
process ends with one line and exit code 130.
"""

import _thread
import os
import signal
import sys
import time
from contextlib import suppress
from types import FrameType

from auralflow.allocator import share_one_heap
from auralflow.errors import ExitCode

__all__ = ["main"]

_GRACE = 1.0
"""Seconds after the first Ctrl-C in which further ones do not disturb the tidying up."""

_PAUSE = 0.02
"""Seconds in which a finaliser should have ended."""


class _Interrupts:
    """What Ctrl-C does: the first ends the work in good order, one that comes much later ends it at once."""

    def __init__(self) -> None:
        self._happened = False
        self._is_lost = False

    def install(self) -> None:
        # A shell that starts a job in the background lets it ignore Ctrl-C; that stays so.
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._handle)
            sys.unraisablehook = self._handle_unraisable

    def happened(self) -> bool:
        return self._happened

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._happened and not self._is_lost:
            return
        if not self._happened:
            self._happened = True
            with suppress(OSError, RuntimeError):
                self._watch_for_more()
        self._is_lost = False
        raise KeyboardInterrupt

    def _watch_for_more(self) -> None:
        """Receive further signals as they come: Python handles them when the main thread gets round to it."""
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        # `threading` takes locks, which the interrupted code may hold.
        _thread.start_new_thread(self._leave_at_a_later_one, (reader,))

    def _leave_at_a_later_one(self, reader: int) -> None:
        time.sleep(_GRACE)
        with suppress(BlockingIOError):
            os.read(reader, 1 << 16)
        os.set_blocking(reader, True)
        while os.read(reader, 1)[0] != signal.SIGINT or self._is_lost:
            pass
        _leave_at_once()

    def _handle_unraisable(self, fault: "sys.UnraisableHookArgs") -> None:
        """Python drops what is raised in a finaliser; an interrupt must not be lost there."""
        if isinstance(fault.exc_value, KeyboardInterrupt):
            self._is_lost = True
            _thread.start_new_thread(self._raise_again, (_thread.get_ident(),))
        else:
            sys.__unraisablehook__(fault)

    def _raise_again(self, thread: int) -> None:
        time.sleep(_PAUSE)
        signal.pthread_kill(thread, signal.SIGINT)


def main() -> int:
    """Run the command line with the arguments of this process.

    Returns:
        The exit code, see `auralflow.errors.ExitCode`.
    """
    _open_standard_streams()
    if "separate" in sys.argv:
        share_one_heap()
    interrupts = _Interrupts()
    interrupts.install()
    try:
        from auralflow.cli import main as run  # noqa: PLC0415 - not before Ctrl-C is in hand

        code = run(interrupted=interrupts.happened)
    except BaseException:
        # A module that is interrupted while it loads raises all kinds of things.
        if not interrupts.happened():
            raise
        _leave_at_once()
    if interrupts.happened():
        # What the interpreter would tidy up now may be half there.
        _flush()
        os._exit(code)
    return code


def _open_standard_streams() -> None:
    """Give closed standard streams a place, or the next file that is opened gets what is printed."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stdout is not None:
        # A name may have letters that the terminal does not know.
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()


def _leave_at_once() -> None:
    _flush()
    number = 2
    with suppress(OSError, ValueError, AttributeError):
        # Number 2 may lead to a filter (auralflow.cli.decoder_notes), which would end with the process.
        number = sys.stderr.fileno()
    with suppress(OSError):
        os.write(number, b"stopped\n")
    os._exit(ExitCode.INTERRUPTED)


if __name__ == "__main__":
    sys.exit(main())
