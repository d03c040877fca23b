"""Regenerates the tables of criteria, metrics and augmentations from the program, between their markers.

Run ``make readme``, or ``python docs/tables.py --check`` to only compare; options: ``reference_pages.py``.
"""

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from auralflow.config import option_name
from auralflow.effects.augmentations import AUGMENTATIONS
from auralflow.losses import LOSSES
from auralflow.metrics import METRICS

DOCS = Path(__file__).parent


def criteria_table() -> str:
    """One Markdown row per loss: its name, and the quantity to minimise."""
    rows = [f"| `{loss.name}` | {loss.summary} |" for loss in LOSSES.values()]
    return "\n".join(["| criterion | quantity to minimise |", "|---|---|", *rows])


def metrics_table(*, on_request: bool) -> str:
    """One Markdown row per metric: its name, definition and source, and the option that enables it."""
    rows = []
    for metric in METRICS.values():
        if (metric.option is not None) == on_request:
            option = f"`{option_name(metric.option.name)}`" if metric.option else "always"
            text = metric.definition.replace("|", "\\|").removesuffix("; on request")
            rows.append(f"| `{metric.name}` | {option} | {text} | {metric.source} |")
    return "\n".join(["| name | computed | definition | source |", "|---|---|---|---|", *rows])


def filled_training(text: str) -> str:
    """The page about training, with its table regenerated."""
    return _filled(text, {"criteria": criteria_table()})


def filled_evaluation(text: str) -> str:
    """The page about evaluation, with its tables regenerated."""
    bodies = {
        "metrics: always": metrics_table(on_request=False),
        "metrics: on request": metrics_table(on_request=True),
    }
    return _filled(text, bodies)


def _filled(text: str, bodies: Mapping[str, str]) -> str:
    for name, body in bodies.items():
        pattern = re.compile(f"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        if not pattern.search(text):
            raise ValueError(f"there are no markers for {name}")
        text = pattern.sub(lambda found, body=body: f"{found[1]}\n{body}\n\n{found[2]}", text)
    return text


def augmentations_table() -> str:
    """One Markdown row per augmentation: what it does, how often and how much, with the defaults."""
    rows = []
    for kind in AUGMENTATIONS:
        used = {name: f"`{option_name(name)} {field.default}`" for name, (_, field) in kind.options.items()}
        rows.append(f"| {kind.what} | {used[kind.name]} | {kind.amount.format(**used)} |")
    return "\n".join(["| augmentation | how often | how much |", "|---|---|---|", *rows])


def filled_data(text: str) -> str:
    """The page about data, with its table regenerated."""
    return _filled(text, {"augmentations": augmentations_table()})


PAGES: Mapping[Path, Callable[[str], str]] = {
    DOCS / "training.md": filled_training,
    DOCS / "evaluation.md": filled_evaluation,
    DOCS / "data.md": filled_data,
}


def main() -> int:
    """Write the pages, or with ``--check`` only report whether they are up to date."""
    texts = {page: page.read_text(encoding="utf-8") for page in PAGES}
    wanted = {page: fill(texts[page]) for page, fill in PAGES.items()}
    if "--check" in sys.argv[1:]:
        return int(texts != wanted)
    for page, text in wanted.items():
        page.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
