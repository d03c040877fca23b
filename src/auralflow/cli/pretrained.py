"""Models as they are named on the command line: folders, or pretrained names."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from auralflow.cli.console import file_progress, note, stage

if TYPE_CHECKING:
    from auralflow.nets.door import SeparationModel

__all__ = ["download_progress", "note_hidden_name", "open_model"]


def note_hidden_name(model: str | Path) -> None:
    """Say so if a path was taken that has the name of a pretrained model."""
    from auralflow.models import installed_registry

    if str(model) in installed_registry().all_names and Path(model).exists():
        note(f"'{model}' is taken for the path that exists, not for the pretrained model of this name")


@contextmanager
def download_progress(
    name: str, before: Callable[[], None] = lambda: None
) -> Iterator[Callable[[int, int], None]]:
    """Yield what a download reports its progress to; a bar appears with the first byte.

    Args:
        name: What is downloaded.
        before: Called before the bar appears.
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
        # A bar that was never there would still end with an empty line.
        if progress.live.is_started:
            progress.stop()


def open_model(model: str | Path, *, trust_code: bool | str = False) -> "SeparationModel":
    """Load a model of a folder or of a pretrained name, which is downloaded where it must be."""
    with stage(f"loading the model {model}") as hide:
        from auralflow.models import load

        note_hidden_name(model)
        with download_progress(str(model), hide) as on_progress:
            return load(model, on_progress=on_progress, trust_code=trust_code)
