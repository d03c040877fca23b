"""Ranks and recommends models by task. Does not import torch."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from auralflow.models.catalogue import NamedModel
from auralflow.models.tasks import SCALES, TASKS, Task, main_task

__all__ = ["SPEEDS", "Advice", "advice", "in_order", "measured_speeds", "ranked"]

SPEEDS = Path(__file__).parent / "speeds.json"
"""Results of ``benchmarks/families.py``; written by ``make readme``."""


def in_order(models: Sequence[NamedModel]) -> list[NamedModel]:
    """Sort all models by their main task, then by quality."""
    groups = [
        ranked(task, [model for model in models if main_task(model.card.targets) is task]) for task in TASKS
    ]
    others = [model for model in models if main_task(model.card.targets) is None]
    return [model for group in groups for model in group] + others


def ranked(task: Task, models: Sequence[NamedModel]) -> list[NamedModel]:
    """The models suitable for a task, best first on each scale, those without a score last."""

    def place(model: NamedModel) -> tuple[int, float]:
        found = task.qualities(model.card)
        return (SCALES.index(found[0].scale), -found[0].value) if found else (len(SCALES), 0.0)

    return sorted((model for model in models if task.is_served_by(model.card.targets)), key=place)


@cache
def measured_speeds() -> tuple[Mapping[str, float], str]:
    """Seconds per 3-minute song by model, and the processor they were measured on."""
    if not SPEEDS.is_file():
        return {}, ""
    known = json.loads(SPEEDS.read_text(encoding="utf-8"))
    return known["seconds_per_3_minutes"], known["processor"]


@dataclass(frozen=True)
class Advice:
    """Recommended models for a task; None where too little is known to decide.

    Attributes:
        task: The task.
        fastest: The fastest model.
        permissive: The best model with a permissive licence.
        best: The best model with any licence.
    """

    task: Task
    fastest: NamedModel | None
    permissive: NamedModel | None
    best: NamedModel | None


def advice(task: Task, models: Sequence[NamedModel], speeds: Mapping[str, float] | None = None) -> Advice:
    """Recommend models for a task.

    The fastest is the one with the shortest measured time. The best is the one that no other is known to
    beat, since scores can only be compared within a data set and a metric.

    Args:
        task: The task.
        models: The models to choose from.
        speeds: Seconds per song, by model. Default: `measured_speeds`.

    Returns:
        The recommendations.
    """
    speeds = measured_speeds()[0] if speeds is None else speeds
    # Of two equally fast models, prefer the better one.
    fit = ranked(task, models)
    timed = [model for model in fit if model.card.name in speeds]
    fastest = min(timed, key=lambda model: speeds[model.card.name], default=None)
    permissive = [model for model in fit if model.licence.terms == "permissive"]
    return Advice(task, fastest or _only(fit), _best(task, permissive), _best(task, fit))


def _only(models: Sequence[NamedModel]) -> NamedModel | None:
    return models[0] if len(models) == 1 else None


def _best(task: Task, models: Sequence[NamedModel]) -> NamedModel | None:
    """The leader on the first scale with any scores, unless another model beats it on all shared scales."""
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
