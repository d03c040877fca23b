"""Every error that auralflow raises on purpose.

The tree, with the exit code of the command line::

    AuralflowError              1   something that was asked for could not be done
    ├── UsageError              2   the request itself is wrong
    │   ├── SettingsError       2   a setting is unknown or out of range
    │   └── NotFoundError       2   a path or name that does not exist
    ├── AudioError              1   an audio file cannot be read or written
    ├── DatasetError            1   a dataset folder cannot be used
    ├── ModelError              1   a model folder, its settings or its weights are broken
    ├── TrainingError           1   a training run cannot go on
    └── CancelledError          1   the caller stopped the work

A message is one line that says what happened, what was found, what was expected and what to do.

Example:
    >>> print(AudioError("cannot read 'a.wav'", found="text", expected="audio", advice="Check the file."))
    cannot read 'a.wav': found text, expected audio. Check the file.
"""

__all__ = [
    "AudioError",
    "AuralflowError",
    "CancelledError",
    "DatasetError",
    "ModelError",
    "NotFoundError",
    "SettingsError",
    "TrainingError",
    "UsageError",
]


class AuralflowError(Exception):
    """Base of every error raised by auralflow.

    Args:
        what: What could not be done, naming the file, option or value.
        found: What was met instead.
        expected: What would have been right.
        advice: What the user can do about it, as a sentence.
    """

    exit_code = 1

    def __init__(self, what: str, *, found: str = "", expected: str = "", advice: str = "") -> None:
        facts = ", ".join(
            f"{word} {fact}" for word, fact in (("found", found), ("expected", expected)) if fact
        )
        message = f"{what}: {facts}" if facts else what
        if advice:
            message = f"{message}{'' if message.endswith(('.', '?', '!')) else '.'} {advice}"
        # One line, whatever a foreign library put into its own message.
        super().__init__(" ".join(message.split()))


class UsageError(AuralflowError):
    """The request itself is wrong; nothing was started."""

    exit_code = 2


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
    """A training run cannot start or go on."""


class CancelledError(AuralflowError):
    """The caller asked for the work to stop before it was done."""
