"""``auralflow evaluate``."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from auralflow.cli.console import file_progress, note, result_line, stage, stderr
from auralflow.cli.parameters import FamilyName, Flatten, TrustCode, switch
from auralflow.cli.plain import one_line
from auralflow.config import EvaluateConfig
from auralflow.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from auralflow.evaluation import Comparison, FittedWeights, ModelSystem, System

__all__ = ["evaluate"]


def evaluate(
    *paths: Path,
    family: FamilyName = None,
    trust_code: TrustCode = False,
    details: Annotated[
        bool, switch("Also print all scores, the differences between pairs of systems, and every track.")
    ] = False,
    options: Annotated[EvaluateConfig, Flatten] = EvaluateConfig(),  # noqa: B008 - frozen
) -> int:
    """Score models on a dataset, between the mixture as floor and ideal masks (oracles) as ceiling.

    The table lists, for each system and target, the SI-SDR improvement, its percentage of the oracle's, and
    the SDR of museval, in which most results are published. A sentence below it names the better system and
    the uncertainty.

    Parameters
    ----------
    paths
        Model folders or names of pretrained models, then the dataset: a folder with test/TRACK/vocals.wav and
        so on.

    Examples
    --------
    auralflow evaluate my_model dataset --save scores.json
    auralflow evaluate model_a model_b dataset --save report  # a web page
    auralflow evaluate dataset --estimates stems      # from another separator
    auralflow evaluate my_ensemble dataset --fit-weights
    """
    if not paths or (len(paths) == 1 and not options.estimates):
        raise UsageError(
            f"{'a dataset is' if paths else 'a model and a dataset are'} missing",
            expected="auralflow evaluate MODEL ... DATASET, or auralflow evaluate DATASET --estimates FOLDER",
        )
    *models, dataset = paths
    from auralflow.datasets.tracks import check_dataset_exists
    from auralflow.models.lookup import check_model

    for model in models:
        check_model(model)
    check_dataset_exists(dataset)
    with stage("starting"):
        from auralflow.allocator import memory_kept
        from auralflow.cli.score_tables import show_comparison
        from auralflow.evaluation import Comparison, compare, read_museval
        from auralflow.evaluation.scoring import Extras
        from auralflow.metrics.table import OPTIONS

    systems, scored = _systems(models, options, family or trust_code)
    fitted = _fitted(systems, models, dataset, options) if options.fit_weights else {}
    with file_progress() as progress, memory_kept():
        task = progress.add_task("reading the dataset", total=1.0)
        comparison = compare(
            systems,
            dataset,
            subset=options.subset,
            bounds=options.bounds,
            extras=Extras(**{name: getattr(options, name) for name in OPTIONS}),
            jobs=options.jobs,
            folder=options.save if options.save and not _is_file(options.save) else None,
            on_progress=lambda name, share: progress.update(task, description=name, completed=share),
        )
    reports = [read_museval(folder, subset=options.subset) for folder in scored]
    comparison = Comparison([*comparison.reports, *reports], comparison.about, fitted)
    show_comparison(comparison, details=details)
    for report in comparison.systems:
        for name, reason in report.skipped.items():
            note(f"'{name}' was left out for {report.name}: it {reason}")
    for name, error in comparison.failed.items():
        stderr.print(f"failed: {one_line(name)}: {one_line(error)}")
    if options.save:
        _save(comparison, systems, models, dataset, options)
    else:
        note("for a page with plots and players, add --save report")
    return ExitCode.FAILED if comparison.failed else ExitCode.DONE


def _is_file(path: Path) -> bool:
    return path.suffix.lower() == ".json"


def _systems(
    models: list[Path], options: EvaluateConfig, trust_code: bool | str
) -> tuple[list["System"], list[Path]]:
    """The systems, and the folders that contain museval's scores instead of stems."""
    from auralflow.cli.pretrained import open_model
    from auralflow.config import SOURCES
    from auralflow.evaluation import ModelSystem, StemFolder
    from auralflow.separation import Separator

    systems: list[System] = []
    for path, name in zip(models, _own_names([*models, *options.estimates]), strict=False):
        systems.append(ModelSystem(Separator(open_model(path, trust_code=trust_code), options), name))
    targets = list(dict.fromkeys(target for system in systems for target in system.targets)) or SOURCES
    scored = []
    for path, name in zip(
        options.estimates, _own_names([*models, *options.estimates])[len(models) :], strict=True
    ):
        if next((path / options.subset).glob("*.json"), None):
            scored.append(path)
        else:
            systems.append(StemFolder(path, options.subset, [*targets, "accompaniment"], name=name))
    return systems, scored


def _fitted(
    systems: list["System"], models: list[Path], dataset: Path, options: EvaluateConfig
) -> dict[str, list["FittedWeights"]]:
    """Fit the weights of all ensembles, and insert each one with fitted weights after the original."""
    from auralflow.evaluation import ModelSystem
    from auralflow.evaluation.fitting import as_typed

    pairs = [
        (path, system)
        for path, system in zip(models, systems, strict=False)
        if isinstance(system, ModelSystem) and system.separator.model.ensemble
    ]
    if not pairs:
        raise UsageError(
            "--fit-weights needs an ensemble",
            found=", ".join(system.name for system in systems),
            expected="a model created by auralflow ensemble",
        )
    fitted = {}
    for path, system in pairs:
        again, found = _refitted(path, system, dataset, options)
        fitted[system.name] = found
        for each in found:
            result_line(f"{system.name}, {each.sentence}" if len(pairs) > 1 else each.sentence)
        words = ["auralflow", "ensemble", str(path)]
        words += [f"--weights={each.target}={as_typed(each.weights)}" for each in found]
        result_line("to keep them:")
        result_line(f"{shlex.join([*words, '--save'])} FOLDER", copyable=True)
        systems.insert(systems.index(system) + 1, again)
    if options.subset == "valid":
        note("the weights were fitted on the same songs that are scored")
    return fitted


def _refitted(
    path: Path, system: "ModelSystem", dataset: Path, options: EvaluateConfig
) -> tuple["ModelSystem", list["FittedWeights"]]:
    from auralflow.allocator import memory_kept
    from auralflow.cli.pretrained import download_progress
    from auralflow.evaluation import ModelSystem, refitted
    from auralflow.models.ensembles import draft_ensemble
    from auralflow.separation import Separator

    with download_progress(system.name) as on_bytes:
        draft = draft_ensemble([path], on_progress=on_bytes)
    with file_progress() as progress, memory_kept():
        task = progress.add_task("loading the models", total=1.0)
        draft, found = refitted(
            draft,
            dataset,
            settings=options,
            on_progress=lambda name, share: progress.update(task, description=name, completed=share),
        )
    return ModelSystem(Separator(draft.load(), options), f"{system.name}, fitted"), found


def _own_names(paths: list[Path]) -> list[str]:
    """The folders' names, or their full paths where a name is taken."""
    from auralflow.evaluation import BOUNDS

    taken = [*BOUNDS, *(path.resolve().name for path in paths)]
    return [
        path.resolve().name if taken.count(path.resolve().name) == 1 else str(path.resolve())
        for path in paths
    ]


def _save(
    comparison: "Comparison",
    systems: list["System"],
    models: list[Path],
    dataset: Path,
    options: EvaluateConfig,
) -> None:
    from auralflow.evaluation import save_report
    from auralflow.evaluation.examples import make_examples
    from auralflow.evaluation.saving import report_json
    from auralflow.storage import write_json

    assert options.save is not None
    if _is_file(options.save):
        content: dict[str, Any] = {"models": [str(path) for path in models], **report_json(comparison)}
        if len(comparison.systems) == 1:
            # Scripts expect the scores of a single model at the top level.
            content = {**content, "model": str((models or [dataset])[0]), **comparison.systems[0].to_json()}
        write_json(options.save, content)
        result_line(f"wrote {options.save}", copyable=True)
        return
    by_name = {report.name: report for report in comparison.reports}
    examples = [
        example
        for system in systems
        for example in make_examples(system, by_name[system.name], dataset, subset=options.subset)
    ]
    page, *others = save_report(comparison, options.save, subset=options.subset, examples=examples)
    for path in (*others, page):
        result_line(f"wrote {path}", copyable=True)
    note("open report.html in a browser to hear and see the examples")
