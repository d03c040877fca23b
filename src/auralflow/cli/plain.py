"""Consoles that print plain text, whatever the names in it contain.

A file name can contain anything but NUL and a slash: brackets that rich takes for markup, escape sequences
that a terminal executes, newlines that make one result look like two. The command line prints only through
these consoles.
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

# Control characters, line and paragraph separators, characters that change the direction of text, and bytes
# that are not UTF-8, which Python keeps as lone surrogates.
_HIDDEN = "\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_UNSEEN = re.compile(f"[{_HIDDEN}]")
_UNSEEN_IN_A_LINE = re.compile(f"[{_HIDDEN}\t\n]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def visible(text: str) -> str:
    r"""Escape control characters in a text, except tabs and newlines.

    Example:
        >>> print(visible("a\x1b[31m.wav"))
        a\x1b[31m.wav
    """
    return _UNSEEN.sub(_escaped, text)


def one_line(text: str) -> str:
    r"""Escape all control characters in a text, including tabs and newlines.

    Example:
        >>> print(one_line("a\nb.wav"))
        a\nb.wav
    """
    return _UNSEEN_IN_A_LINE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        # A byte that is not UTF-8.
        code -= 0xDC00
    return _SHORT.get(character, f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")


class PlainConsole(Console):
    """A console that interprets no markup, prints no control characters, and outlives its stream.

    Args:
        stderr: Write to standard error instead of standard output.
        quiet: Print nothing.
        wraps: Wrap long lines between words, as on a help page, instead of leaving it to the terminal.

    Attributes:
        lost: Why nothing can be written any more (a full disk, a closed pipe), otherwise None.
    """

    def __init__(self, *, stderr: bool = False, quiet: bool = False, wraps: bool = False) -> None:
        super().__init__(
            stderr=stderr, quiet=quiet, markup=False, emoji=False, highlight=False, soft_wrap=not wraps
        )
        self.lost: str | None = None

    def render_str(self, text: str, **options: Any) -> Text:
        """Render a string, without interpreting markup."""
        return super().render_str(visible(text), **{**options, "markup": False, "emoji": False})

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render any object to segments, escaping text that did not pass through `render_str`."""
        for segment in super().render(renderable, options):
            hidden = not segment.control and _UNSEEN.search(segment.text)
            yield Segment(visible(segment.text), segment.style) if hidden else segment

    def print(self, *objects: Any, **options: Any) -> None:
        """Print, unless the stream is lost."""
        if self.lost or self.quiet:
            return
        if self._stream is None:
            self.lose("it is closed")
            return
        try:
            super().print(*objects, **options)
        except OSError as error:
            self.lose(error.strerror or str(error))

    def say(self, text: str, *, label: str = "", style: str = "", path: str = "") -> None:
        """Print a message of one line, which is wrapped between words on a terminal.

        Args:
            text: The message.
            label: A word before it, which counts for the width.
            style: Style of the label.
            path: A path after it, which is not wrapped, so that it can be copied: on a terminal it gets a
                line of its own where it does not fit.
        """
        message = Text.assemble((label, style), " " if label else "", text)
        whole = Text.assemble(message, " ", path) if path else message
        if not self.is_terminal:
            self.print(whole)
        elif path and whole.cell_len > self.width:
            self.say(text, label=label, style=style)
            self.print(path)
        else:
            self.print(whole, soft_wrap=False, overflow="fold")

    def on_broken_pipe(self) -> None:
        """Carry on without output when the reader of a pipe has gone."""
        self.lose(os.strerror(errno.EPIPE))

    def lose(self, reason: str) -> None:
        """Give up the stream: discard all further output."""
        if self.lost:
            return
        self.lost, self.quiet = reason, True
        with self:
            pass  # drops what rich has buffered, since a quiet console writes nothing
        # Python would try to flush again at exit, and complain. A test's stream has no file number.
        with suppress(OSError, ValueError), open(os.devnull, "wb") as nowhere:  # noqa: PTH123
            if self._stream is not None:
                os.dup2(nowhere.fileno(), self._stream.fileno())

    @property
    def _stream(self) -> TextIO | None:
        """The current stream, which a test may have replaced; None if it is closed."""
        return sys.stderr if self.stderr else sys.stdout

    def restore(self, *, quiet: bool = False) -> None:
        """Reset the console, for example after the stream was replaced."""
        self.lost, self.quiet = None, quiet


class PlainColumn(TextColumn):
    """Text in a progress bar, often a file name, on one line.

    Args:
        words: The text, with fields of ``task`` in braces.
        place: The table column. Default: one as wide as the text.
    """

    def __init__(self, words: str, place: Column | None = None) -> None:
        super().__init__(words, markup=False, table_column=place)

    def render(self, task: Task) -> Text:
        """Render the text."""
        return Text(one_line(self.text_format.format(task=task)))
