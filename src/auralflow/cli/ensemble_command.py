"""``auralflow ensemble``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from auralflow.cli.console import file_progress, note, result_line, results, stage
from auralflow.cli.parameters import Flatten, switch
from auralflow.config import EnsembleOptions
from auralflow.errors import UsageError

if TYPE_CHECKING:
    from auralflow.models.ensembles import Draft

__all__ = ["ensemble"]


def ensemble(
    *models: Path,
    link: Annotated[
        bool, switch("Link to the models' weights by name or path and SHA-256 instead of copying them.")
    ] = False,
    force: Annotated[
        bool,
        switch("Replace a model in that folder; the old one is moved to a folder previous-TIME."),
    ] = False,
    options: Annotated[EnsembleOptions, Flatten] = EnsembleOptions(),  # noqa: B008 - frozen
) -> None:
    """Combine several models into one that averages their estimates, or combines them otherwise.

    Each model runs as it would alone, in a single pass over the song; a target that a model lacks comes from
    the others. Given a single ensemble, rebuilds it from its members with other weights or another method.

    Parameters
    ----------
    models
        Model folders or names of pretrained models.

    Examples
    --------
    auralflow ensemble htdemucs_ft scnet-large --save both
    auralflow ensemble model_a model_b --weights 1,1 --weights vocals=3,1
    auralflow ensemble model_a model_b --fit dataset  # fit the weights
    """
    from auralflow.cli.pretrained import download_progress, note_hidden_name
    from auralflow.datasets.tracks import check_dataset_exists
    from auralflow.models.ensemble_weights import parse_weights
    from auralflow.models.lookup import check_model
    from auralflow.models.writing import check_free

    weights = parse_weights(options.weights)
    check_free(options.save, None, force=force)
    for model in models:
        check_model(model)
        note_hidden_name(model)
    if options.fit:
        _check_method(options.method)
        check_dataset_exists(options.fit)
    with stage("starting"):
        from auralflow.models.ensembles import draft_ensemble

    with stage("reading the models") as hide, download_progress("members", hide) as on_progress:
        draft = draft_ensemble(
            models,
            weights=weights,
            method=options.method,
            targets=options.targets,
            on_progress=on_progress,
        )
    if options.fit:
        # A rebuilt ensemble has a method of its own.
        _check_method(draft.method)
        draft = _fitted(draft, options.fit, options)
    with stage("writing the ensemble"):
        previous = draft.write(options.save, link=link, force=force)
    if previous:
        note(f"the earlier model was moved to {previous}")
    _show(draft)
    result_line(f"wrote {options.save}: {draft.method} of {len(draft.parts)} models", copyable=True)


def _check_method(method: str | None) -> None:
    if method not in (None, "mean"):
        raise UsageError("--fit needs --method mean", found=f"--method {method}")


def _fitted(draft: "Draft", dataset: Path, options: EnsembleOptions) -> "Draft":
    """Fit the weights that minimise the error, and print a line for each target."""
    with stage("starting"):
        from auralflow.allocator import memory_kept
        from auralflow.evaluation import refitted

    with file_progress() as progress, memory_kept():
        task = progress.add_task("loading the models", total=1.0)
        draft, found = refitted(
            draft,
            dataset,
            subset=options.subset,
            on_progress=lambda name, share: progress.update(task, description=name, completed=share),
        )
    for fitted in found:
        result_line(fitted.sentence)
    for target in draft.table().keys() - {fitted.target for fitted in found}:
        note(f"no track has a {target} stem: the weights for it are unchanged")
    return draft


def _show(draft: "Draft") -> None:
    """Print the weights of each model."""
    table = draft.table()
    for index, name in enumerate(draft.names):
        counted = [f"{target} {row[index]:.3g}" for target, row in table.items() if row[index]]
        results.print(f"  {name}: {', '.join(counted)}", highlight=False)
