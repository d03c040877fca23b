"""The rows of `benchmarks/families.py`: one for every model by name, of its size."""

import sys
from pathlib import Path

import pytest
import torch

from auralflow.models import ModelCard, PublicCard, installed_registry

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))
from family_rows import BAGS, ROWS

REGISTRY = installed_registry()
ALL_CARDS: list[ModelCard | PublicCard] = [*REGISTRY.cards(), *REGISTRY.public_cards()]
CARDS = {card.name: card for card in ALL_CARDS}
ROW_OF = {card: row for row in ROWS.values() for card in row.cards}


def test_every_model_has_a_row_or_is_a_bag_of_rows():
    assert sorted([*ROW_OF, *BAGS]) == sorted(CARDS)
    assert {name for members in BAGS.values() for name in members} <= set(ROWS)


def parameters(row):
    with torch.device("meta"):
        return sum(weight.numel() for weight in row.model(published=True).parameters())


@pytest.mark.parametrize("name", sorted(ROW_OF))
def test_a_row_has_the_size_and_the_targets_of_its_models(name):
    card, row = CARDS[name], ROW_OF[name]
    if isinstance(card, PublicCard):
        compressed = card.files[0].name.endswith(".gz")
        size = bytes_per_weight(card) * parameters(row)
        assert size == pytest.approx(card.size, rel=0.1 if compressed else 0.02)
    else:
        assert parameters(row) == card.parameters
    with torch.device("meta"):
        assert len(row.model().targets) == len(card.targets)


@pytest.mark.parametrize("name", sorted(BAGS))
def test_a_bag_has_the_size_of_its_members(name):
    card, members = CARDS[name], BAGS[name]
    assert isinstance(card, PublicCard)
    weights = sum(count * parameters(ROWS[member]) for member, count in members.items())
    assert bytes_per_weight(card) * weights == pytest.approx(card.size, rel=0.02)
    assert sum(members.values()) == len(card.files)


def bytes_per_weight(card):
    # Demucs is published in half precision.
    return 2 if card.family in ("htdemucs", "bag") else 4
