"""Thousands of damaged songs in one run: each is reported, and every valid song is separated.

``AURALFLOW_FUZZ_FILES`` is the number of damaged files, ``AURALFLOW_FUZZ_SEED`` decides all of them.
"""

import json
import os
import random
import shutil
import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path

import pytest
import torch
from conftest import tiny_config
from mutations import mutate, seed_of
from sounds import write_sounds

from auralflow.models import create_model_folder, save_weights
from auralflow.models.folder import WEIGHTS_FILE
from auralflow.nets.families import create_model

FILES = int(os.environ.get("AURALFLOW_FUZZ_FILES", "200"))
SEED = int(os.environ.get("AURALFLOW_FUZZ_SEED", "0"))
MOST_MEMORY = 1 << 20
"""Kilobytes."""
NAMES = (
    "",
    " [red]",
    " [",
    "ü音",
    " - remastered [2011]",
    " %s {0}",
    "\x1b[31m",
    "\n2",
    " 'quoted\"",
    "x" * 150,
)

SEPARATE = [sys.executable, "-m", "auralflow", "separate"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(4 * 3600)]


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return write_sounds(tmp_path_factory.mktemp("sounds"))


@pytest.fixture(scope="module")
def damaged(good):
    """Makes the damaged file of a number: its ending and its bytes."""
    contents = [path.read_bytes() for path in good]

    def make(number: int) -> tuple[str, bytes]:
        rng = random.Random(seed_of(SEED, number))
        index = rng.randrange(len(good))
        return good[index].suffix, mutate(contents[index], rng, contents)

    return make


def write_model(folder: Path) -> Path:
    config = tiny_config(sample_rate=8000)
    create_model_folder(folder, config)
    torch.manual_seed(0)
    save_weights(create_model(config), folder / WEIGHTS_FILE)
    return folder


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    found = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        found[str(path.relative_to(folder))] = (status.st_size, status.st_mtime_ns if path.is_file() else 0)
    return found


def run(command: list[str], log: Path) -> tuple[int, int]:
    """Exit code and the most memory in kilobytes that the process, or a child of it, ever held."""
    with (log / "stdout").open("wb") as out, (log / "stderr").open("wb") as err:
        process = subprocess.Popen(command, stdout=out, stderr=err, stdin=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_maxrss


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted in other units there")
def test_one_run_separates_every_good_song_and_names_every_bad_one(good, damaged, tmp_path):
    songs, log, place = tmp_path / "songs", tmp_path / "log", tmp_path / "place"
    for folder in (songs, log, place):
        folder.mkdir()
    for number in range(FILES):
        suffix, content = damaged(number)
        (songs / f"{number:05d}{NAMES[number % len(NAMES)]}{suffix}").write_bytes(content)
    fine = [Path(shutil.copy(path, songs / f"good {path.name}")) for path in good]
    model = write_model(place / "model")
    before = listing(tmp_path / "songs") | {f"place/{name}": fact for name, fact in listing(place).items()}
    options = ["--save", str(tmp_path / "out"), "--residual", "--json"]
    code, memory = run([*SEPARATE, str(model), str(songs), *options], log)
    errors = (log / "stderr").read_text(errors="replace")
    repeat = f"AURALFLOW_FUZZ_SEED={SEED} AURALFLOW_FUZZ_FILES={FILES}"
    assert code == 1, f"{repeat}: exit code {code}, {errors[-2000:]}"
    assert "Traceback" not in errors, f"{repeat}: {errors[-4000:]}"
    report = json.loads((log / "stdout").read_text())
    outcomes = {outcome["source"]: outcome for outcome in report["songs"]}
    assert len(outcomes) == len(report["songs"])
    # No file is missing from the report, and nothing is in it twice.
    assert sorted(outcomes) == sorted(str(path) for path in songs.iterdir()), repeat
    lost = [path.name for path in fine if outcomes[str(path)]["status"] != "separated"]
    assert not lost, f"{repeat}: {[outcomes[str(songs / name)] for name in lost]}"
    counts = Counter(outcome["status"] for outcome in outcomes.values())
    assert counts.keys() <= {"separated", "failed"}
    assert report["failed"] == counts["failed"] > 0
    for path, outcome in outcomes.items():
        if outcome["status"] == "failed":
            assert outcome["error"], f"{repeat}: {path!r} failed without a word"
            assert len(outcome["error"].splitlines()) == 1, f"{repeat}: {path!r}: {outcome['error']!r}"
    # Nothing of anybody's is changed, and all that is new lies in the folder that was named.
    after = listing(tmp_path / "songs") | {f"place/{name}": fact for name, fact in listing(place).items()}
    assert after == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "out", "place", "songs"]
    stems = tmp_path / "out" / "separated_audio"
    assert not [path for path in stems.rglob("*") if path.name.endswith(".part") or path.is_symlink()]
    folders = [path for path in stems.iterdir() if path.is_dir() and not path.name.startswith(".")]
    assert len(folders) == counts["separated"], repeat
    assert memory < MOST_MEMORY, f"{repeat}: {memory / 1024:.0f} MB"
    print(
        f"\n{len(outcomes)} songs: {dict(counts)}; {len(fine)} good; {memory / 1024:.0f} MB at most; {repeat}"
    )


PROBE = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from auralflow.audio import probe, stream_audio
    from auralflow.audio.tags import read_tags
    from auralflow.errors import AuralflowError
    for path in sorted(Path(sys.argv[1]).iterdir()):
        print(path.name, file=sys.stderr, flush=True)
        for read in (probe, read_tags, lambda path: [None for _ in stream_audio(path)]):
            try:
                read(path)
            except AuralflowError as error:
                assert len(str(error).splitlines()) == 1, error
            except Exception as error:
                print(path.name, type(error).__name__, str(error)[:200], flush=True)
    """
)


def test_a_damaged_file_raises_no_error_but_our_own(damaged, tmp_path):
    """In a process of its own, which a decoder must not end."""
    songs, log = tmp_path / "songs", tmp_path / "log"
    songs.mkdir()
    log.mkdir()
    for number in range(FILES, 2 * FILES):
        suffix, content = damaged(number)
        (songs / f"{number:05d}{suffix}").write_bytes(content)
    code, memory = run([sys.executable, "-c", PROBE, str(songs)], log)
    foreign = (log / "stdout").read_text()
    last = (log / "stderr").read_text(errors="replace").splitlines()[-30:]
    assert code == 0, f"seed {SEED}: exit code {code} at {last}"
    assert not foreign, f"seed {SEED}:\n{foreign}"
    assert memory < MOST_MEMORY, f"seed {SEED}: {memory / 1024:.0f} MB"
