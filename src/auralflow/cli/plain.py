"""Text on a terminal that is only text, whatever the names in it contain.

A name of a file can hold anything but NUL and a slash: brackets that rich would take for a style, escape
sequences that a terminal obeys, line ends that make one result look like two. The consoles of the command
line are of this kind alone.
"""

import errno
import os
import re
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import Task, TextColumn
from rich.segment import Segment
from rich.table import Column
from rich.text import Text

__all__ = ["PlainColumn", "PlainConsole", "one_line", "visible"]

# Control characters, line and paragraph separators, what reverses the direction of writing, and bytes that
# are no UTF-8, which Python keeps as lone surrogates.
_HIDDEN = "\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_UNSEEN = re.compile(f"[{_HIDDEN}]")
_UNSEEN_IN_A_LINE = re.compile(f"[{_HIDDEN}\t\n]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def visible(text: str) -> str:
    r"""The same text with control characters escaped, tabs and line ends excepted.

    Example:
        >>> print(visible("a\x1b[31m.wav"))
        a\x1b[31m.wav
    """
    return _UNSEEN.sub(_escaped, text)


def one_line(text: str) -> str:
    r"""The same text with all control characters escaped, line ends too.

    Example:
        >>> print(one_line("a\nb.wav"))
        a\nb.wav
    """
    return _UNSEEN_IN_A_LINE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        # A byte of a name that is no UTF-8.
        code -= 0xDC00
    return _SHORT.get(character, f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")


class PlainConsole(Console):
    """A console that takes no text for markup, prints no control character, and outlives its stream.

    Args:
        stderr: Write to standard error instead of standard output.
        quiet: Print nothing.
        wraps: Break long lines between words, as on a page of help, and not where the terminal ends.

    Attributes:
        lost: Why nothing can be written any more (a full disk, a closed pipe); None while it can.
    """

    def __init__(self, *, stderr: bool = False, quiet: bool = False, wraps: bool = False) -> None:
        super().__init__(
            stderr=stderr, quiet=quiet, markup=False, emoji=False, highlight=False, soft_wrap=not wraps
        )
        self.lost: str | None = None

    def render_str(self, text: str, **options: Any) -> Text:
        """Text of a string, never read as markup."""
        return super().render_str(visible(text), **{**options, "markup": False, "emoji": False})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Segments of anything, with what is no string of its own escaped too."""
        for segment in super().render(renderable, options):
            hidden = not segment.control and _UNSEEN.search(segment.text)
            yield Segment(visible(segment.text), segment.style) if hidden else segment

    def print(self, *objects: Any, **options: Any) -> None:
        """Print, if that is still possible."""
        if self.lost or self.quiet:
            return
        if self._stream is None:
            self.lose("it is closed")
            return
        try:
            super().print(*objects, **options)
        except OSError as error:
            self.lose(error.strerror or str(error))

    def say(self, text: str) -> None:
        """Print a message: one line, which a terminal shows on several, broken between words."""
        self.print(text, **({"soft_wrap": False, "overflow": "fold"} if self.is_terminal else {}))

    def on_broken_pipe(self) -> None:
        """Go on without the reader who has left: the work is wanted all the same."""
        self.lose(os.strerror(errno.EPIPE))

    def lose(self, reason: str) -> None:
        """Give the stream up: what is still to come goes nowhere."""
        if self.lost:
            return
        self.lost, self.quiet = reason, True
        with self:
            pass  # what rich still keeps goes now, and a quiet console writes nothing
        # Python would try again, and complain, when it ends. A stream of a test has no number.
        with suppress(OSError, ValueError), open(os.devnull, "wb") as nowhere:  # noqa: PTH123
            if self._stream is not None:
                os.dup2(nowhere.fileno(), self._stream.fileno())

    @property
    def _stream(self) -> TextIO | None:
        """The stream of now, which a test may have put in place of the first one; None if it is closed."""
        return sys.stderr if self.stderr else sys.stdout

    def restore(self, *, quiet: bool = False) -> None:
        """Begin anew, with another stream perhaps."""
        self.lost, self.quiet = None, quiet


class PlainColumn(TextColumn):
    """Words in a bar, often the name of a file, in one line.

    Args:
        words: What to show, with fields of ``task`` in braces.
        place: The column of the table, where it is not as wide as its words.
    """

    def __init__(self, words: str, place: Column | None = None) -> None:
        super().__init__(words, markup=False, table_column=place)

    def render(self, task: Task) -> Text:
        """The words as text."""
        return Text(one_line(self.text_format.format(task=task)))
