"""``auralflow plot``."""

from pathlib import Path
from typing import Annotated

from auralflow.cli.console import result_line, stage
from auralflow.cli.parameters import Flatten
from auralflow.config import PlotConfig
from auralflow.errors import UsageError

__all__ = ["plot"]


def plot(
    *paths: Path,
    options: Annotated[PlotConfig, Flatten] = PlotConfig(),  # noqa: B008 - frozen
) -> None:
    """Plot audio files, or the training of a model.

    Parameters
    ----------
    paths
        Audio files, model folders, names of pretrained models, or the summary.json of a training run.

    Examples
    --------
    auralflow plot song.wav --kind mel --start 30 --duration 10
    auralflow plot estimate.wav reference.wav --kind difference --save plots
    auralflow plot my_model --picture svg         # its training curves
    """
    if not paths:
        raise UsageError("no files given", expected="auralflow plot FILE ...")
    with stage("drawing"):
        from auralflow.models import installed_registry
        from auralflow.visualizer import plot_files

        pictures = plot_files(
            paths,
            kind=options.kind,
            save=options.save,
            picture=options.picture,
            num_fft=options.num_fft,
            start=options.start,
            duration=options.duration,
            look_up=installed_registry().find_folder,
        )
    for picture in pictures:
        result_line(f"wrote {picture}", copyable=True)
