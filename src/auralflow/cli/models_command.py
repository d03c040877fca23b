"""``auralflow models``."""

from typing import TYPE_CHECKING, Annotated

from auralflow.cli.console import decibels, print_json, results
from auralflow.cli.parameters import switch

if TYPE_CHECKING:
    from auralflow.models import ModelCard

__all__ = ["models"]


def models(*, json: Annotated[bool, switch("Print the cards as JSON.")] = False) -> None:
    """List the pretrained models: what they estimate, what they score, where their weights are.

    Examples
    --------
    auralflow models
    auralflow models --json
    """
    from auralflow.models import Access, find_weights, installed_registry

    registry, access = installed_registry(), Access.from_environment()
    cards = registry.cards()
    places = [find_weights(card, registry, access) for card in cards]
    where = [
        place.kind if place else "downloadable" if access.url(card) else "not there"
        for card, place in zip(cards, places, strict=True)
    ]
    if json:
        print_json(
            [
                card.model_dump(mode="json")
                | {"net": card.net, "targets": card.targets, "weights": word}
                | {"path": str(place.path) if place else None}
                for card, word, place in zip(cards, where, places, strict=True)
            ]
        )
    elif cards:
        _show(cards, where)
    else:
        results.print("this installation of auralflow has no pretrained models")


def _show(cards: "list[ModelCard]", where: list[str]) -> None:
    from rich import box
    from rich.table import Table

    targets = list(dict.fromkeys(target for card in cards for target in card.targets))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("model", no_wrap=True)
    for name in ("size", *targets):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("weights")
    for card, word in zip(cards, where, strict=True):
        scores = [_score(card, target) for target in targets]
        table.add_row(card.name, f"{card.size / 1e6:.1f} MB", *scores, word)
    results.print(table)
    results.print("decibels: mean SI-SDR improvement on test songs of artists that were not trained on")


def _score(card: "ModelCard", target: str) -> str:
    """What a target scores on the test songs of artists that were not trained on."""
    if target not in card.targets:
        return ""
    tables = [table for table in card.scores if table.subset == "test"]
    return decibels(tables[0].mean(target, known_artist=False) if tables else None)
