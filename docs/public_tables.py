"""Writes what the cards of public models say into docs/models.md, between markers.

Run ``make readme``, or ``python docs/public_tables.py --check`` to only compare.
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from pretrained_tables import markdown

from auralflow.models import PublicCard, installed_registry
from auralflow.nets.families import find_family

PAGE = Path(__file__).parent / "models.md"


def models(cards: Sequence[PublicCard]) -> str:
    """One row for each model: what it estimates, what it costs, what its licence is."""
    rows = [
        [
            f"`{card.name}`",
            find_family(card.family).title,
            ", ".join(card.targets),
            card.licence.name or "not stated",
            card.licence.terms,
            card.cost,
            f"{card.size / 1e6:.0f} MB",
        ]
        for card in cards
    ]
    head = ["name", "family", "targets", "licence of the weights", "which is", "computing time", "download"]
    return markdown(head, rows, left=6)


def licences(cards: Sequence[PublicCard]) -> str:
    """Where each licence is stated, whom to name, and what was trained on."""
    rows = [
        [f"`{card.name}`", card.licence.evidence.replace("|", "\\|"), card.credit, card.data]
        for card in cards
    ]
    return markdown(["name", "evidence of the licence", "credit", "trained on"], rows, left=4)


def scores(cards: Sequence[PublicCard]) -> str:
    """Scores that were published; of different data sets or metrics, they cannot be compared."""
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


BLOCKS = {"models": models, "licences": licences, "scores": scores}


def filled(text: str, cards: Sequence[PublicCard]) -> str:
    """The page with every block written from the cards.

    Raises:
        ValueError: If a block has no place in it.
    """
    for name, write in BLOCKS.items():
        pattern = re.compile(f"(<!-- public: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        if not pattern.search(text):
            raise ValueError(f"{PAGE.name} has no place for the {name} of public models")
        body = write(cards)
        text = pattern.sub(lambda found, body=body: f"{found[1]}\n{body}\n\n{found[2]}", text)
    return text


def main() -> int:
    """Write the page, or with ``--check`` only say whether it is up to date."""
    text = PAGE.read_text(encoding="utf-8")
    wanted = filled(text, installed_registry().public_cards())
    if "--check" in sys.argv[1:]:
        return int(text != wanted)
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
