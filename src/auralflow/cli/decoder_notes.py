"""Keeps the notes that a C library writes to standard error off the screen.

libmpg123, with which libsndfile decodes MP3, prints notes about damaged files and cannot be told not to. They
add nothing to the error that is reported for such a file, and they break the progress line.
"""

import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

__all__ = ["without_decoder_notes"]

_STANDARD_ERROR = 2
_NOTE = re.compile(
    rb"(?m)^\n?(Note: (Illegal Audio-MPEG-Header|Trying to resync|Skipped \d+ bytes in input|Hit end of)"
    rb"|Warning: Xing stream size off|\[src/libmpg123/).*\n?"
)
# Seconds to wait at the end for other processes that may still write there.
_PATIENCE = 0.5


@contextmanager
def without_decoder_notes() -> Iterator[None]:
    """Leave out libmpg123's notes in the ``with`` block; whatever else is written there is passed on.

    Python writes past the filter, to the same place as before. Anything else is passed on line by line, by a
    thread: what C code prints in the moment of a crash may be lost with the process. Where standard error has
    been replaced, as in a test, nothing is done.
    """
    if not _is_original():
        yield
        return
    former = sys.stderr
    source, sink = os.pipe()
    try:
        screen = os.dup(_STANDARD_ERROR)
    except OSError:
        os.close(source)
        os.close(sink)
        raise
    reader = threading.Thread(target=_pass_on, args=(source, screen), daemon=True)
    reader.start()
    try:
        os.dup2(sink, _STANDARD_ERROR)
        with open(screen, "w", 1, former.encoding, former.errors, closefd=False) as own:
            sys.stderr = own
            try:
                yield
            finally:
                sys.stderr = former
    finally:
        os.dup2(screen, _STANDARD_ERROR)
        os.close(sink)
        reader.join(_PATIENCE)
        if not reader.is_alive():
            os.close(screen)


def _is_original() -> bool:
    try:
        return sys.stderr.fileno() == _STANDARD_ERROR
    except (AttributeError, OSError, ValueError):
        return False


def _pass_on(source: int, screen: int) -> None:
    """Copy lines until the last writer has closed the pipe."""
    partial = b""
    with open(source, "rb", buffering=0) as pipe, suppress(OSError):
        while piece := pipe.read(1 << 16):
            whole, newline, partial = (partial + piece).rpartition(b"\n")
            if rest := _NOTE.sub(b"", whole + newline):
                os.write(screen, rest)
        if rest := _NOTE.sub(b"", partial):
            os.write(screen, rest)
