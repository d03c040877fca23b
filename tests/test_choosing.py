"""Which model for what: `auralflow models`, and what it recommends."""

import json
from itertools import pairwise
from pathlib import Path

import pytest

from auralflow.cli import main
from auralflow.models import PublicCard, installed_registry
from auralflow.models.catalogue import NamedModel, named_models
from auralflow.models.choosing import advice, ranked
from auralflow.models.tasks import TASKS, find_task

FOUR = find_task("four-stems")
MULTISONG = ("Multisong of MVSEP", "SDR of whole songs, mean")
MUSEVAL = ("MUSDB18, test", "SDR of museval, median")


def model(name, scores=(), terms="permissive", targets=("vocals", "drums", "bass", "other")):
    card = installed_registry().public_card("htdemucs").model_dump()
    card |= {
        "name": name,
        "targets": targets,
        "licence": {"name": "some", "terms": terms, "evidence": "a test"},
        "scores": [
            {
                "dataset": dataset,
                "metric": metric,
                "source": "a test",
                "values": dict.fromkeys(targets, value),
            }
            for (dataset, metric), value in scores
        ],
    }
    checked = PublicCard.model_validate(card)
    return NamedModel(checked, checked.licence, "", None)


def names(told):
    return [found and found.card.name for found in (told.fastest, told.permissive, told.best)]


def test_the_best_is_the_one_that_leads_where_most_were_scored():
    models = [
        model("a", [(MULTISONG, 9.0)]),
        model("b", [(MULTISONG, 9.5)], terms="unstated"),
        model("c", [(MUSEVAL, 12.0)]),
    ]
    assert names(advice(FOUR, models, {"c": 3.0, "a": 4.0})) == ["c", "a", "b"]
    assert [found.card.name for found in ranked(FOUR, models)] == ["b", "a", "c"]


def test_one_that_beats_the_leader_on_another_shared_scale_is_better():
    models = [model("a", [(MULTISONG, 9.0), (MUSEVAL, 8.0)]), model("b", [(MUSEVAL, 8.5)])]
    assert names(advice(FOUR, models, {})) == [None, "b", "b"]


def test_nothing_is_recommended_of_what_nothing_is_known():
    assert names(advice(FOUR, [model("a"), model("b")], {})) == [None, None, None]
    assert names(advice(FOUR, [model("a", terms="unstated")], {})) == ["a", None, "a"]


def test_every_task_is_served_and_has_words_of_its_own():
    words = [word for task in TASKS for word in (task.name, *task.words)]
    assert len(set(words)) == len(words)
    for task in TASKS:
        assert advice(task, named_models()).best
    assert find_task("Karaoke") is find_task("instrumental")
    assert find_task("4 stems") is FOUR


@pytest.mark.parametrize("words", [[], ["--task", "karaoke"], ["--task", "acapella"]])
def test_the_table_fits_into_80_columns_and_names_its_scales(capsys, monkeypatch, words):
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["models", *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    rows = [line.split() for line in lines]
    head = next(row for row in rows if row[:1] == ["model"])
    assert {"dB", "CPU", "GPU", "MB", "licence"} <= set(head)
    marks = {mark for row in rows for value, mark in pairwise(row) if is_number(value)}
    explained = {row[1].rstrip(":") for row in rows if row[:1] == ["dB"] and len(row) > 1}
    assert explained == marks & set("MHCAS")
    assert ("melband-roformer-kim" in {row[0] for row in rows if row}) or not words


def is_number(text):
    return text.replace(".", "", 1).isdigit() and "." in text


def test_a_task_lists_its_models_only_the_best_first(capsys):
    assert main(["models", "--task", "karaoke", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found[0]["name"] == "melband-roformer-kim"
    assert found[0]["tasks"]["instrumental"][0] == {
        "value": 17.28,
        "metric": "SDR of whole songs, mean",
        "dataset": "Multisong of MVSEP",
    }
    assert "melband-crowd" not in {model["name"] for model in found}


def test_an_unknown_task_is_one_line(capsys):
    assert main(["models", "--task", "karaoky"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "did you mean 'karaoke'?" in line


def test_the_page_is_found_by_the_words_that_people_use():
    page = (Path(__file__).parent.parent / "docs" / "choosing.md").read_text(encoding="utf-8").lower()
    assert all(word in page for word in ("karaoke", "instrumental", "a cappella", "gpu", "licence"))
