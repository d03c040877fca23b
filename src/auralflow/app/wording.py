"""The texts of the page."""

from html import escape

from auralflow.app.orders import Stage
from auralflow.app.tracks import Result
from auralflow.config import AppConfig

__all__ = [
    "announcement",
    "chosen",
    "done",
    "failure",
    "introduction",
    "notice",
    "progress",
    "roughly",
    "sentence",
]


def introduction(settings: AppConfig) -> str:
    """What the page does, and what happens to uploads, as Markdown."""
    return (
        "# auralflow\n"
        "Split a song into stems, listen to them together or alone, and download them.\n\n"
        f"Songs can be up to {_span(settings.max_duration)} long and {settings.max_size:g} MiB in size. Your "
        "song is only sent to the computer that runs this page, and is deleted together with its stems after "
        f"{_span(60 * settings.keep)}."
    )


def chosen(name: str) -> str:
    """The chosen song, as HTML."""
    return f'<p><span aria-hidden="true">♪ </span>Song: <strong>{escape(name)}</strong></p>'


def progress(stage: Stage) -> str:
    """The progress of a song, as HTML."""
    text = escape(_text(stage))
    if stage.name == "waiting":
        return f"<p>{text}</p>"
    return f'<p>{text}</p><progress max="1" value="{stage.share:.3f}" aria-label="{stage.name}"></progress>'


def announcement(stage: Stage) -> str:
    """The progress for screen readers, in words that seldom change."""
    if stage.name == "waiting":
        return _songs_ahead(stage.ahead)
    if stage.name == "separating" and stage.share >= 0.25:
        return f"separating, {25 * int(4 * stage.share)} percent"
    return stage.name


def done(result: Result) -> str:
    """The message for a finished song, as HTML."""
    count = len(result.tracks) - 1
    return f"<p>Done: {count} tracks and the original are ready to play and download.</p>"


def failure(text: str) -> str:
    """An error message, as HTML."""
    return f'<p class="failure">{escape(sentence(text))}</p>'


def notice(text: str) -> str:
    """A message that is no error, as HTML."""
    return f'<p class="notice">{escape(sentence(text))}</p>'


def sentence(text: str) -> str:
    """Turn a message into a sentence.

    Example:
        >>> sentence("cannot read 'a.wav'")
        "Cannot read 'a.wav'."
    """
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def _text(stage: Stage) -> str:
    if stage.name == "waiting":
        turn = f"; yours starts in {roughly(stage.seconds_left)}" if stage.seconds_left is not None else ""
        return f"{_songs_ahead(stage.ahead)}{turn}"
    if stage.name == "separating":
        left = f", {roughly(stage.seconds_left)} left" if stage.seconds_left is not None else ""
        return f"Separating: {100 * stage.share:.0f} %{left}"
    return "Drawing the waveforms" if stage.name == "drawing" else "Packing the stems"


def _songs_ahead(count: int) -> str:
    return f"Waiting: {count} {'song' if count == 1 else 'songs'} ahead of yours"


def roughly(seconds: float) -> str:
    """Format an estimated duration, rounded to a suitable precision.

    Example:
        >>> roughly(3.2), roughly(47), roughly(200)
        ('a few seconds', 'about 50 s', 'about 3 min')
    """
    if seconds < 5:
        return "a few seconds"
    if seconds < 90:
        return f"about {10 * round(seconds / 10) if seconds >= 15 else round(seconds)} s"
    return f"about {round(seconds / 60)} min"


def _span(seconds: float) -> str:
    """Format a duration in minutes or seconds.

    Example:
        >>> _span(900), _span(45), _span(60)
        ('15 minutes', '45 seconds', '1 minute')
    """
    count, unit = (seconds / 60, "minute") if seconds >= 60 else (seconds, "second")
    return f"{count:g} {unit}{'' if count == 1 else 's'}"
