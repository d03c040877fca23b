"""The server of the page, from loading the models to removing the last file."""

import errno
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from importlib.resources import files
from pathlib import Path
from types import FrameType
from typing import Any

from auralflow.app.guard import Guard, allowed_names
from auralflow.app.jobs import Jobs
from auralflow.app.page import LOOKS, SAMPLE, build_page, require_gradio, theme
from auralflow.app.preview import Preview
from auralflow.app.routes import make_routes
from auralflow.app.studio import Studio
from auralflow.app.workspace import Workspace
from auralflow.config import AppConfig
from auralflow.errors import UsageError
from auralflow.machine import check_device
from auralflow.models import load
from auralflow.nets import SeparationModel

__all__ = ["serve"]

_ICON = files("auralflow.app") / "static" / "icon.svg"


def serve(
    settings: AppConfig,
    *,
    open_model: Callable[[str], SeparationModel] | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve the page until the process is asked to stop (Ctrl-C, SIGTERM).

    Args:
        settings: The settings.
        open_model: Loads a model by folder or name. Default: `auralflow.models.load`.
        on_ready: Called with the URL once the page can be opened.

    Raises:
        UsageError: If Gradio is not installed, or the address, the device or the folder cannot be used.
        NotFoundError: If a model does not exist.
        ModelError: If a model is damaged.
    """
    require_gradio()
    check_device(settings.device)
    port = _free_port(settings)
    models = {name: (open_model or load)(name) for name in dict.fromkeys(settings.model)}
    with (
        _end_on_signals() as end,
        Workspace(60 * settings.keep, settings.folder) as workspace,
        _uploads_in(workspace.uploads),
        Jobs(Studio(models, settings, workspace)) as jobs,
    ):
        page = build_page(jobs)
        layers = {"lifespan": partial(_layered, jobs=jobs, names=allowed_names(settings))}
        _, address, _ = page.queue(max_size=None).launch(
            server_name=settings.host,
            server_port=port,
            allowed_paths=[str(SAMPLE)],
            max_file_size=round(settings.max_size * 2**20),
            prevent_thread_lock=True,
            quiet=True,
            share=False,
            ssr_mode=False,
            # Or it asks itself for the page, and gives up if a busy machine takes three seconds to answer.
            _frontend=False,
            favicon_path=str(_ICON),
            footer_links=[],
            app_kwargs=layers,
            theme=theme(),
            css=LOOKS,
        )
        try:
            if on_ready:
                on_ready(address)
            end.wait()
        finally:
            jobs.close()
            page.close(verbose=False)


@asynccontextmanager
async def _layered(app: Any, jobs: Jobs, names: frozenset[str] | None) -> AsyncIterator[None]:
    """Add our routes and middleware; called before the server accepts any request."""
    app.router.routes[:0] = make_routes(jobs)
    app.middleware_stack = Preview(app.middleware_stack)
    if names is not None:
        app.middleware_stack = Guard(app.middleware_stack, names)
    yield


def _free_port(settings: AppConfig) -> int:
    """The port to listen on, checked before loading the models, which may take a while."""
    try:
        with socket.create_server((settings.host, settings.port)) as probe:
            return int(probe.getsockname()[1])
    except OSError as error:
        raise UsageError(
            f"cannot listen on {settings.host}:{settings.port}",
            found=_in_words(error),
            advice="Choose another --port or --host.",
        ) from None


def _in_words(error: OSError) -> str:
    """Why the server cannot listen, without numbers and without repeating the address.

    Example:
        >>> _in_words(OSError(errno.EADDRINUSE, "Address already in use (while attempting to bind)"))
        'another program listening there'
    """
    if isinstance(error, socket.gaierror):
        return "no machine of that name"
    reasons = {
        errno.EADDRINUSE: "another program listening there",
        errno.EADDRNOTAVAIL: "an address that is not this machine's",
        errno.EACCES: "a port that only an administrator may use",
    }
    # Python adds the address to the system's words.
    return reasons.get(error.errno or 0) or os.strerror(error.errno or 0).lower()


@contextmanager
def _uploads_in(folder: Path) -> Iterator[None]:
    """Make Gradio put uploads into a folder, which it reads from the environment."""
    name = "GRADIO_TEMP_DIR"
    before = os.environ.get(name)
    os.environ[name] = str(folder)
    try:
        yield
    finally:
        os.environ.pop(name)
        if before is not None:
            os.environ[name] = before


@contextmanager
def _end_on_signals() -> Iterator[threading.Event]:
    """An event set by SIGINT and SIGTERM, so that files are not removed inside a signal handler."""
    end = threading.Event()

    def handle(*_: int | FrameType | None) -> None:
        end.set()

    if threading.current_thread() is not threading.main_thread():
        yield end
        return
    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield end
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
