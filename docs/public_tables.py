"""Writes the tables of docs/models.md and docs/choosing.md from the models' cards, between markers.

Also copies the results of ``benchmarks/families.py`` into the package, for ``auralflow models``.

Run ``make readme``, or ``python docs/public_tables.py --check`` to only compare.
"""

import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pretrained_tables import markdown

from auralflow.models import ModelCard, PublicCard, installed_registry
from auralflow.models.catalogue import NamedModel, licence_of
from auralflow.models.choosing import SPEEDS, advice, measured_speeds, ranked
from auralflow.models.tasks import SCALES, TASKS, Task
from auralflow.nets.families import find_family

DOCS = Path(__file__).parent
MEASURED = DOCS.parent / "benchmarks" / "results" / "families.json"

AnyCard = ModelCard | PublicCard
DASH = "-"


def named(cards: Sequence[AnyCard]) -> list[NamedModel]:
    """The cards in the form that `advice` takes; where their weights are does not matter here."""
    return [NamedModel(card, licence_of(card), "", None) for card in cards]


def code(model: NamedModel | None) -> str:
    """A name, or a dash."""
    return f"`{model.card.name}`" if model else DASH


def advice_table(cards: Sequence[AnyCard]) -> str:
    """One row per task: the recommended models."""
    rows = []
    for task in TASKS:
        found = advice(task, named(cards))
        command = f"`auralflow separate MODEL song.mp3 {task.option}`".replace(" `", "`")
        rows.append([task.title, code(found.fastest), code(found.permissive), code(found.best), command])
    return markdown(["task", "fastest", "best with a permissive licence", "best", "command"], rows, left=5)


def scales(_: Sequence[AnyCard]) -> str:
    """What the letters mean."""
    return "\n".join(f"  - {scale.letter}: {scale.metric}; {scale.dataset}" for scale in SCALES)


def speed(cards: Sequence[AnyCard]) -> str:
    """The sources of the times."""
    command = "`python benchmarks/families.py --json benchmarks/results/families.json`"
    _, processor = measured_speeds()
    published = [
        f"  - GPU, `{card.name}`: {card.gpu.device}; {card.gpu.source}."
        for card in cards
        if isinstance(card, PublicCard) and card.gpu
    ]
    measured = f"  - CPU: to be measured by {command}, then `make readme`."
    if processor:
        measured = f"  - CPU: {processor}; measured by {command}, random weights of the same size."
    return "\n".join([measured, *published])


def tasks(cards: Sequence[AnyCard]) -> str:
    """A table for each task, best models first."""
    return "\n\n".join(f"## {task.title}\n\n{task_table(task, cards)}" for task in TASKS)


def task_table(task: Task, cards: Sequence[AnyCard]) -> str:
    """The models of one task."""
    speeds, _ = measured_speeds()
    rows = []
    for model in ranked(task, named(cards)):
        card = model.card
        gpu = card.gpu if isinstance(card, PublicCard) else None
        rows.append(
            [
                code(model),
                ", ".join(map(str, task.qualities(card))) or DASH,
                f"{speeds[card.name]:.0f} s" if card.name in speeds else DASH,
                f"{gpu.seconds:g} s" if gpu else DASH,
                f"{card.size / 1e6:.0f} MB",
                model.licence.name or "not stated",
            ]
        )
    return markdown(["model", "dB", "CPU", "GPU", "download", "licence of the weights"], rows, left=6)


def families(cards: Sequence[PublicCard]) -> str:
    """One row per model: its family and its targets."""
    rows = [[f"`{card.name}`", find_family(card.family).title, ", ".join(card.targets)] for card in cards]
    return markdown(["name", "family", "targets"], rows, left=3)


def licences(cards: Sequence[PublicCard]) -> str:
    """Where each licence is stated, whom to credit, and the training data."""
    rows = [
        [f"`{card.name}`", card.licence.evidence.replace("|", "\\|"), card.credit, card.data]
        for card in cards
    ]
    return markdown(["name", "evidence of the licence", "credit", "trained on"], rows, left=4)


def scores(cards: Sequence[PublicCard]) -> str:
    """Published scores, which compare only within one dataset and metric."""
    rows = [
        [
            f"`{card.name}`",
            ", ".join(f"{target} {value:g}" for target, value in table.values.items()),
            table.metric,
            table.dataset,
            table.source,
        ]
        for card in cards
        for table in card.scores
    ]
    return markdown(["name", "dB", "metric", "data", "source"], rows, left=5)


BLOCKS: dict[str, dict[str, Callable[[Any], str]]] = {
    "models.md": {"models": families, "licences": licences, "scores": scores},
    "choosing.md": {"advice": advice_table, "scales": scales, "speed": speed, "tasks": tasks},
}
OWN_TOO = "choosing.md"
"""The page that also lists auralflow's own models."""


def cards_of(page: str) -> list[AnyCard]:
    """The cards shown on a page."""
    registry = installed_registry()
    return [*(registry.cards() if page == OWN_TOO else ()), *registry.public_cards()]


def filled(page: str, text: str, cards: Sequence[AnyCard]) -> str:
    """The page, with each block regenerated from the cards.

    Raises:
        ValueError: If the page lacks the markers of a block.
    """
    for name, write in BLOCKS[page].items():
        pattern = re.compile(f"(<!-- public: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        if not pattern.search(text):
            raise ValueError(f"{page} has no markers for the {name} of public models")
        body = write(cards)
        text = pattern.sub(lambda found, body=body: f"{found[1]}\n{body}\n\n{found[2]}", text)
    return text


def copy_speeds() -> str:
    """The part of the measurement that goes into the package; without one, what is there now."""
    if not MEASURED.is_file():
        return SPEEDS.read_text(encoding="utf-8") if SPEEDS.is_file() else ""
    known = json.loads(MEASURED.read_text(encoding="utf-8"))
    kept = {
        "processor": f"{known['machine']['processor']}; CPU time / cores",
        "seconds_per_3_minutes": known["seconds_per_3_minutes"],
    }
    return json.dumps(kept, indent=2) + "\n"


def main() -> int:
    """Write the pages, or with ``--check`` only report whether they are up to date."""
    check = "--check" in sys.argv[1:]
    wanted = copy_speeds()
    stale = bool(wanted) and (not SPEEDS.is_file() or SPEEDS.read_text(encoding="utf-8") != wanted)
    if stale and not check:
        SPEEDS.write_text(wanted, encoding="utf-8")
    for page in BLOCKS:
        path = DOCS / page
        text = path.read_text(encoding="utf-8")
        wanted = filled(page, text, cards_of(page))
        stale |= text != wanted
        if not check:
            path.write_text(wanted, encoding="utf-8")
    return int(stale and check)


if __name__ == "__main__":
    sys.exit(main())
