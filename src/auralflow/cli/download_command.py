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
        switch("Replace a model in that folder; the old one is moved to a folder previous-TIME."),
    ] = False,
    options: Annotated[DownloadConfig, Flatten] = DownloadConfig(),  # noqa: B008 - frozen
) -> None:
    """Save a pretrained model as a model folder, with all or some of its targets.

    Weights are looked up in this installation, a checkout, the mirror named by AURALFLOW_MIRROR and the cache
    in AURALFLOW_HOME; otherwise they are downloaded, unless AURALFLOW_OFFLINE is 1.

    Parameters
    ----------
    name
        Name of the model, as listed by auralflow models.

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
    result_line(f"wrote {options.save}", copyable=True)
