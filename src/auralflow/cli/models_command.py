"""``auralflow models``."""

from typing import TYPE_CHECKING, Annotated

from auralflow.cli.console import decibels, print_json, results
from auralflow.cli.parameters import Flatten, switch
from auralflow.config import ListConfig

if TYPE_CHECKING:
    from auralflow.models.card import ModelCard
    from auralflow.models.catalogue import NamedModel
    from auralflow.models.public_card import PublicCard

__all__ = ["models"]

PLACES = {"downloadable": "download", "not there": "nowhere"}
"""What the table says of weights that are not here."""


def models(
    *,
    details: Annotated[bool, switch("Print all that is known of each model.")] = False,
    json: Annotated[bool, switch("Print the cards as JSON.")] = False,
    options: Annotated[ListConfig, Flatten] = ListConfig(),  # noqa: B008 - frozen
) -> None:
    """List the models that have a name: what they estimate, their licence, where their weights are.

    Wherever a command takes a model it takes one of these names. Models of others are downloaded and
    converted when they are first used.

    Examples
    --------
    auralflow models
    auralflow models --targets vocals --licence permissive
    auralflow models --details
    """
    from auralflow.models.catalogue import named_models

    found = named_models(targets=options.targets, terms=options.licence)
    if json:
        print_json([model.to_json() for model in found])
    elif not found:
        results.print("there is no such model")
    elif details:
        _show_details(found)
    else:
        _show(found)


def _show(found: "list[NamedModel]") -> None:
    from rich.table import Table

    # Without lines between the columns, four stems and the longest names fit into 80.
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("model", no_wrap=True)
    table.add_column("stems")
    table.add_column("licence", overflow="fold")
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("weights", no_wrap=True)
    for model in found:
        card = model.card
        where = PLACES.get(model.place, "here")
        table.add_row(
            card.name, " ".join(card.targets), model.licence.name or "not stated", _size(card.size), where
        )
    results.print(table)
    results.print("Scores, data and where licences are stated: auralflow models --details")


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
        "computing time": card.cost,
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
            means = [
                f"{target} {decibels(table.mean(target, known_artist=False))}" for target in card.targets
            ]
            facts["scores"] = (
                f"{', '.join(means)} dB, mean SI-SDR improvement on {table.dataset}, artists that were "
                "not trained on"
            )
    return facts
