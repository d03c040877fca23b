"""Pretrained weights: wherever they are found they are what the card says, whatever the network does."""

import hashlib
import json
import os
import pickle
import threading
import time

import pytest
from filelock import FileLock
from pretrained_makers import Shelf, make_card, serving

from auralflow.errors import ModelError, NotFoundError, UsageError
from auralflow.models import Access, ModelCard, Registry, fetch_weights, find_weights, installed_registry
from auralflow.models import download as download_module
from auralflow.models import turns as turns_module


@pytest.fixture
def shelf(tmp_path):
    return Shelf(tmp_path / "shelf")


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def impatient(monkeypatch):
    """Attempts follow each other at once."""
    monkeypatch.setattr(download_module, "PAUSE", 0)


def fetch(shelf, home, *, mirror="", offline=False, **options):
    return fetch_weights(shelf.card, shelf.registry, Access(home, str(mirror), offline), **options)


def files_in(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.name != ".lock")


# Where weights are found.


def test_shipped_weights_are_used_where_they_lie(shelf, home):
    path = shelf.ship()
    assert fetch(shelf, home, offline=True) == path
    assert not home.exists()


def test_weights_of_a_checkout_are_used_where_they_lie(shelf, home):
    path = shelf.place(shelf.registry.checkout / shelf.card.file)
    assert fetch(shelf, home, offline=True) == path
    assert find_weights(shelf.card, shelf.registry, Access(home)).kind == "checkout"


@pytest.mark.parametrize("spelled", ["folder", "url"])
def test_a_mirror_may_be_a_folder(shelf, home, tmp_path, spelled):
    mirror = tmp_path / "a mirror"
    path = shelf.place(mirror / shelf.card.file)
    assert fetch(shelf, home, mirror=mirror if spelled == "folder" else mirror.as_uri(), offline=True) == path


def test_weights_come_from_a_mirror_by_their_name_into_the_cache(shelf, home):
    told = []
    with serving(shelf.weights.read_bytes()) as server:
        path = fetch(shelf, home, mirror=server.url, on_progress=lambda *numbers: told.append(numbers))
        assert server.paths == [f"/weights/{shelf.card.file}"]
    assert path == home / "pretrained" / shelf.card.name / shelf.card.file
    assert path.read_bytes() == shelf.weights.read_bytes()
    assert told[-1] == (shelf.card.size, shelf.card.size)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


@pytest.mark.skipif(os.name != "posix", reason="file modes")
def test_a_shared_cache_can_be_read_by_others(shelf, home):
    with serving(shelf.weights.read_bytes()) as server:
        mode = fetch(shelf, home, mirror=server.url).stat().st_mode
    assert mode & 0o044 == 0o044


def test_what_is_in_the_cache_is_not_downloaded_again(shelf, home):
    with serving(shelf.weights.read_bytes()) as server:
        first = fetch(shelf, home, mirror=server.url)
        second = fetch(shelf, home, mirror=server.url)
        assert len(server.paths) == 1
    assert first == second == fetch(shelf, home, offline=True)


def test_a_damaged_file_that_was_shipped_is_passed_over(shelf, home):
    shipped = shelf.ship()
    shipped.write_bytes(bytes(shelf.card.size))
    with serving(shelf.weights.read_bytes()) as server:
        assert fetch(shelf, home, mirror=server.url).is_relative_to(home)


# What the network does.


def test_a_connection_that_is_cut_is_tried_again(shelf, home, impatient):
    with serving(shelf.weights.read_bytes(), "cut", "cut", "whole") as server:
        path = fetch(shelf, home, mirror=server.url)
        assert len(server.paths) == 3
    assert files_in(home) == [path.name]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == shelf.card.sha256


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("cut", "a connection that failed or was interrupted"),
        ("wrong", "content that does not match the model card"),
        ("long", "more than the expected .* bytes"),
        ("absent", "HTTP status 404"),
    ],
)
def test_a_download_that_fails_leaves_nothing_and_says_why_in_a_line(shelf, home, impatient, word, found):
    with (
        serving(shelf.weights.read_bytes(), word) as server,
        pytest.raises(
            ModelError, match=rf"cannot download .*Tiny.* found {found}.*AURALFLOW_MIRROR"
        ) as caught,
    ):
        fetch(shelf, home, mirror=server.url)
    assert "\n" not in str(caught.value)
    # What came is kept, to go on from; what is wrong is not.
    assert files_in(home) == ([f"{shelf.card.file}.part"] if word == "cut" else [])
    # And the next time, with a better network, all is well.
    with serving(shelf.weights.read_bytes()) as server:
        assert fetch(shelf, home, mirror=server.url).is_file()


def test_a_server_that_is_not_there_is_told(shelf, home, impatient):
    with serving(b"") as server:
        url = server.url
    with pytest.raises(ModelError, match=r"failed or was interrupted \(ConnectionError\).*Check the network"):
        fetch(shelf, home, mirror=url)


def test_a_server_that_sends_nothing_is_not_waited_for(shelf, home, impatient, monkeypatch):
    monkeypatch.setattr("auralflow.models.download.TIMEOUT", 0.1)
    # The server itself waits until this block ends: whoever waited for it would wait for ever.
    with serving(b"", "mute") as server, pytest.raises(ModelError, match="failed or was interrupted"):
        fetch(shelf, home, mirror=server.url)


@pytest.mark.parametrize("word", ["drip", "trickle"])
def test_a_server_that_sends_a_byte_now_and_then_is_left(shelf, home, impatient, monkeypatch, word):
    """Each byte comes in time; the file would come in minutes, or in years."""
    monkeypatch.setattr("auralflow.models.download.WINDOW", 0.5)
    pattern = r"less than \d+ bytes in 0\.5 seconds.*AURALFLOW_MIRROR"
    with serving(shelf.weights.read_bytes(), word) as server:
        with pytest.raises(ModelError, match=pattern) as caught:
            fetch(shelf, home, mirror=server.url)
        # A busy server hears the question after it was left.
        while not server.paths:
            time.sleep(0.01)
    # As slow as it is, it is not asked again.
    assert len(server.paths) == 1
    assert "\n" not in str(caught.value)
    assert files_in(home) == []
    assert not [thread for thread in threading.enumerate() if thread.name == "pace of a download"]


def test_a_process_that_downloads_is_waited_for_as_long_as_it_gets_on(shelf, home, monkeypatch, caplog):
    monkeypatch.setattr(turns_module, "STALLED", 0.3)
    folder = home / "pretrained" / shelf.card.name
    folder.mkdir(parents=True)
    lock = FileLock(folder / ".lock")
    with (
        serving(shelf.weights.read_bytes()) as server,
        lock,
        pytest.raises(ModelError, match=r"another process.*without progress for") as caught,
    ):
        fetch(shelf, home, mirror=server.url)
    assert "\n" not in str(caught.value)
    assert "waiting for another process that is downloading the weights of Tiny" in caplog.text

    # One whose file grows is waited for, longer than that.
    growing, looks = folder / "tmpabc", []
    real = turns_module._progress

    def grow(place):
        with growing.open("ab") as file:
            file.write(b"more")
        looks.append(1)
        if len(looks) == 5:
            lock.release()
        return real(place)

    monkeypatch.setattr(turns_module, "_progress", grow)
    lock.acquire()
    with serving(shelf.weights.read_bytes()) as server:
        assert fetch(shelf, home, mirror=server.url).is_file()
    assert len(looks) >= 5


def test_a_server_that_never_ends_does_not_fill_the_disk(shelf, home, impatient, monkeypatch):
    monkeypatch.setattr(download_module, "BLOCK", 64)
    largest = []
    with serving(shelf.weights.read_bytes(), "long") as server, pytest.raises(ModelError):
        fetch(shelf, home, mirror=server.url, on_progress=lambda done, _: largest.append(done))
    assert max(largest) <= shelf.card.size


def test_a_damaged_cache_is_repaired(shelf, home):
    with serving(shelf.weights.read_bytes()) as server:
        path = fetch(shelf, home, mirror=server.url)
        for damage in (bytes(shelf.card.size), b"", path.read_bytes()[:-1]):
            path.write_bytes(damage)
            assert fetch(shelf, home, mirror=server.url) == path
            assert path.read_bytes() == shelf.weights.read_bytes()
        assert len(server.paths) == 4


@pytest.mark.parametrize("left", [b"half", None, bytes(10)], ids=["other bytes", "half", "zeros"])
def test_what_a_killed_download_left_is_gone_on_from_or_replaced(shelf, home, impatient, left):
    content = shelf.weights.read_bytes()
    part = home / "pretrained" / shelf.card.name / f"{shelf.card.file}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(content[: len(content) // 2] if left is None else left)
    with serving(content, ranges=True) as server:
        path = fetch(shelf, home, mirror=server.url)
        assert len(server.paths) == (1 if left is None else 2)
        assert server.sent == len(content) // 2 if left is None else server.sent > len(content)
    assert path.read_bytes() == content
    assert files_in(home) == [shelf.card.file]


def test_a_part_that_is_the_whole_is_taken_and_one_that_is_too_long_is_not(shelf, home, impatient):
    content = shelf.weights.read_bytes()
    part = home / "pretrained" / shelf.card.name / f"{shelf.card.file}.part"
    part.parent.mkdir(parents=True)
    for extra, requests in ((b"", 1), (b"more", 2)):
        part.write_bytes(content + extra)
        with serving(content, ranges=True) as server:
            path = fetch(shelf, home, mirror=server.url)
            assert len(server.paths) == requests
        assert path.read_bytes() == content
        path.unlink()


def test_of_two_downloads_at_once_one_downloads_and_both_have_it(shelf, home):
    found = []
    with serving(shelf.weights.read_bytes()) as server:
        threads = [
            threading.Thread(target=lambda: found.append(fetch(shelf, home, mirror=server.url)))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(server.paths) == 1
    assert len(found) == 4
    assert len(set(found)) == 1


def test_the_cache_that_cannot_be_written_is_named(shelf, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with serving(shelf.weights.read_bytes()) as server, pytest.raises(ModelError, match="AURALFLOW_HOME"):
        fetch(shelf, tmp_path / "file", mirror=server.url)


def test_the_address_of_the_card_is_used_where_there_is_no_mirror(shelf, home, monkeypatch):
    shelf.put(shelf.card.model_copy(update={"url": "https://example.org/w.safetensors"}))
    asked = []

    def download(card, url, folder, *, on_progress):
        asked.append(url)
        return shelf.weights

    monkeypatch.setattr(download_module, "download", download)
    fetch(shelf, home)
    assert asked == ["https://example.org/w.safetensors"]


# What is refused.


def test_offline_the_network_is_not_touched(shelf, home):
    with (
        serving(shelf.weights.read_bytes()) as server,
        pytest.raises(ModelError, match=r"not on this machine.*without AURALFLOW_OFFLINE"),
    ):
        fetch(shelf, home, mirror=server.url, offline=True)
    assert server.paths == []


def test_weights_that_are_nowhere_are_told_with_what_to_do(shelf, home, tmp_path):
    with pytest.raises(ModelError, match=rf"not on this machine.*AURALFLOW_MIRROR.*{shelf.card.file}"):
        fetch(shelf, home)
    with pytest.raises(ModelError, match=rf"Put {shelf.card.file} into '.*empty'"):
        fetch(shelf, home, mirror=tmp_path / "empty")
    shelf.ship().write_bytes(b"cut off")
    with pytest.raises(ModelError, match=r"found '.*weights\.safetensors' damaged"):
        fetch(shelf, home)


def test_a_pickle_is_refused_even_if_its_hash_is_right(shelf, home):
    shelf.weights.write_bytes(pickle.dumps({"net": [1.0] * 100}))
    shelf.put(make_card(shelf.weights))
    with (
        serving(shelf.weights.read_bytes()) as server,
        pytest.raises(
            ModelError, match="not a safetensors file, expected safetensors, which cannot run code"
        ),
    ):
        fetch(shelf, home, mirror=server.url)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"file": "weights.pt"}, "file is weights.pt"),
        ({"file": "../weights.safetensors"}, "file is"),
        ({"url": "ftp://example.org/w"}, "url is"),
        ({"sha256": "abc"}, "sha256 is abc"),
        ({"licence": ""}, "licence is"),
        ({"nmae": 1}, "unknown setting 'nmae'"),
        ({"settings": {"format_version": 1, "net": "Nope"}}, "unknown net 'Nope'"),
        ({"name": "SpectrogramNetVAE"}, "describes a SpectrogramNetSimple"),
        ({"format_version": 2}, "format_version is 2"),
    ],
)
def test_a_card_that_is_not_right_is_refused_in_one_line(shelf, changes, message):
    path = shelf.registry.folder / shelf.card.name / "card.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(ModelError, match=f"not a valid model card.*{message}") as caught:
        shelf.registry.card(shelf.card.name)
    assert "\n" not in str(caught.value)


# The registry and the environment.


def test_a_card_survives_being_written_and_read(shelf, tmp_path):
    path = shelf.registry.folder / shelf.card.name / "card.json"
    assert ModelCard.read(path) == shelf.card
    assert shelf.card.targets == ("vocals", "drums", "bass", "other")
    assert shelf.card.net == "SpectrogramNetSimple"


def test_names_go_from_the_smallest_net_to_the_largest(tmp_path):
    for name in ("Own", "SpectrogramNetVAE", "Another", "SpectrogramNetSimple", "SpectrogramNetLSTM"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "card.json").write_text("{}")
    (tmp_path / "__pycache__").mkdir()
    names = Registry(tmp_path).names
    assert names[:3] == ("SpectrogramNetSimple", "SpectrogramNetLSTM", "SpectrogramNetVAE")
    assert names[3:] == ("Another", "Own")


def test_an_unknown_name_gets_a_suggestion(shelf):
    with pytest.raises(NotFoundError, match=r"no pretrained model 'Tny' \(did you mean 'Tiny'\?\)"):
        shelf.registry.card("Tny")


def test_a_net_without_weights_says_how_to_train_one(shelf):
    with pytest.raises(NotFoundError, match=r"no pretrained SpectrogramNetVAE.*auralflow config"):
        shelf.registry.card("SpectrogramNetVAE")


def test_scores_are_averaged_apart_for_artists_that_were_trained_on(shelf):
    table = shelf.card.scores[0]
    assert table.mean("bass", known_artist=False) == pytest.approx(3.5)
    assert table.mean("bass", known_artist=True) == pytest.approx(5.0)
    assert table.mean("bass", known_artist=True, value="ceiling") is None
    assert table.mean("flute", known_artist=False) is None
    assert table.median("bass", known_artist=False) == pytest.approx(2.5)
    assert table.median("bass", known_artist=False, value="museval_ceiling") is None


def test_the_environment_says_where_weights_come_from(monkeypatch, tmp_path):
    for name in ("AURALFLOW_HOME", "AURALFLOW_MIRROR", "AURALFLOW_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    default = Access.from_environment()
    assert default.home.name == "auralflow"
    assert (default.mirror, default.offline) == ("", False)
    assert Access.from_environment(offline=True).offline
    monkeypatch.setenv("AURALFLOW_HOME", str(tmp_path))
    monkeypatch.setenv("AURALFLOW_MIRROR", "https://example.org/x/")
    for word, offline in (("1", True), ("Yes", True), ("0", False), ("", False)):
        monkeypatch.setenv("AURALFLOW_OFFLINE", word)
        assert Access.from_environment() == Access(tmp_path, "https://example.org/x/", offline)


def test_an_environment_that_cannot_be_used_is_a_usage_error(monkeypatch):
    monkeypatch.setenv("AURALFLOW_OFFLINE", "perhaps")
    with pytest.raises(UsageError, match="AURALFLOW_OFFLINE is 'perhaps': expected 1 or 0"):
        Access.from_environment()
    monkeypatch.setenv("AURALFLOW_OFFLINE", "1")
    monkeypatch.setenv("AURALFLOW_MIRROR", "ftp://example.org")
    with pytest.raises(UsageError, match=r"AURALFLOW_MIRROR is 'ftp://example\.org'"):
        Access.from_environment()


def test_the_cards_of_this_installation_can_be_read():
    for card in installed_registry().cards():
        tracks = [track for table in card.scores for track in table.tracks]
        assert set(card.targets) <= {target for track in tracks for target in track.targets}
