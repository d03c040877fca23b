"""The report's files, its page, and the command."""

import base64
import csv
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import soundfile
import torch

from auralflow.audio import write_audio
from auralflow.cli import main
from auralflow.config import SOURCES
from auralflow.evaluation import Comparison, Report, Score, TrackScores, save_report, write_museval
from auralflow.evaluation.examples import make_examples
from auralflow.evaluation.page import report_page
from auralflow.evaluation.tables import pair_tables, summary_tables
from auralflow.models import create_model_folder, save_weights
from auralflow.models.folder import WEIGHTS_FILE
from auralflow.nets.unet import SpectrogramNetConfig
from auralflow.nets.unet.model import SpectrogramMaskModel

RATE = 8000


@pytest.fixture
def songs(tmp_path):
    for index, name in enumerate(("a <b>&", "c")):
        generator = np.random.default_rng(index)
        for stem in SOURCES:
            audio = 0.1 * generator.standard_normal((1, 2 * RATE)).astype(np.float32)
            write_audio(tmp_path / "data" / "test" / name / f"{stem}.wav", audio, RATE)
    return tmp_path / "data"


@pytest.fixture
def model(tmp_path):
    return write_model(tmp_path / "model", seed=0)


def write_model(folder, seed):
    config = SpectrogramNetConfig(
        targets=SOURCES,
        num_hidden_channels=1,
        sample_rate=RATE,
        sample_length=1.0,
        num_fft=256,
        window_size=256,
        hop_length=128,
    )
    torch.manual_seed(seed)
    create_model_folder(folder, config)
    save_weights(SpectrogramMaskModel(config), folder / WEIGHTS_FILE)
    return folder


def scores(level, *, track="song"):
    values = {"bass": Score(si_sdr=level, sdr=level), "vocals": Score()}
    return TrackScores(
        track, 2.0, values, {"bass": {"sdr": [level, None]}}, 1.0, {"vocals": "the reference is silent"}
    )


def comparison(*systems):
    reports = [
        Report(
            [scores(level, track=str(index)) for index, level in enumerate(levels)],
            ("bass", "vocals"),
            {},
            name,
        )
        for name, levels in systems
    ]
    return Comparison(reports, {"dataset": "songs"})


class Page(HTMLParser):
    """What a browser would load, and which tags stay open."""

    VOID = ("meta", "img", "br", "link", "input")

    def __init__(self, text):
        super().__init__()
        self.open, self.loads, self.audio, self.text = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in {"src", "href", "srcset", "action", "data", "poster"}:
                self.loads.append(value)
                if tag == "audio":
                    self.audio.append(value)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_the_page_is_whole_escapes_names_and_loads_nothing(tmp_path):
    page = report_page(comparison(("mixture", [0.0, 1.0]), ("<script>alert(1)</script>", [3.0, 5.0])))
    parsed = Page(page)
    assert not parsed.open
    assert all(value.startswith(("data:", "#")) for value in parsed.loads)
    assert "script" not in "".join(re.findall(r"<[^>]*>", page))
    assert "default-src 'none'" in page
    assert "http://" not in page
    assert "https://" not in page


def test_the_page_holds_the_numbers_of_its_tables():
    text = "".join(Page(report_page(comparison(("mixture", [0.0, 1.0]), ("mine", [3.0, 5.5])))).text)
    for number in ("+4.2", "+0.5", "the reference is silent"):
        assert number in text


def test_tables_go_from_floor_to_ceiling_and_name_their_counts():
    found = comparison(("ideal ratio mask", [9.0, 9.0]), ("mine", [3.0, 5.0]), ("mixture", [0.0, 1.0]))
    table = next(summary_tables(found))
    assert [str(row[0]) for row in table.rows] == ["mixture", "mine", "ideal ratio mask"]
    assert str(table.rows[1][1]) == "+4.0 [+3.0…+5.0]; mean +4.0"
    assert str(table.rows[1][2]) == "-"
    assert "songs, 2 tracks: median over 2 tracks" in table.note


def test_pairs_are_of_systems_and_not_of_bounds():
    found = comparison(("mixture", [0.0, 1.0]), ("mine", [3.0, 5.0]), ("other", [4.0, 4.5]))
    tables = list(pair_tables(found))
    assert [str(row[0]) for row in tables[0].rows] == ["mine - other"]
    assert str(tables[0].rows[0][1]) == "-0.2 [-1.0…+0.5]; won 1, lost 1"
    assert list(pair_tables(comparison(("mixture", [0.0]), ("mine", [3.0])))) == []


def test_a_report_is_json_csv_markdown_museval_and_a_page(tmp_path):
    found = comparison(("mixture", [0.0, 1.0]), ("my/model", [3.0, 5.0]))
    save_report(found, tmp_path / "report")
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == [
        "museval",
        "report.html",
        "report.json",
        "report.md",
        "scores.csv",
    ]
    content = json.loads((tmp_path / "report" / "report.json").read_text(encoding="utf-8"))
    assert content["summary"]["si_sdr"]["my/model"]["bass"]["median"] == 4.0
    assert content["units"]["si_sdr"] == "dB"
    lines = list(
        csv.DictReader(io.StringIO((tmp_path / "report" / "scores.csv").read_text(encoding="utf-8")))
    )
    assert {
        "system": "my/model",
        "track": "1",
        "target": "bass",
        "metric": "sdr",
        "value": "5.000000",
    } in lines
    assert (tmp_path / "report" / "museval" / "my_model" / "test" / "0.json").is_file()
    rows = [
        line
        for line in (tmp_path / "report" / "report.md").read_text(encoding="utf-8").splitlines()
        if "|" in line
    ]
    assert rows
    assert {line.count("|") for line in rows} == {4, 6}


def test_evaluate_writes_a_report_with_sounds_that_are_the_stems(songs, model, tmp_path, capsys):
    assert (
        main(["evaluate", str(model), str(songs), "--save", str(tmp_path / "report"), "--device", "cpu"]) == 0
    )
    shown = capsys.readouterr().out
    for name in ("mixture", "model", "ratio", "accomp"):
        assert name in shown
    html = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    page = Page(html)
    assert not page.open
    places = [html.index(part) for part in ('class="verdict"', "<nav", 'id="scores"', "<audio", "<img")]
    assert places == sorted(places)
    # Every entry of the contents leads somewhere, and every picture is folded.
    assert all(f'id="{value[1:]}"' in html for value in page.loads if value.startswith("#"))
    assert all("<details>" in part[-500:] for part in html.split("<img")[:-1])
    assert "prefers-color-scheme: dark" in html
    assert "a <b>&" in "".join(page.text)
    # Two tracks, each with the mixture and truth, estimate and error of four targets.
    assert len(page.audio) == 2 * (1 + 4 * 3)
    sound, rate = soundfile.read(io.BytesIO(base64.b64decode(page.audio[0].split(",")[1])))
    assert rate == RATE
    assert len(sound) == pytest.approx(2 * RATE, abs=3000)


def test_evaluate_with_a_name_in_json_writes_only_that(songs, model, tmp_path):
    save = tmp_path / "out" / "scores.json"
    assert main(["evaluate", str(model), str(songs), "--save", str(save), "--no-bounds"]) == 0
    assert [path.name for path in save.parent.iterdir()] == ["scores.json"]
    content = json.loads(save.read_text(encoding="utf-8"))
    assert content["model"] == str(model)
    assert content["subset"] == "test"
    assert content["median"]["vocals"]["si_sdr"] is not None
    assert list(content["systems"]) == ["model"]
    assert content["verdict"].startswith("model is ")


def test_evaluate_compares_models_and_stems_and_scores_of_others(songs, model, tmp_path, capsys):
    second = write_model(tmp_path / "second", seed=1)
    for name in ("a <b>&", "c"):
        for stem in SOURCES:
            audio = np.ones((1, 2 * RATE), np.float32) * 0.01
            write_audio(tmp_path / "theirs" / name / f"{stem}.wav", audio, RATE)
    assert main(["evaluate", str(model), str(second), str(songs), "--jobs", "2", "--details"]) == 0
    shown, said = capsys.readouterr()
    assert "note: for a page with plots and players, add --save report" in said
    assert "Difference: SI-SDR" in shown
    assert "won " in shown
    scored = tmp_path / "scored"
    write_museval(comparison(("scored", [1.0, 2.0])).reports[0], scored)
    command = ["evaluate", str(songs), "--estimates", str(tmp_path / "theirs"), "--estimates", str(scored)]
    assert main([*command, "--save", str(tmp_path / "x.json")]) == 0
    content = json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))
    assert set(content["systems"]) == {"mixture", "theirs", "scored"}
    assert "framewise_sdr" in content["pairs"]


def test_evaluate_tells_what_failed_with_its_exit_code(songs, model, tmp_path, capsys):
    (tmp_path / "theirs" / "c").mkdir(parents=True)
    (tmp_path / "theirs" / "c" / "vocals.wav").write_bytes(b"no audio")
    assert main(["evaluate", str(songs), "--estimates", str(tmp_path / "theirs")]) == 1
    assert "failed: theirs: c:" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["only-one"]])
def test_evaluate_without_a_model_or_a_dataset_says_how(words, capsys):
    assert main(["evaluate", *words]) == 2
    assert "evaluate MODEL ... DATASET" in capsys.readouterr().err


class Nothing:
    """Says one all the time."""

    name = "mine"
    targets = ("bass",)

    def available(self, _):
        return self.targets

    def stream(self, track, *_):
        for _number in range(track.num_samples // 100):
            yield np.ones((1, 1, 100), np.float32)


def test_examples_are_the_best_and_the_worst_track(tmp_path):
    found = comparison(("mine", [3.0, 5.0, 1.0])).reports[0]
    for name in "012":
        for stem in SOURCES:
            write_audio(tmp_path / "test" / name / f"{stem}.wav", np.full((1, 20000), 0.1, np.float32), 1000)
    best, worst = make_examples(Nothing(), found, tmp_path, seconds=1.0)
    assert (best.kind, best.scores.track) == ("best", "1")
    assert (worst.kind, worst.scores.track) == ("worst", "2")
    assert best.start == 0.0
    assert best.estimates["bass"].shape == (1, 1000)
    assert best.mixture == pytest.approx(0.4)
