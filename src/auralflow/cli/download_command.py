"""``auralflow download``."""

from typing import Annotated

from auralflow.cli.console import note, result_line
from auralflow.cli.parameters import Flatten, switch
from auralflow.cli.pretrained import download_progress
from auralflow.config import DownloadConfig

__all__ = ["download"]


def download(
    name: str,
    /,
    *,
    force: Annotated[
        bool,
        switch("Replace a model in that folder; it moves to a folder previous-TIME."),
    ] = False,
    options: Annotated[DownloadConfig, Flatten] = DownloadConfig(),  # noqa: B008 - frozen
) -> None:
    """Make a model folder of a pretrained model, of all its targets or of some.

    The weights are those of this installation, a checkout, the mirror that AURALFLOW_MIRROR names, or the
    cache in AURALFLOW_HOME; else they are downloaded, unless AURALFLOW_OFFLINE is 1.

    Parameters
    ----------
    name
        Name of the model, as auralflow models lists it.

    Examples
    --------
    auralflow download NAME --save my_model --target vocals
    AURALFLOW_MIRROR=/shared/models auralflow download NAME --offline
    """
    from auralflow.models import Access
    from auralflow.models.loading import save_pretrained

    with download_progress(name) as on_progress:
        previous = save_pretrained(
            name,
            options.save,
            targets=options.target,
            force=force,
            access=Access.from_environment(offline=options.offline),
            on_progress=on_progress,
        )
    if previous:
        note(f"the earlier model was moved to {previous}")
    result_line(f"wrote {options.save}")
