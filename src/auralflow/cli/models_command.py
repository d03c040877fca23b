"""``auralflow models``."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from auralflow.cli.console import decibels, print_json, results
from auralflow.cli.parameters import Flatten, switch
from auralflow.config import ListConfig
from auralflow.errors import NotFoundError

if TYPE_CHECKING:
    from rich.table import Table

    from auralflow.models.card import ModelCard, ScoreTable
    from auralflow.models.catalogue import NamedModel
    from auralflow.models.public_card import PublicCard
    from auralflow.models.tasks import Task

__all__ = ["models"]

PLACES = {"downloadable": "download", "not there": "nowhere"}
"""How the table describes weights that are not on this machine."""


def models(
    *,
    details: Annotated[bool, switch("Print everything known about each model.")] = False,
    json: Annotated[bool, switch("Print the cards as JSON.")] = False,
    options: Annotated[ListConfig, Flatten] = ListConfig(),  # noqa: B008 - frozen
) -> None:
    """List the named models and what to use them for: quality, computing time, size and licence.

    Every command that takes a model accepts these names. Models from other projects are downloaded and
    converted on first use.

    Examples
    --------
    auralflow models
    auralflow models --task karaoke
    auralflow models --targets vocals --licence permissive
    auralflow models --details
    """
    from auralflow.models.catalogue import named_models
    from auralflow.models.choosing import in_order, ranked

    task = _task(options.task) if options.task else None
    found = named_models(targets=options.targets, terms=options.licence)
    found = ranked(task, found) if task else in_order(found)
    if json:
        print_json([_as_json(model) for model in found])
    elif not found:
        results.print("no matching model")
    elif details:
        _show_details(found)
    else:
        _show_advice(found, task)
        _show(found, task)


def _task(word: str) -> "Task":
    from auralflow.config.base import suggestion
    from auralflow.models.tasks import TASKS, find_task

    task = find_task(word)
    if task is None:
        known = [word for task in TASKS for word in (task.name, *task.words)]
        # The tables show the labels.
        names = [task.name if task.label == task.name else f"{task.name} ({task.label})" for task in TASKS]
        raise NotFoundError(f"no task {word!r}{suggestion(word, known)}", expected=", ".join(names))
    return task


def _as_json(model: "NamedModel") -> dict[str, Any]:
    from auralflow.models.choosing import measured_speeds
    from auralflow.models.tasks import TASKS

    card = model.card
    tasks = {
        task.name: [
            {"value": round(found.value, 2), "metric": found.scale.metric, "dataset": found.scale.dataset}
            for found in task.qualities(card)
        ]
        for task in TASKS
        if task.is_served_by(card.targets)
    }
    return model.to_json() | {"tasks": tasks, "seconds_per_3_minutes": measured_speeds()[0].get(card.name)}


def _table() -> "Table":
    from rich.table import Table

    # Without lines between the columns, everything that matters fits into 80 characters.
    return Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))


def _show_advice(found: "list[NamedModel]", task: "Task | None") -> None:
    from auralflow.models.choosing import advice
    from auralflow.models.tasks import TASKS

    table = _table()
    for head in ("use for", "fastest", "best permissive", "best"):
        table.add_column(head, no_wrap=True)
    for each in [task] if task else TASKS:
        told = advice(each, found)
        names = [model.card.name if model else "-" for model in (told.fastest, told.permissive, told.best)]
        if any(name != "-" for name in names):
            table.add_row(each.label, *names)
    if table.row_count:
        results.print(table)
        results.print()


def _show(found: "list[NamedModel]", task: "Task | None") -> None:
    from auralflow.models.choosing import measured_speeds
    from auralflow.models.public_card import PublicCard
    from auralflow.models.tasks import SCALES, main_task

    speeds, processor = measured_speeds()
    table = _table()
    table.add_column("model", no_wrap=True)
    table.add_column("for", no_wrap=True)
    for head in ("dB", "CPU", "GPU", "MB"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("licence", overflow="fold")
    table.add_column("weights", no_wrap=True)
    scales = set()
    for model in found:
        card = model.card
        its = task or main_task(card.targets)
        quality = next(iter(its.qualities(card)), None) if its else None
        scales |= {quality.scale.letter} if quality else set()
        gpu = card.gpu if isinstance(card, PublicCard) else None
        table.add_row(
            card.name,
            its.label if its else "other",
            str(quality or "-"),
            f"{speeds[card.name]:.0f}" if card.name in speeds else "-",
            f"{gpu.seconds:.0f}" if gpu else "-",
            f"{card.size / 1e6:.0f}",
            model.licence.name or "not stated",
            PLACES.get(model.place, "here"),
        )
    results.print(table)
    results.print()
    for scale in SCALES:
        if scale.letter in scales:
            results.print(f"dB {scale.letter}: {scale.dataset}, {scale.metric}")
    results.print("Compare scores only within a letter; - is not stated or not measured.")
    results.print("CPU, GPU: seconds for a 3-minute song")
    if processor:
        results.print(f"CPU: {processor}")
    results.print("More: auralflow models --task karaoke, --details; docs/models.md")


def _size(size: int) -> str:
    return f"{size / 1e6:.0f} MB"


def _show_details(found: "list[NamedModel]") -> None:
    from auralflow.models.public_card import PublicCard

    for model in found:
        card = model.card
        results.print(card.name, style="bold")
        facts = {
            "estimates": ", ".join(card.targets),
            "weights": f"{_size(card.size)}, {model.place}" + (f": {model.path}" if model.path else ""),
            "licence": " ".join(
                (model.licence.sentence, model.licence.evidence and f"({model.licence.evidence})")
            ),
        }
        facts |= _public(card) if isinstance(card, PublicCard) else _own(card)
        for name, fact in facts.items():
            results.print(f"  {name}: {fact}")
        results.print()


def _public(card: "PublicCard") -> dict[str, str]:
    scores = [
        f"{', '.join(f'{target} {value:g}' for target, value in table.values.items())} dB, {table.metric}, "
        f"on {table.dataset} ({table.source})"
        for table in card.scores
    ]
    files = [f"{file.url} ({_size(file.size)}, SHA-256 {file.sha256})" for file in card.files]
    return {
        "what": f"{card.title}, by {card.credit}",
        "trained on": card.data,
        "computing time": card.cost
        + (
            f"; {card.gpu.seconds:g} s for 3 minutes on {card.gpu.device} ({card.gpu.source})"
            if card.gpu
            else ""
        ),
        **({"scores": "; ".join(scores)} if scores else {}),
        **({"notes": " ".join(card.notes)} if card.notes else {}),
        "to cite": card.citation,
        "files": "; ".join(files),
    }


def _own(card: "ModelCard") -> dict[str, str]:
    facts = {
        "what": f"{card.net}, {card.parameters:,} parameters",
        "trained on": "; ".join(f"{part.name} ({part.licence})" for part in card.data),
    }
    for table in card.scores:
        if table.subset == "test":
            facts |= _scores(table, card.targets)
    return facts


def _scores(table: "ScoreTable", targets: Sequence[str]) -> dict[str, str]:
    """Scores in both units, each with its oracle."""
    count = sum(not track.known_artist for track in table.tracks)
    where = f"{table.dataset}, {table.subset}, {count} songs by artists not in the training data"

    def line(statistic: Callable[..., float | None], value: str) -> str:
        return ", ".join(
            f"{target} {decibels(statistic(target, known_artist=False, value=value))}" for target in targets
        )

    facts = {
        "SI-SDR improvement": f"{line(table.mean, 'si_sdr_improvement')} dB, mean on {where}",
        "of the oracle": f"{line(table.mean, 'ceiling')} dB, the ideal ratio mask",
    }
    if any(table.median(target, known_artist=False) is not None for target in targets):
        facts["SDR of museval"] = (
            f"{line(table.median, 'museval_sdr')} dB, median of 1-s frames, then of the same songs; mixture: "
            f"{line(table.median, 'museval_floor')} dB; oracle: "
            f"{line(table.median, 'museval_ceiling')} dB"
        )
    return facts
