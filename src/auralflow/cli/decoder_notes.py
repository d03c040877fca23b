"""What a C library prints to standard error by itself is kept off the screen.

libmpg123, with which libsndfile decodes MP3, prints notes about damaged files and cannot be told not to. They
say nothing that the error of that file does not say, and they break a line that moves.
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
    rb"\n?(Note: (Illegal Audio-MPEG-Header|Trying to resync|Skipped \d+ bytes in input|Hit end of)"
    rb"|Warning: Xing stream size off|\[src/libmpg123/).*\n?"
)
# How long the last words of other processes, which may still write there, are waited for at the end.
_LAST_WORDS = 0.5


@contextmanager
def without_decoder_notes() -> Iterator[None]:
    """Leave out libmpg123's notes in the ``with`` block; whatever else is written there is passed on.

    Python writes past the filter, to the same place as before. Where standard error has been replaced, as
    in a test, nothing is done.
    """
    if not _is_original():
        yield
        return
    former = sys.stderr
    screen = os.dup(_STANDARD_ERROR)
    source, sink = os.pipe()
    os.dup2(sink, _STANDARD_ERROR)
    os.close(sink)
    reader = threading.Thread(target=_pass_on, args=(source, screen), daemon=True)
    reader.start()
    try:
        words = former.encoding, former.errors
        with open(screen, "w", 1, *words, closefd=False) as own:
            sys.stderr = own
            try:
                yield
            finally:
                sys.stderr = former
    finally:
        os.dup2(screen, _STANDARD_ERROR)
        reader.join(_LAST_WORDS)
        if not reader.is_alive():
            os.close(screen)


def _is_original() -> bool:
    try:
        return sys.stderr.fileno() == _STANDARD_ERROR
    except (AttributeError, OSError, ValueError):
        return False


def _pass_on(source: int, screen: int) -> None:
    """Copy lines until the last writer has closed the pipe."""
    with open(source, "rb", buffering=0) as lines, suppress(OSError):
        while piece := lines.read(1 << 16):
            if rest := _NOTE.sub(b"", piece):
                os.write(screen, rest)
