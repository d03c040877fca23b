"""Public models: downloaded once, verified before they are read, converted, kept; a test plays the host."""

import hashlib
import importlib
import io
import json
import logging
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import RATE
from pretrained_makers import Shelf, serving
from toy_family import PREFIX, TINY

from auralflow.audio import write_audio
from auralflow.cli import main
from auralflow.errors import ModelError, NotFoundError, UsageError
from auralflow.models import Access, load
from auralflow.models import download as download_module
from auralflow.models.catalogue import named_models
from auralflow.models.loading import save_pretrained
from auralflow.models.public_card import PublicCard
from auralflow.models.public_models import converted_folder, fetch_public, find_public
from auralflow.models.registry import PUBLIC_FOLDER, Registry, installed_registry
from auralflow.models.tasks import main_task
from auralflow.nets import families
from auralflow.nets.families import create_model, parse_model_config
from auralflow.nets.msst import TrainingFile
from auralflow.storage import write_json

TARGETS = ("vocals", "bass")


class Host:
    """A public model of two files in the toy family's format, and a registry that has its card."""

    def __init__(self, folder) -> None:
        torch.manual_seed(0)
        config = parse_model_config({"net": "SpectrogramNetSimple", **TINY, "targets": TARGETS})
        self.model = create_model(config).eval()
        weights = {f"{PREFIX}{name}": tensor for name, tensor in self.model.state_dict().items()}
        names = sorted(weights)
        self.files = {
            "first.pth": self._packed({name: weights[name] for name in names[::2]}),
            "second.pth": self._packed({name: weights[name] for name in names[1::2]}),
        }
        self.folder = folder
        self.registry = Registry(folder / "none", public=folder / "public")
        self.put()

    @staticmethod
    def _packed(weights) -> bytes:
        buffer = io.BytesIO()
        torch.save(weights, buffer)
        return buffer.getvalue()

    def put(self, url="http://127.0.0.1:9", digits=64, **changes) -> PublicCard:
        values = {
            "name": "toy",
            "title": "a toy",
            "family": "unet",
            "targets": TARGETS,
            "files": [
                {
                    "url": f"{url}/{name}",
                    "name": name,
                    "size": len(content),
                    "sha256": hashlib.sha256(content).hexdigest()[:digits],
                }
                for name, content in self.files.items()
            ],
            "licence": {"name": "CC-BY-NC-4.0", "terms": "non-commercial", "evidence": "a test"},
            "credit": "the toymakers",
            "data": "noise",
            "cost": "low",
            "citation": "none",
        }
        self.card = PublicCard.model_validate(values | changes)
        write_json(self.folder / "public" / "toy.json", self.card.model_dump(mode="json"))
        return self.card


@pytest.fixture
def host(tmp_path, monkeypatch):
    for module in ("nets.families", "models.importing", "models.registry"):
        monkeypatch.setattr(f"auralflow.{module}.FAMILIES", {"unet": "toy_family:TOY"})
    monkeypatch.setattr(download_module, "PAUSE", 0)
    return Host(tmp_path / "host")


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


def files_in(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))


CONVERTED = ["card.json", "model.json", "model.safetensors"]


# First use, and all that follow.


@pytest.mark.parametrize("digits", [8, 64])
def test_a_public_model_is_downloaded_once_converted_and_used(host, home, caplog, digits):
    seen = []
    with serving(host.files) as server:
        host.put(server.url, digits)
        first = load(
            "toy",
            registry=host.registry,
            access=Access(home),
            on_progress=lambda *numbers: seen.append(numbers),
        )
        again = load("toy", registry=host.registry, access=Access(home))
        assert [path.rpartition("/")[2] for path in server.paths] == list(host.files)
    mixture = torch.randn(1, 1, host.model.config.chunk_samples)
    for model in (first, again):
        assert torch.equal(model(mixture).audio, host.model(mixture).audio)
    assert files_in(home) == CONVERTED
    assert seen == sorted(seen)
    assert seen[-1] == (host.card.size, host.card.size)
    # The licence is said once.
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert said == ["toy: The weights are under CC-BY-NC-4.0: not for commercial use. Credit: the toymakers."]
    card = json.loads((converted_folder(host.card, Access(home)) / "card.json").read_text())
    assert card["origin"] == [file.url for file in host.card.files]
    assert [len(file["sha256"]) for file in card["files"]] == [64, 64]


def test_what_is_on_this_machine_needs_no_network(host, home):
    with serving(host.files) as server:
        fetch_public(host.put(server.url), Access(home))
    assert load("toy", registry=host.registry, access=Access(home, offline=True)).targets == TARGETS


def test_a_mirror_takes_the_place_of_the_hosts(host, home, tmp_path):
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    for name, content in host.files.items():
        (mirror / name).write_bytes(content)
    fetch_public(host.card, Access(home, str(mirror), offline=True))
    assert files_in(home) == CONVERTED
    assert files_in(mirror) == sorted(host.files)
    with serving(host.files) as server:
        fetch_public(host.card, Access(tmp_path / "other", server.url))
        assert server.paths == [f"/weights/{name}" for name in host.files]


def test_a_connection_that_is_cut_goes_on_where_it_broke_off(host, home):
    with serving(host.files, "cut", "whole", ranges=True) as server:
        folder = fetch_public(host.put(server.url), Access(home))
        # The first half, its rest, and the second file.
        assert len(server.paths) == 3
        assert server.sent < host.card.size + download_module.BLOCK
    assert find_public(host.card, Access(home)) == folder


def test_an_interrupted_download_is_resumed_by_the_next_command(host, home):
    with serving(host.files, "cut", ranges=True) as server:
        host.put(server.url)
        with pytest.raises(ModelError, match="was interrupted"):
            fetch_public(host.card, Access(home))
    with serving(host.files, ranges=True) as server:
        fetch_public(host.put(server.url), Access(home))
        assert server.sent < host.card.size
    assert files_in(home) == CONVERTED


# What is not what the card says.


def test_wrong_bytes_are_never_read(host, home, monkeypatch):
    def read(*_):
        raise AssertionError("it was read before it was verified")

    monkeypatch.setattr("auralflow.models.importing.read_checkpoint", read)
    with (
        serving(host.files, "wrong") as server,
        pytest.raises(ModelError, match="does not match the model card"),
    ):
        fetch_public(host.put(server.url), Access(home))
    assert files_in(home) == []


@pytest.mark.parametrize(("word", "found"), [("absent", "HTTP status 404"), ("long", "more than the")])
def test_a_host_that_fails_is_told_in_a_line(host, home, word, found):
    with serving(host.files, word) as server, pytest.raises(ModelError, match=found) as error:
        fetch_public(host.put(server.url), Access(home))
    assert "\n" not in str(error.value)
    assert files_in(home) == []


def test_files_of_another_model_than_the_card_says_are_refused(host, home):
    with serving(host.files) as server:
        host.put(server.url, family="elsewhere")
        with pytest.raises(NotFoundError):
            load("toy", registry=host.registry, access=Access(home))
        host.put(server.url, files=[host.put(server.url).files[0].model_dump()])
        with pytest.raises(ModelError, match="do not match"):
            fetch_public(host.card, Access(home))
    assert not (converted_folder(host.card, Access(home)) / "model.json").exists()


@pytest.mark.parametrize("damage", ["weights", "model.json", "card.json", "all"])
def test_a_converted_model_that_was_damaged_is_made_again(host, home, damage):
    with serving(host.files) as server:
        folder = fetch_public(host.put(server.url), Access(home))
        if damage == "weights":
            path = folder / "model.safetensors"
            path.write_bytes(bytes(path.stat().st_size))
        elif damage == "all":
            shutil.rmtree(folder)
        else:
            (folder / damage).unlink()
        assert find_public(host.card, Access(home)) is None
        assert fetch_public(host.card, Access(home)) == folder
        assert len(server.paths) == 4
    assert load(folder).targets == TARGETS


def test_of_several_processes_one_downloads(host, home):
    found = []
    with serving(host.files) as server:
        host.put(server.url)
        threads = [
            threading.Thread(target=lambda: found.append(fetch_public(host.card, Access(home))))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(server.paths) == 2
    assert len(found) == 4
    assert len(set(found)) == 1


def test_offline_and_nowhere_are_said_with_what_to_do(host, home, tmp_path):
    with pytest.raises(ModelError, match=r"toy is not on this machine.*without AURALFLOW_OFFLINE"):
        fetch_public(host.card, Access(home, offline=True))
    with pytest.raises(ModelError, match=r"Put first\.pth into '.*empty'"):
        fetch_public(host.card, Access(home, str(tmp_path / "empty")))
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ModelError, match="AURALFLOW_HOME"):
        fetch_public(host.card, Access(tmp_path / "file"))


# A model folder of one.


def test_download_makes_the_converted_folder_whole_or_of_some_targets(host, home, tmp_path):
    with serving(host.files) as server:
        host.put(server.url)
        options = {"registry": host.registry, "access": Access(home)}
        save_pretrained("toy", tmp_path / "whole", **options)
        save_pretrained("toy", str(tmp_path / "bass"), targets=("bass",), **options)
        assert len(server.paths) == 2
    assert load(tmp_path / "whole").targets == TARGETS
    assert load(tmp_path / "bass").targets == ("bass",)
    card = json.loads((tmp_path / "bass" / "card.json").read_text())
    assert card["targets"] == ["bass"]
    assert card["licence"]["name"] == "CC-BY-NC-4.0"
    assert (
        card["sha256"] == hashlib.sha256((tmp_path / "bass" / "model.safetensors").read_bytes()).hexdigest()
    )
    with pytest.raises(UsageError, match="already contains a model"):
        save_pretrained("toy", tmp_path / "whole", registry=host.registry, access=Access(home, offline=True))


# The list of models.


@pytest.fixture
def installed(host, tmp_path, monkeypatch):
    """The installed models are a tiny own one and the public toy."""
    shelf = Shelf(tmp_path / "root" / "src" / "auralflow" / "models")
    shelf.ship()
    monkeypatch.setattr("auralflow.models.registry.PACKAGE_FOLDER", shelf.registry.folder)
    monkeypatch.setattr("auralflow.models.registry.PUBLIC_FOLDER", host.registry.public)
    monkeypatch.setenv("AURALFLOW_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("AURALFLOW_MIRROR", raising=False)
    monkeypatch.delenv("AURALFLOW_OFFLINE", raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    return host


def listed(capsys, *words):
    assert main(["models", *words]) == 0
    return capsys.readouterr().out


def test_models_lists_own_and_public_ones_in_80_columns(installed, capsys):
    out = listed(capsys)
    assert max(map(len, out.splitlines())) <= 80
    assert re.search(r"Tiny +4 stems +3\.50 S +- +- +0 CC0-1\.0 +here", out)
    assert re.search(r"toy +vocals +- +- +- +\d CC-BY-NC-4\.0 +download", out)
    with serving(installed.files) as server:
        fetch_public(installed.put(server.url), Access.from_environment())
    assert re.search(r"toy .*here", listed(capsys))


def test_models_are_chosen_by_targets_and_licence(installed, capsys):
    names = {
        words: [card["name"] for card in json.loads(listed(capsys, *words, "--json"))]
        for words in (
            (),
            ("--targets", "drums"),
            ("--targets", "vocals,bass"),
            ("--licence", "permissive"),
            ("--licence", "non-commercial"),
            ("--targets", "piano"),
        )
    }
    assert list(names.values()) == [["Tiny", "toy"], ["Tiny"], ["Tiny", "toy"], ["Tiny"], ["toy"], []]
    assert listed(capsys, "--licence", "unstated") == "no matching model\n"
    assert main(["models", "--licence", "free"]) == 2


def test_details_say_what_is_known_and_how(installed, capsys):
    out = " ".join(listed(capsys, "--details", "--targets", "vocals").split())
    for words in (
        "The weights are under CC-BY-NC-4.0: not for commercial use. (a test)",
        "a toy, by the toymakers",
        "trained on: noise",
        installed.card.files[0].sha256,
        "SI-SDR improvement: vocals",
    ):
        assert words in out


def test_separate_takes_a_public_name_and_says_its_licence_once(installed, tmp_path, capsys):
    write_audio(tmp_path / "song.wav", 0.1 * np.random.default_rng(0).standard_normal((2, RATE)), RATE)
    with serving(installed.files) as server:
        installed.put(server.url)
        assert main(["separate", "toy", "song.wav", "--save", "out"]) == 0
        assert "not for commercial use" in " ".join(capsys.readouterr().err.split())
        assert main(["separate", "toy", "song.wav", "--save", "out"]) == 0
        assert "not for commercial use" not in capsys.readouterr().err
    stems = {path.stem for path in (tmp_path / "out" / "separated_audio" / "song").glob("*.wav")}
    assert stems == {"original", *TARGETS}


# The cards of this installation.

CARDS = sorted(PUBLIC_FOLDER.glob("*.json"))


@pytest.mark.parametrize("path", CARDS, ids=lambda path: path.stem)
def test_a_card_of_this_installation_can_be_used(path):
    card = PublicCard.read(path)
    assert card.name == path.stem
    # The instrumental is what is left of the song where a model estimates the vocals.
    rests = {"instrumental"} if "vocals" in card.targets else set()
    assert all(set(table.values) <= {"mean", *card.targets, *rests} for table in card.scores)
    assert main_task(card.targets) is not None
    assert card.licence.evidence
    assert (card.licence.terms == "unstated") or card.licence.name
    for file in card.files:
        # The hash is in the name, so that a mirror can hold all of them.
        assert file.sha256[:8] in file.name
        assert re.fullmatch(r"https://[a-z0-9.]+/\S+", file.url)
        assert file.size > 1_000_000
        # A part of a hash is what the authors publish, in the name of the file itself.
        assert len(file.sha256) == 64 or f"{file.sha256}." in file.url


def test_names_on_mirrors_and_of_models_are_each_for_one():
    cards = [PublicCard.read(path) for path in CARDS]
    files = [file.name for card in cards for file in card.files]
    assert len(set(files)) == len(files)
    assert not {card.name for card in cards} & set(installed_registry().names)


def test_only_models_of_known_families_are_listed(monkeypatch):
    known = {PublicCard.read(path).family for path in CARDS}
    listed = {model.card.name for model in named_models(access=Access(PUBLIC_FOLDER / "nowhere"))}
    expected = {
        PublicCard.read(path).name for path in CARDS if PublicCard.read(path).family in families.FAMILIES
    }
    assert expected <= listed
    monkeypatch.setattr("auralflow.models.registry.FAMILIES", dict.fromkeys(known, ""))
    assert len(installed_registry().public_cards()) == len(CARDS)


# Settings that a card knows and the weights do not.


WITH_SETTINGS = [card for card in map(PublicCard.read, CARDS) if card.settings]


@pytest.mark.parametrize("name", [card.name for card in WITH_SETTINGS if card.family == "bag"])
def test_the_settings_of_a_bag_name_its_files_and_weigh_each_of_its_targets(name):
    card = installed_registry().public_card(name)
    members = card.settings["models"]
    assert [file.name.partition("-")[0] for file in card.files] == members
    rows = card.settings.get("weights") or [[1.0] * len(card.targets)] * len(members)
    assert [len(row) for row in rows] == [len(card.targets)] * len(members)
    assert all(sum(column) > 0 for column in zip(*rows, strict=True))


@pytest.mark.parametrize("name", [card.name for card in WITH_SETTINGS if card.family != "bag"])
def test_the_settings_of_a_card_are_those_of_its_family(name):
    card = installed_registry().public_card(name)
    training = TrainingFile(card.settings, name)
    assert len(training.targets) == len(card.targets)
    assert 1 <= training.engine()["sample_length"] <= 30
    assert 0 < training.engine()["overlap"] < 1
    for net in families.find_family(card.family).nets:
        config = net.settings(**training.engine(), targets=card.targets)
        assert config.sample_rate == 44100


# Their tables in the documentation.


def test_the_page_about_public_models_and_their_cards_agree():
    script = Path(__file__).parent.parent / "docs" / "public_tables.py"
    result = subprocess.run([sys.executable, script, "--check"], check=False)
    assert result.returncode == 0, "run: make readme"


def test_another_card_makes_the_page_stale(host):
    sys.path.insert(0, str(Path(__file__).parent.parent / "docs"))
    try:
        tables = importlib.import_module("public_tables")
    finally:
        sys.path.pop(0)
    for page, row in (
        ("models.md", "| `toy` | a test | the toymakers | noise |"),
        ("choosing.md", "| `toy` | - | - | - | 1 MB | CC-BY-NC-4.0 |"),
    ):
        text = (tables.DOCS / page).read_text(encoding="utf-8")
        changed = tables.filled(page, text, [host.card])
        assert changed != text
        assert row in changed
