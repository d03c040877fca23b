"""Every error that auralflow raises on purpose, and the exit codes of the command line.

The tree, with the exit code that each error leads to (`ExitCode`)::

    AuralflowError              1   something that was asked for could not be done
    ├── UsageError              2   the request itself is wrong
    │   ├── SettingsError       2   a setting is unknown or out of range
    │   └── NotFoundError       2   a path or name that does not exist
    ├── AudioError              1   an audio file cannot be read or written
    ├── DatasetError            1   a dataset folder cannot be used
    ├── ModelError              1   a model folder, its settings or its weights are broken
    ├── TrainingError           1   a training run cannot continue
    ├── CancelledError          1   the caller stopped the work
    └── UnexpectedError         1   whatever else went wrong with one item of a batch

A message is one line that says what happened, what was found, what was expected and what to do. It names
settings as fields, such as ``overlap``; the command line, which names them as options, translates them back.

Example:
    >>> print(AudioError("cannot read 'a.wav'", found="text", expected="audio", advice="Check the file."))
    cannot read 'a.wav': found text, expected audio. Check the file.
"""

import re
from collections.abc import Sequence
from enum import IntEnum
from typing import Self

__all__ = [
    "AudioError",
    "AuralflowError",
    "CancelledError",
    "DatasetError",
    "ExitCode",
    "ModelError",
    "NotFoundError",
    "SettingsError",
    "TrainingError",
    "UnexpectedError",
    "UsageError",
    "first_of",
    "is_out_of_memory",
]


class ExitCode(IntEnum):
    """What the process returns to the shell.

    Attributes:
        meaning: When.

    Example:
        >>> ExitCode.USAGE, ExitCode(2).meaning
        (<ExitCode.USAGE: 2>, 'the request was wrong; nothing was started')
    """

    DONE = 0, "all that was asked for was done"
    FAILED = 1, "something failed: one song of many, or everything"
    USAGE = 2, "the request was wrong; nothing was started"
    # By the shell's convention of 128 plus the number of SIGINT.
    INTERRUPTED = 130, "the user stopped it with Ctrl-C"

    meaning: str

    def __new__(cls, value: int, meaning: str) -> Self:
        """Make a code.

        Args:
            value: The number.
            meaning: What it says, for the documentation.
        """
        code = int.__new__(cls, value)
        code._value_ = value
        code.meaning = meaning
        return code


_VERBATIM = re.compile(r"((?:auralflow|pip|ray|torchrun) [a-z][^.;,]*|(?<!\w)'[^']*'(?!\w))")
"""Commands to be typed, and names in quotes."""
_OPTIONS = re.compile(r"(?<![\w-])--(?!verbose\b)([a-z][a-z0-9-]*)")


def _with_fields(text: str) -> str:
    """The text with options as the fields that they are in Python; commands and names stay as they are.

    Example:
        >>> print(_with_fields("--batch-size is 0. Lower it, or: auralflow train --resume"))
        `batch_size` is 0. Lower it, or: auralflow train --resume
    """
    parts = _VERBATIM.split(text)
    parts[::2] = [_OPTIONS.sub(lambda found: f"`{found[1].replace('-', '_')}`", part) for part in parts[::2]]
    return "".join(parts)


class AuralflowError(Exception):
    """Base of every error raised by auralflow.

    Args:
        what: What could not be done, naming the file, option or value.
        found: What was met instead.
        expected: What would have been right.
        advice: What the user can do about it, as a sentence.
    """

    exit_code = ExitCode.FAILED

    def __init__(self, what: str, *, found: str = "", expected: str = "", advice: str = "") -> None:
        facts = ", ".join(
            f"{word} {fact}" for word, fact in (("found", found), ("expected", expected)) if fact
        )
        message = f"{what}: {facts}" if facts else what
        if advice:
            message = f"{message}{'' if message.endswith(('.', '?', '!')) else '.'} {advice}"
        # One line, whatever a foreign library put into its own message.
        super().__init__(_with_fields(" ".join(message.split())))


class UsageError(AuralflowError):
    """The request itself is wrong; nothing was started."""

    exit_code = ExitCode.USAGE


class SettingsError(UsageError):
    """A setting is unknown or out of its range."""


class NotFoundError(UsageError):
    """A path, model or name that was asked for does not exist."""


class AudioError(AuralflowError):
    """An audio file cannot be decoded or written."""


class DatasetError(AuralflowError):
    """A dataset folder cannot be used for what was asked."""


class ModelError(AuralflowError):
    """A model folder, its settings or its weights are broken or do not fit."""


class TrainingError(AuralflowError):
    """A training run cannot start or continue."""


class CancelledError(AuralflowError):
    """The caller asked for the work to stop before it was done."""


class UnexpectedError(AuralflowError):
    """Anything else that went wrong with one item of a batch, so that the batch can continue.

    Example:
        >>> print(UnexpectedError.of("cannot separate 'a.wav'", KeyError("rate")))
        cannot separate 'a.wav': found KeyError: 'rate'. --verbose shows where it comes from.
    """

    @classmethod
    def of(cls, what: str, error: Exception, *, advice: str = "--verbose shows where it comes from.") -> Self:
        """Wrap an exception of a foreign library, or of a fault in this one.

        Args:
            what: What could not be done, naming the file.
            error: The exception.
            advice: What to do about it.
        """
        if is_out_of_memory(error):
            return cls(
                what,
                found="too little memory",
                advice="Lower --batch-size or --chunk, choose fewer --jobs, or close other programs.",
            )
        found = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return cls(what, found=found, advice=advice)


def first_of(names: Sequence[str], most: int) -> str:
    """Name a few of many things in a message.

    Args:
        names: Their names.
        most: Number of them to name; the others are counted.

    Example:
        >>> first_of(["a", "b", "c"], 2), first_of(["a"], 2)
        ('a, b and 1 more', 'a')
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that there was too little memory, on the machine or on a GPU.

    PyTorch raises a class of its own for a GPU, and a ``RuntimeError`` for the machine.

    Example:
        >>> is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to"))
        True
    """
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "can't allocate memory" in str(error)
    )
