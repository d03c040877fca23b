"""Which model for what: the models of a task in order, and what to recommend. Loads no torch."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from auralflow.models.catalogue import NamedModel
from auralflow.models.tasks import SCALES, TASKS, Task, main_task

__all__ = ["SPEEDS", "Advice", "advice", "in_order", "measured_speeds", "ranked"]

SPEEDS = Path(__file__).parent / "speeds.json"
"""What ``benchmarks/families.py`` measured; written by ``make readme``."""


def in_order(models: Sequence[NamedModel]) -> list[NamedModel]:
    """All models, by what they are for in the first place, and the best of each scale first."""
    groups = [
        ranked(task, [model for model in models if main_task(model.card.targets) is task]) for task in TASKS
    ]
    others = [model for model in models if main_task(model.card.targets) is None]
    return [model for group in groups for model in group] + others


def ranked(task: Task, models: Sequence[NamedModel]) -> list[NamedModel]:
    """The models that serve a task; the best of each scale first, those without a score last."""

    def place(model: NamedModel) -> tuple[int, float]:
        found = task.qualities(model.card)
        return (SCALES.index(found[0].scale), -found[0].value) if found else (len(SCALES), 0.0)

    return sorted((model for model in models if task.is_served_by(model.card.targets)), key=place)


@cache
def measured_speeds() -> tuple[Mapping[str, float], str]:
    """Seconds that a song of 3 minutes takes, by model, and the processor that it was measured on."""
    if not SPEEDS.is_file():
        return {}, ""
    known = json.loads(SPEEDS.read_text(encoding="utf-8"))
    return known["seconds_per_3_minutes"], known["processor"]


@dataclass(frozen=True)
class Advice:
    """What to use for a task; None where nothing is known that would decide.

    Attributes:
        task: The task.
        fastest: The model that takes the least time.
        permissive: The best model whose licence is permissive.
        best: The best model, whatever its licence.
    """

    task: Task
    fastest: NamedModel | None
    permissive: NamedModel | None
    best: NamedModel | None


def advice(task: Task, models: Sequence[NamedModel], speeds: Mapping[str, float] | None = None) -> Advice:
    """Recommend models for a task.

    The fastest is the one that was measured to be. The best is the one that no other is known to beat: scores
    compare within a data set and a metric only.

    Args:
        task: The task.
        models: The models to choose from.
        speeds: Seconds that a song takes. Default: as measured.
    """
    speeds = measured_speeds()[0] if speeds is None else speeds
    # Of two that take equally long, the better one.
    fit = ranked(task, models)
    timed = [model for model in fit if model.card.name in speeds]
    fastest = min(timed, key=lambda model: speeds[model.card.name], default=None)
    permissive = [model for model in fit if model.licence.terms == "permissive"]
    return Advice(task, fastest or _only(fit), _best(task, permissive), _best(task, fit))


def _only(models: Sequence[NamedModel]) -> NamedModel | None:
    return models[0] if len(models) == 1 else None


def _best(task: Task, models: Sequence[NamedModel]) -> NamedModel | None:
    """The leader on the first scale that anyone has, unless another beats it on one that both have."""
    scores = {
        model.card.name: {quality.scale.letter: quality.value for quality in task.qualities(model.card)}
        for model in models
    }
    leader = _only(models)
    for scale in SCALES:
        scored = [model for model in models if scale.letter in scores[model.card.name]]
        if scored:
            leader = max(scored, key=lambda model, mark=scale.letter: scores[model.card.name][mark])  # type: ignore[misc]
            break
    if leader is None:
        return None
    for model in models:
        mine, other = scores[leader.card.name], scores[model.card.name]
        shared = [scale.letter for scale in SCALES if scale.letter in mine and scale.letter in other]
        if shared and all(other[mark] > mine[mark] for mark in shared):
            leader = model
    return leader
