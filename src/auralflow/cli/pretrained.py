"""Models as given on the command line: folders or pretrained names."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from auralflow.cli.console import file_progress, note, stage

if TYPE_CHECKING:
    from auralflow.nets.door import SeparationModel

__all__ = ["download_progress", "note_hidden_name", "open_model"]


def note_hidden_name(model: str | Path) -> None:
    """Print a note if a path hides a pretrained model of the same name."""
    from auralflow.models import installed_registry

    if str(model) in installed_registry().all_names and Path(model).exists():
        note(f"using the existing path '{model}', not the pretrained model of that name")


@contextmanager
def download_progress(
    name: str, before: Callable[[], None] = lambda: None
) -> Iterator[Callable[[int, int], None]]:
    """Yield a progress callback for a download; the bar appears with the first byte.

    Args:
        name: Name of the download.
        before: Called before the bar appears.

    Yields:
        A function to call with the number of bytes done and the total.
    """
    progress = file_progress()
    task = progress.add_task(f"downloading {name}", total=None)

    def show(done: int, total: int) -> None:
        if not progress.live.is_started:
            before()
        progress.start()
        progress.update(task, completed=done, total=total)

    try:
        yield show
    finally:
        # Stopping a bar that never appeared would print an empty line.
        if progress.live.is_started:
            progress.stop()


def open_model(model: str | Path, *, trust_code: bool | str = False) -> "SeparationModel":
    """Load a model from a folder or by a pretrained name, downloading it if necessary."""
    with stage(f"loading the model {model}") as hide:
        from auralflow.models import load

        note_hidden_name(model)
        with download_progress(str(model), hide) as on_progress:
            return load(model, on_progress=on_progress, trust_code=trust_code)
