"""Songs as tasks on a Ray cluster of this machine."""

import os
import sys
import threading
import time
from contextlib import suppress

import pytest
from separating import RATE, noise, outputs, small_model, write_song

from auralflow.cli import main
from auralflow.config import EngineConfig, SeparateConfig, StemConfig, parse_settings
from auralflow.errors import SettingsError
from auralflow.separation import Separator, find_songs, separate_files
from auralflow.separation.cluster import separate_on_ray

ray = pytest.importorskip("ray")
psutil = pytest.importorskip("psutil")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def cluster():
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=10**8,
        runtime_env={"env_vars": {"PYTHONPATH": os.pathsep.join(sys.path)}},
    )
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("songs")
    for index in range(8):
        write_song(folder / f"deep/{index}.wav", noise(2, 20 * RATE, seed=index))
    (folder / "bad.wav").write_text("no audio")
    return folder


def _on_ray(songs, save, **options):
    found = find_songs([songs])
    return separate_on_ray(
        small_model(), EngineConfig(precision="float32"), found, save, StemConfig(residual=True), **options
    )


def test_cluster_gives_the_files_of_this_process(cluster, songs, tmp_path):
    list(separate_files(Separator(small_model()), find_songs([songs]), tmp_path / "here", residual=True))
    heard = {}
    outcomes = list(
        _on_ray(
            songs,
            tmp_path / "there",
            on_progress=lambda song, fraction: heard.setdefault(song.path.name, []).append(fraction),
        )
    )
    assert sorted(outcome.status for outcome in outcomes) == ["failed"] + ["separated"] * 8
    # A short song may be done before anybody asks.
    assert heard
    assert all(0 <= fraction <= 1 for fractions in heard.values() for fraction in fractions)
    assert all(fractions == sorted(fractions) for fractions in heard.values())
    assert outputs(tmp_path / "here") == outputs(tmp_path / "there")
    again = list(_on_ray(songs, tmp_path / "there"))
    assert sorted(outcome.status for outcome in again) == ["failed"] + ["kept"] * 8


def test_work_survives_the_death_of_its_workers(cluster, songs, tmp_path):
    list(separate_files(Separator(small_model()), find_songs([songs]), tmp_path / "here", residual=True))
    killed, over = [], threading.Event()

    def hunt():
        journal = tmp_path / "there/separated_audio/.auralflow-journal.jsonl"
        while not journal.exists() and not over.is_set():
            time.sleep(0.01)
        while not killed and not over.is_set():
            for process in psutil.Process().children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    if "ray::_separate" in " ".join(process.cmdline()):
                        process.kill()
                        killed.append(process.pid)

    hunter = threading.Thread(target=hunt)
    hunter.start()
    outcomes = list(_on_ray(songs, tmp_path / "there"))
    over.set()
    hunter.join()
    assert killed
    assert sorted(outcome.status for outcome in outcomes if outcome.status == "failed") == ["failed"]
    assert outputs(tmp_path / "here") == outputs(tmp_path / "there")


@pytest.mark.parametrize(
    "values",
    [{"address": "auto"}, {"executor": "ray", "jobs": 2}, {"engine": "ray", "jobs": 2}],
)
def test_settings_that_contradict_each_other_are_refused(values):
    with pytest.raises(SettingsError, match="`executor`"):
        parse_settings(SeparateConfig, values)


@pytest.mark.parametrize("words", [["--engine", "ray"], ["--engine=ray"]])
def test_the_former_name_of_the_executor_is_understood_with_a_hint(tmp_path, capsys, words):
    command = ["separate", "SpectrogramNetSimple", "song.wav", "--save", str(tmp_path), "--jobs", "2"]
    assert main([*command, *words]) == 2
    error = capsys.readouterr().err
    assert "note: --engine is now called --executor" in error
    assert "--jobs needs --executor local" in error
    assert main(["separate", "SpectrogramNetSimple", "--", "--engine=ray"]) == 2
    assert "no such file or folder: '--engine=ray'" in capsys.readouterr().err
