"""What the page says."""

from html import escape

from auralflow.app.studio import Stage
from auralflow.app.tracks import Result
from auralflow.config import AppConfig

__all__ = ["announcement", "done", "failure", "introduction", "progress", "time_left"]


def introduction(settings: AppConfig) -> str:
    """What the page is, and what becomes of what is sent, as Markdown."""
    return (
        "# auralflow\n"
        "Split a song into stems, listen to them together or alone, and take them away.\n\n"
        f"Up to {settings.max_size:g} MiB and {_span(settings.max_duration)}. The song goes to the machine "
        "that serves this page and nowhere else; it is removed with its stems after "
        f"{_span(60 * settings.keep)}."
    )


def progress(stage: Stage) -> str:
    """How far a song has come, as HTML."""
    text = escape(_text(stage))
    if stage.name == "waiting":
        return f"<p>{text}</p>"
    return f'<p>{text}</p><progress max="1" value="{stage.share:.3f}" aria-label="{stage.name}"></progress>'


def announcement(stage: Stage) -> str:
    """The same for a screen reader, in words that change seldom."""
    if stage.name == "waiting":
        return _text(stage)
    if stage.name == "separating" and stage.share >= 0.25:
        return f"separating, {25 * int(4 * stage.share)} percent"
    return stage.name


def done(result: Result) -> str:
    """That a song is finished, as HTML."""
    count = len(result.tracks) - 2
    stems = "one stem" if count == 1 else f"{count} stems"
    return f"<p><strong>{escape(result.title)}</strong>: {stems} and the residual are below.</p>"


def failure(text: str) -> str:
    """Why something did not work, as HTML."""
    return f'<p class="failure">{escape(text[:1].upper() + text[1:])}</p>'


def _text(stage: Stage) -> str:
    if stage.name == "waiting":
        return f"Waiting: {'one song comes' if stage.ahead == 1 else f'{stage.ahead} songs come'} first"
    if stage.name == "separating":
        left = f", {time_left(stage.seconds_left)}" if stage.seconds_left is not None else ""
        return f"Separating: {100 * stage.share:.0f} %{left}"
    return "Drawing the stems" if stage.name == "drawing" else "Packing the stems"


def time_left(seconds: float) -> str:
    """Time that something will still take, no more exact than it is known.

    Example:
        >>> time_left(3.2), time_left(47), time_left(200)
        ('a few seconds left', 'about 50 s left', 'about 3 min left')
    """
    if seconds < 5:
        return "a few seconds left"
    if seconds < 90:
        return f"about {10 * round(seconds / 10) if seconds >= 15 else round(seconds)} s left"
    return f"about {round(seconds / 60)} min left"


def _span(seconds: float) -> str:
    """A length of time in its natural unit.

    Example:
        >>> _span(900), _span(45), _span(60)
        ('15 minutes', '45 seconds', '1 minute')
    """
    count, unit = (seconds / 60, "minute") if seconds >= 60 else (seconds, "second")
    return f"{count:g} {unit}{'' if count == 1 else 's'}"
