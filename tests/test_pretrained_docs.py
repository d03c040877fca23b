"""The tables of pretrained models match their cards."""

import subprocess
import sys
from pathlib import Path

import pytest
from pretrained_makers import FOUR, make_card, make_weights

from auralflow.models import DataPart, installed_registry

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "docs"))

import pretrained_tables  # noqa: E402 - the documentation is no package


@pytest.fixture
def card(tmp_path):
    make_weights(tmp_path / "weights")
    return make_card(tmp_path / "weights", weaknesses=["It hums."])


def rows_of(text):
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"
    ]


def test_page_and_cards_agree():
    script = ROOT / "docs" / "pretrained_tables.py"
    result = subprocess.run([sys.executable, script, "--check"], check=False)
    assert result.returncode == 0, "run: make readme"


def test_a_change_of_a_card_makes_the_pages_stale(card):
    for page in pretrained_tables.BLOCKS:
        text = (ROOT / page).read_text(encoding="utf-8")
        assert pretrained_tables.filled(text, page, installed_registry().cards()) == text
        assert pretrained_tables.filled(text, page, [card]) != text


def test_the_summary_shows_artists_that_were_not_trained_on_and_the_command(card):
    head, _, row, ceiling, peers, _, floor, published, oracle = rows_of(pretrained_tables.summary([card]))
    assert head == ["SI-SDR improvement, dB", "parameters", "weights", *FOUR]
    # Of 3, 4 and 5 dB the last is by an artist that was trained on.
    assert row[3:] == ["+3.5"] * 4
    assert ceiling[0] == oracle[0] == "ideal ratio mask (an oracle)"
    assert peers == ["SDR of museval, dB", *FOUR]
    assert floor == ["mixture (the floor)", *["-6.5"] * 4]
    assert published[1:] == ["+2.5"] * 4
    assert card.scores[0].command in pretrained_tables.summary([card])
    assert "the 2 test songs" in pretrained_tables.summary([card])


def test_material_licences_and_weaknesses_are_shown(card):
    part = DataPart(name="Notes", licence="MIT", minutes=2, credit="Someone", source="https://example.org")
    text = pretrained_tables.data([card.model_copy(update={"data": (part,)})])
    assert rows_of(text)[2:] == [["[Notes](https://example.org)", "MIT", "Someone", "2"]]
    assert "- It hums." in text


def test_shared_material_is_shown_once(card):
    part = DataPart(name="Notes", licence="MIT", minutes=2)
    other = DataPart(name="Chords", licence="MIT", minutes=3)
    cards = [
        card.model_copy(update={"name": name, "data": (material,)})
        for name, material in (("One", part), ("Two", part), ("Three", other))
    ]
    text = pretrained_tables.data(cards)
    assert text.count("| Notes |") == text.count("| Chords |") == 1
    assert "### Training data of `One`, `Two`\n" in text
    assert "### Training data of `Three`\n" in text


def test_without_cards_the_tables_say_so():
    for blocks in pretrained_tables.BLOCKS.values():
        for write in blocks.values():
            assert write([]) == pretrained_tables.NOTHING
