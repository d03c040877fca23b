"""The page: its layout and event handlers."""

from collections.abc import Callable, Generator
from importlib.resources import files
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from auralflow.app import wording
from auralflow.app.jobs import Jobs
from auralflow.app.mixer import CODE, STYLE
from auralflow.app.orders import Order
from auralflow.app.preview import TITLE
from auralflow.app.view import View
from auralflow.errors import AuralflowError, CancelledError, NotFoundError, UsageError

if TYPE_CHECKING:
    import gradio

__all__ = ["LOOKS", "SAMPLE", "build_page", "require_gradio", "theme"]

_STATIC = files("auralflow.app") / "static"
LOOKS = (_STATIC / "page.css").read_text(encoding="utf-8")
"""CSS of the page around the players."""
_STATUS = "\n".join((_STATIC / name).read_text(encoding="utf-8") for name in ("focus.js", "status.js"))
# Screen readers only watch elements that exist from the start.
_LIVE = "element.setAttribute('role', 'status')"
_ADDRESSED = "() => [new URLSearchParams(location.hash.slice(1)).get('job') ?? '']"
"""Reads the name of the job from the page's URL; browsers do not send the part after # to servers."""

_CHANGED = """(value) => document.querySelector('#status').dispatchEvent(
  new CustomEvent('changed', { detail: { what: '%s', value } })
)"""
"""Tells the status what has changed, so that it removes messages about it."""

SAMPLE = _STATIC / "Sample song.ogg"
"""A sample song, made by auralflow's generator."""

Update = dict[Any, Any]


def require_gradio() -> ModuleType:
    """Import Gradio.

    Returns:
        The module.

    Raises:
        UsageError: If the extra ``app`` is not installed.
    """
    try:
        import gradio
    except ImportError:
        raise UsageError("Gradio is not installed", advice='Run: pip install "auralflow[app]"') from None
    return gradio


def theme() -> "gradio.Theme":
    """A theme with sufficient contrast and system fonts, so that none are downloaded."""
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


def build_page(jobs: Jobs) -> "gradio.Blocks":
    """Build the page.

    Args:
        jobs: Separates the songs.

    Returns:
        The page.

    Raises:
        UsageError: If Gradio is not installed.
    """
    gr = require_gradio()
    studio = jobs.studio
    page: gradio.Blocks
    with gr.Blocks(title=TITLE, analytics_enabled=False) as page:
        gr.Markdown(wording.introduction(studio.settings), elem_id="introduction")
        song = gr.Audio(
            label="Song",
            type="filepath",
            sources=["upload", "microphone"],
            editable=False,
            buttons=[],
            elem_id="song",
        )
        sample = gr.Button("Try the sample song", size="sm", elem_id="sample")
        with gr.Row(visible=False, elem_id="folded") as folded:
            name = gr.HTML("", elem_id="chosen")
            another = gr.Button("Choose another song", size="sm", scale=0, elem_id="another")
        model, targets = _settings(jobs)
        with gr.Row(elem_id="buttons"):
            start = gr.Button("Separate", variant="primary", elem_id="separate")
            cancel = gr.Button("Cancel", visible=False, elem_id="cancel")
        status, said, mixer = _answers(studio.settings.max_size)
        # The browser puts the name of the job from the URL here.
        address = gr.Textbox(visible=False)
        view = View(
            song=song, sample=sample, folded=folded, name=name, another=another, start=start, cancel=cancel,
            status=status, said=said, mixer=mixer,
        )  # fmt: skip
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        # The studio has its own queue, which shows how many songs are ahead: disable the limits of Gradio's.
        follow = quiet | {"concurrency_limit": None}
        song.change(view.chosen, song, view.upload, **quiet)
        for changing, what in ((song, "song"), (targets, "stems")):
            changing.change(None, changing, js=_CHANGED % what, api_visibility="private")
        sample.click(lambda: str(SAMPLE), None, song, **quiet)
        another.click(view.emptied, None, view.upload, **quiet)
        start.click(_separating(jobs, view), [song, model, targets], view.all, **follow)
        page.load(_resuming(jobs, view), address, view.all, js=_ADDRESSED, **follow)
        cancel.click(_cancelling(jobs), address, None, js=_ADDRESSED, queue=False, **quiet)
    return page


def _settings(jobs: Jobs) -> tuple[Any, Any]:
    """The choice of the model and its stems."""
    import gradio as gr

    names = list(jobs.studio.models)
    known = list(jobs.studio.targets(names[0]))
    with gr.Row(elem_id="settings"):
        model = gr.Dropdown(names, value=names[0], label="Model", filterable=False, elem_id="model")
        targets = gr.CheckboxGroup(known, value=known, label="Stems", elem_id="stems")

    def choose(wanted: str) -> Any:
        offered = list(jobs.studio.targets(wanted))
        return gr.CheckboxGroup(offered, value=offered)

    model.change(choose, model, targets, api_visibility="private", show_progress="hidden")
    return model, targets


def _answers(max_size: float) -> tuple[Any, Any, Any]:
    """The output: status, announcements for screen readers, and mixer."""
    import gradio as gr

    return (
        gr.HTML(
            View.IDLE, html_template="${value.html}", js_on_load=_STATUS, elem_id="status", max_size=max_size
        ),
        gr.HTML("", elem_id="announcements", js_on_load=_LIVE),
        gr.HTML(
            None,
            html_template='<div class="mixer"></div>',
            css_template=STYLE,
            js_on_load=CODE,
            apply_default_css=False,
            elem_id="mixer",
        ),
    )


def _separating(jobs: Jobs, view: View) -> Callable[..., Generator[Update, None, None]]:
    import gradio as gr

    def separate(
        song: str | None, model: str, targets: list[str], request: gr.Request
    ) -> Generator[Update, None, None]:
        try:
            if song is None:
                raise UsageError(
                    "there is no song yet", advice="Choose or record one, and wait for the upload to finish."
                )
            job = jobs.start(str(request.session_hash), Order(Path(song), model, tuple(targets)))
        except AuralflowError as error:
            yield view.failed(str(error))
        else:
            yield from _followed(jobs, job, view)

    return separate


def _resuming(jobs: Jobs, view: View) -> Callable[..., Generator[Update, None, None]]:
    def resume(job: str) -> Generator[Update, None, None]:
        # Without any update, Gradio would clear all components.
        yield from _followed(jobs, job, view) if job else iter([{view.said: ""}])

    return resume


def _cancelling(jobs: Jobs) -> Callable[[str], None]:
    def cancel(job: str) -> None:
        # Whether it was still running does not matter here: whoever watches it is shown its end.
        jobs.cancel(job)

    return cancel


def _followed(jobs: Jobs, job: str, view: View) -> Generator[Update, None, None]:
    """Show the progress of a job until it ends."""
    try:
        order = jobs.order(job)
        about = "song" if order.targets else "stems"
        yield view.begun(job, order.song.name)
        work = jobs.watch(job)
        said = ""
        try:
            while True:
                stage = next(work)
                words = wording.announcement(stage)
                yield view.working(job, stage, words if words != said else None)
                said = words
        except StopIteration as end:
            yield view.done(job, end.value)
        finally:
            work.close()
    except CancelledError as error:
        yield view.cancelled(str(error))
    except NotFoundError as error:
        yield view.gone(str(error))
    except AuralflowError as error:
        yield view.failed(str(error), about)
