"""``auralflow evaluate``."""

from pathlib import Path
from typing import Annotated

from auralflow.cli.console import file_progress, note, results, show_report
from auralflow.cli.parameters import Flatten
from auralflow.config import EvaluateConfig

__all__ = ["evaluate"]


def evaluate(
    model: Path,
    dataset: Path,
    /,
    *,
    options: Annotated[EvaluateConfig, Flatten] = EvaluateConfig(),  # noqa: B008 - frozen
) -> None:
    """Score a model on a dataset, per track and target.

    Parameters
    ----------
    model
        Folder of the model.
    dataset
        Folder with test/<track>/vocals.wav and so on.
    """
    from auralflow.evaluation import evaluate as score
    from auralflow.models import load
    from auralflow.separation import Separator
    from auralflow.storage import write_json

    separator = Separator(
        load(model), overlap=options.overlap, batch_size=options.batch_size, device=options.device
    )
    with file_progress() as progress:
        task = progress.add_task("", total=1.0)
        report = score(
            separator,
            dataset,
            subset=options.subset,
            on_progress=lambda name, share: progress.update(task, description=name, completed=share),
        )
    for name, reason in report.skipped.items():
        note(f"'{name}' was left out: it {reason}")
    show_report(report, model, dataset, options.subset)
    if options.save:
        about = {"model": str(model), "dataset": str(dataset), "subset": options.subset}
        write_json(options.save, about | report.to_json())
        results.print(f"wrote {options.save}", markup=False)
