"""Writes the tables of options, criteria and metrics from the program, between their markers in the pages.

Run ``make readme``, or ``python docs/option_tables.py --check`` to only compare.
"""

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import get_args

from pydantic.fields import FieldInfo

from auralflow.config import (
    AppConfig,
    CheckConfig,
    DoctorConfig,
    DownloadConfig,
    EvaluateConfig,
    ImportConfig,
    PlotConfig,
    PrepareConfig,
    SeparateConfig,
    Settings,
    SynthConfig,
    TrainConfig,
    option_name,
)
from auralflow.effects.augmentations import AUGMENTATIONS
from auralflow.losses import LOSSES
from auralflow.metrics import METRICS
from auralflow.nets.unet import RecurrentNetConfig, SpectrogramNetConfig

README = Path(__file__).parent.parent / "README.md"
NOT_OPTIONS = {"format_version", "family", "net", "targets", "overlap"}
TABLES: dict[str, tuple[type[Settings], set[str]]] = {
    "config": (SpectrogramNetConfig, NOT_OPTIONS),
    "config-recurrent": (RecurrentNetConfig, set(SpectrogramNetConfig.model_fields)),
    "train": (TrainConfig, set()),
    "separate": (SeparateConfig, set()),
    "evaluate": (EvaluateConfig, set()),
    "app": (AppConfig, set()),
    "plot": (PlotConfig, set()),
    "synth": (SynthConfig, set()),
    "doctor": (DoctorConfig, set()),
    "data-check": (CheckConfig, set()),
    "data-prepare": (PrepareConfig, set()),
    "data-import": (ImportConfig, set()),
    "download": (DownloadConfig, set()),
}


def default_text(field: FieldInfo) -> str:
    """The default as it would be typed."""
    if field.default is True or field.default is False:
        return "on" if field.default else "off"
    if field.default is None or field.default == ():
        return ""
    if isinstance(field.default, tuple):
        return f"`{' '.join(map(str, field.default))}`"
    return f"`{field.default}`"


def table(kind: type[Settings], leave_out: set[str]) -> str:
    """One Markdown row per option: name, default, meaning."""
    rows = ["| option | default | meaning |", "|---|---|---|"]
    for name, field in kind.model_fields.items():
        if name in leave_out:
            continue
        choices = [str(choice) for choice in get_args(field.annotation) if isinstance(choice, str | int)]
        meaning = field.description or ""
        if choices:
            meaning += f" One of {', '.join(f'`{choice}`' for choice in choices)}."
        rows.append(f"| `{option_name(name)}` | {default_text(field)} | {meaning} |")
    return "\n".join(rows)


def criteria_table() -> str:
    """One Markdown row per loss: its name, and the quantity to minimise."""
    rows = [f"| `{loss.name}` | {loss.summary} |" for loss in LOSSES.values()]
    return "\n".join(["| criterion | quantity to minimise |", "|---|---|", *rows])


def metrics_table(*, on_request: bool) -> str:
    """One Markdown row per metric: its name, definition and source, and the option that asks for it."""
    rows = []
    for metric in METRICS.values():
        if (metric.option is not None) == on_request:
            option = f"`{option_name(metric.option.name)}`" if metric.option else "always"
            text = metric.definition.replace("|", "\\|").removesuffix("; on request")
            rows.append(f"| `{metric.name}` | {option} | {text} | {metric.source} |")
    return "\n".join(["| name | computed | definition | source |", "|---|---|---|---|", *rows])


def filled(text: str) -> str:
    """The README with every table written anew.

    Raises:
        ValueError: If a table has no place in the README.
    """
    bodies = {f"options: {name}": table(kind, leave_out) for name, (kind, leave_out) in TABLES.items()}
    bodies["criteria"] = criteria_table()
    return _filled(text, bodies)


def filled_evaluation(text: str) -> str:
    """The page about evaluation with its tables written anew."""
    bodies = {
        "metrics: always": metrics_table(on_request=False),
        "metrics: on request": metrics_table(on_request=True),
    }
    return _filled(text, bodies)


def _filled(text: str, bodies: Mapping[str, str]) -> str:
    for name, body in bodies.items():
        pattern = re.compile(f"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        if not pattern.search(text):
            raise ValueError(f"there is no place for {name}")
        text = pattern.sub(lambda found, body=body: f"{found[1]}\n{body}\n\n{found[2]}", text)
    return text


def augmentations_table() -> str:
    """One Markdown row per augmentation: what it does, how often and how much, with the defaults."""
    rows = []
    for kind in AUGMENTATIONS:
        told = {name: f"`{option_name(name)} {field.default}`" for name, (_, field) in kind.options.items()}
        rows.append(f"| {kind.what} | {told[kind.name]} | {kind.amount.format(**told)} |")
    return "\n".join(["| change | how often | how much |", "|---|---|---|", *rows])


def filled_data(text: str) -> str:
    """The page about data with its table written anew."""
    return _filled(text, {"augmentations": augmentations_table()})


PAGES: Mapping[Path, Callable[[str], str]] = {
    README: filled,
    README.parent / "docs" / "evaluation.md": filled_evaluation,
    README.parent / "docs" / "data.md": filled_data,
}


def main() -> int:
    """Write the pages, or with ``--check`` only say by the exit code whether they are up to date."""
    texts = {page: page.read_text(encoding="utf-8") for page in PAGES}
    wanted = {page: fill(texts[page]) for page, fill in PAGES.items()}
    if "--check" in sys.argv[1:]:
        return int(texts != wanted)
    for page, text in wanted.items():
        page.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
