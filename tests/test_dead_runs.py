"""What a killed run left goes with the next one; what a living run works on stays."""

import subprocess
import sys
import threading

import pytest
from dataset_makers import write_dataset

from auralflow.config import ImportConfig, PrepareConfig
from auralflow.datasets.importers import import_dataset
from auralflow.datasets.prepare import prepare
from auralflow.storage import atomic_folder, claimed, remove_dead_folders
from auralflow.synth.folders import write_dataset as write_songs

RATE = 8000

# Each begins a track, says so, and never ends it.
PREPARE = """
import sys, time
from pathlib import Path
from auralflow.config import PrepareConfig
from auralflow.datasets import prepare_track
from auralflow.datasets.prepare import prepare
def hang(*arguments):
    print("busy", flush=True)
    time.sleep(3600)
prepare_track.write_record = hang
prepare(Path(sys.argv[1]), Path(sys.argv[2]), PrepareConfig(sample_rate=8000, num_workers=1))
"""
IMPORT = """
import sys, time
from pathlib import Path
from auralflow.datasets import importers
from auralflow.datasets.importers import import_dataset
def hang(*arguments):
    print("busy", flush=True)
    time.sleep(3600)
importers._flush = hang
import_dataset(Path(sys.argv[1]), Path(sys.argv[2]))
"""
SYNTH = """
import os, sys, time
from pathlib import Path
from auralflow.synth.folders import write_dataset
def hang(*arguments):
    print("busy", flush=True)
    time.sleep(3600)
os.fsync = hang
write_dataset(Path(sys.argv[2]), tracks=1, seed=0, seconds=0.5, sample_rate=8000)
"""


def run_prepare(source, target):
    report = prepare(source, target, PrepareConfig(sample_rate=RATE, num_workers=1))
    return len(report.made), len(report.kept)


def run_import(source, target):
    report = import_dataset(source, target, ImportConfig())
    return len(report.made), len(report.kept)


def run_synth(source, target):
    report = write_songs(target, tracks=1, seed=0, seconds=0.5, sample_rate=RATE)
    return report.written, report.kept


class Hanging:
    """A process in the middle of a track."""

    def __init__(self, code, source, target):
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, str(source), str(target)], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout.readline() == "busy\n"

    def kill(self):
        self.process.kill()
        self.process.communicate()


def hidden(folder):
    return sorted(path.name for path in folder.rglob(".*"))


CASES = [(PREPARE, run_prepare, "train"), (IMPORT, run_import, "train"), (SYNTH, run_synth, "train")]


@pytest.fixture
def source(tmp_path):
    return write_dataset(tmp_path / "source", train=2, seconds=0.5)


@pytest.mark.parametrize(("code", "run", "split"), CASES, ids=["prepare", "import", "synth"])
def test_what_a_killed_run_left_is_removed_by_the_next(tmp_path, source, code, run, split):
    target = tmp_path / "target"
    hanging = Hanging(code, source, target)
    (part,) = (target / split).glob(".*.part")
    assert any(part.iterdir())
    # As long as it lives, nothing of it is taken away.
    remove_dead_folders(target / split)
    assert any(part.iterdir())
    hanging.kill()
    made, kept = run(source, target)
    assert made > 0
    assert kept == 0
    assert hidden(target) == []
    assert run(source, target) == (0, made)


@pytest.mark.parametrize(("code", "run"), [(PREPARE, run_prepare), (IMPORT, run_import)])
def test_a_second_run_waits_for_a_track_under_way_and_makes_it_when_the_first_dies(
    tmp_path, source, code, run
):
    target = tmp_path / "target"
    hanging = Hanging(code, source, target)
    answers = []
    second = threading.Thread(target=lambda: answers.append(run(source, target)))
    second.start()
    # It can only be waiting for the claim: whatever it does, the folder under way stays.
    second.join(1.0)
    assert second.is_alive()
    assert list((target / "train").glob(".*.part"))
    hanging.kill()
    second.join(120)
    assert answers
    assert answers[0][0] > 0
    assert hidden(target) == []


def test_a_track_that_the_dataset_no_longer_has_leaves_nothing_either(tmp_path, source):
    target = tmp_path / "target"
    Hanging(PREPARE, source, target).kill()
    (busy,) = (target / "train").glob(".*.part")
    for name in ("vocals", "drums", "bass", "other"):
        (source / "train" / "Song 0" / f"{name}.wav").unlink(missing_ok=True)
    run_prepare(source, target)
    assert not busy.exists()
    assert hidden(target) == []


def test_a_track_is_replaced_as_a_whole(tmp_path):
    target = tmp_path / "track"
    for text in ("old", "new"):
        with claimed(target), atomic_folder(target) as part:
            (part / f"{text}.txt").write_text(text)
    assert [path.name for path in target.iterdir()] == ["new.txt"]
    with pytest.raises(RuntimeError), claimed(target), atomic_folder(target) as part:
        raise RuntimeError
    assert [path.name for path in target.iterdir()] == ["new.txt"]
    assert hidden(tmp_path) == []


def test_one_folder_is_made_by_one_at_a_time(tmp_path):
    target, inside, most = tmp_path / "track", [], []

    def make(number):
        with claimed(target), atomic_folder(target) as part:
            inside.append(number)
            most.append(len(inside))
            (part / "number").write_text(str(number))
            inside.remove(number)

    threads = [threading.Thread(target=make, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 8
    assert hidden(tmp_path) == []
