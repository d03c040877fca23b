"""The page: what is on it, and what happens when something is pressed."""

from collections.abc import Generator
from importlib.resources import files
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from auralflow.app import wording
from auralflow.app.mixer import CODE, STYLE, describe
from auralflow.app.studio import Order, Stage, Studio
from auralflow.app.tracks import Result
from auralflow.errors import AuralflowError, CancelledError, UsageError

if TYPE_CHECKING:
    import gradio

__all__ = ["LOOKS", "build_page", "require_gradio", "theme"]

LOOKS = (files("auralflow.app") / "static" / "page.css").read_text(encoding="utf-8")
"""Looks of the page around the players."""

# An element that is there from the start is what screen readers watch.
_LIVE = "element.setAttribute('role', 'status')"
_GROUP = "element.setAttribute('role', 'group'); element.setAttribute('aria-label', 'Progress')"


Update = tuple[Any, Any, Any]
"""New contents of the status, the announcements and the mixer."""


def require_gradio() -> ModuleType:
    """Import Gradio.

    Raises:
        UsageError: If the extra ``app`` is not installed.
    """
    try:
        import gradio
    except ImportError:
        raise UsageError("Gradio is not installed", advice='Run: pip install "auralflow[app]"') from None
    return gradio


def theme() -> "gradio.Theme":
    """Colours that are told apart well, and fonts of the user's own machine: none is fetched."""
    gr = require_gradio()
    plain: gradio.Theme = gr.themes.Default(primary_hue="blue", font="system-ui", font_mono="monospace")
    return plain.set(
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_text_color="white",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        block_label_text_color="*neutral_700",
        block_title_text_color="*neutral_700",
        checkbox_background_color_selected="*primary_700",
        checkbox_background_color_selected_dark="*primary_700",
    )


def build_page(studio: Studio) -> "gradio.Blocks":
    """Make the page.

    Args:
        studio: What does the work.

    Raises:
        UsageError: If Gradio is not installed.
    """
    gr = require_gradio()
    page: gradio.Blocks
    with gr.Blocks(title="auralflow", analytics_enabled=False) as page:
        gr.Markdown(wording.introduction(studio.settings))
        wishes = _ask(studio)
        with gr.Row():
            start = gr.Button("Separate", variant="primary", elem_id="separate")
            cancel = gr.Button("Cancel", elem_id="cancel")
        answers = _answer()
        start.click(
            _separating(studio),
            wishes,
            answers,
            show_progress="hidden",
            # The studio has its own line, in which people see how many come first.
            concurrency_limit=None,
            api_visibility="private",
        )
        cancel.click(_cancelling(studio), None, None, queue=False, api_visibility="private")
        page.unload(_leaving(studio))
    return page


def _ask(studio: Studio) -> list[Any]:
    """Where people say what they want: the song, the model and the stems."""
    import gradio as gr

    song = gr.Audio(
        label="Song",
        type="filepath",
        sources=["upload", "microphone"],
        editable=False,
        buttons=[],
        elem_id="song",
    )
    names = list(studio.models)
    known = list(studio.targets(names[0]))
    with gr.Row():
        model = gr.Dropdown(names, value=names[0], label="Model", filterable=False)
        targets = gr.CheckboxGroup(known, value=known, label="Stems")
    model.change(_choosing(studio), model, targets, api_visibility="private", show_progress="hidden")
    return [song, model, targets]


def _answer() -> list[Any]:
    """Where they see what becomes of it: the status, the announcements and the mixer."""
    import gradio as gr

    return [
        gr.HTML("", elem_id="status", js_on_load=_GROUP),
        gr.HTML("", elem_id="announcements", js_on_load=_LIVE),
        gr.HTML(
            None,
            html_template='<div class="mixer"></div>',
            css_template=STYLE,
            js_on_load=CODE,
            apply_default_css=False,
            elem_id="mixer",
        ),
    ]


def _separating(studio: Studio) -> Any:
    import gradio as gr

    def separate(
        song: str | None, model: str, targets: list[str], request: gr.Request
    ) -> Generator[Update, None, None]:
        try:
            if song is None:
                raise UsageError("no song was chosen", advice="Drop one on the field above, or record one.")
            yield "<p>Looking at the song</p>", "looking at the song", None
            work = studio.run(str(request.session_hash), Order(Path(song), model, tuple(targets)))
            result = yield from _told(work, gr.skip())
            yield wording.done(result), "done; the players are below", describe(result)
        except CancelledError:
            yield wording.failure("stopped"), "stopped", None
        except AuralflowError as error:
            yield wording.failure(str(error)), str(error), None

    return separate


def _told(work: Generator[Stage, None, Result], same: Any) -> Generator[Update, None, Result]:
    said = ""
    try:
        while True:
            stage = next(work)
            words = wording.announcement(stage)
            # What a screen reader has said already is not said again.
            yield wording.progress(stage), same if words == said else words, same
            said = words
    except StopIteration as end:
        result: Result = end.value
        return result
    finally:
        work.close()


def _cancelling(studio: Studio) -> Any:
    import gradio as gr

    def cancel(request: gr.Request) -> None:
        # What is being done says itself that it has stopped: of two answers the later one would stay.
        studio.cancel(str(request.session_hash))

    return cancel


def _choosing(studio: Studio) -> Any:
    import gradio as gr

    def choose(model: str) -> Any:
        known = list(studio.targets(model))
        return gr.CheckboxGroup(known, value=known)

    return choose


def _leaving(studio: Studio) -> Any:
    import gradio as gr

    def leave(request: gr.Request) -> None:
        # Nobody is there any more to take the stems.
        studio.cancel(str(request.session_hash))

    return leave
