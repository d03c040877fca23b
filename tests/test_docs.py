"""The documentation is complete, its links work, and it needs no network."""

import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
INVENTORY = """\
# Sphinx inventory version 2
# Project: auralflow
# Version: 1
# The remainder of this file is compressed using zlib.
"""


def check(script, folder):
    return subprocess.run(
        [sys.executable, DOCS / script, folder], capture_output=True, text=True, check=False
    )


def test_public_names_missing_from_the_reference_are_found(tmp_path):
    pytest.importorskip("sphinx", reason="needs the extra docs")
    documented = "auralflow.synth.generate_song py:function 1 api.html#$ -\n"
    (tmp_path / "objects.inv").write_bytes(INVENTORY.encode() + zlib.compress(documented.encode()))
    done = check("check_reference.py", tmp_path)
    assert done.returncode == 1, done.stderr
    missing = done.stdout.splitlines()
    assert len(missing) > 100
    assert "auralflow.metrics.si_sdr is not documented" in missing
    assert "auralflow.synth.generate_song is not documented" not in missing


def test_broken_links_and_foreign_resources_are_found(tmp_path):
    (tmp_path / "a.html").write_text(
        '<a href="b.html">no</a><a href="#nowhere">no</a><a href="a.html#here">yes</a><p id="here">'
        '<a href="https://example.org">not checked</a><script src="https://example.org/x.js"></script>'
    )
    done = check("check_links.py", tmp_path)
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 3
    for words in ("b.html, which does not exist", "#nowhere, which is not", "x.js from the network"):
        assert words in done.stdout
    assert check("check_links.py", tmp_path / "empty").returncode == 1


def test_pictures_are_small():
    for picture in (DOCS / "figures").glob("*.png"):
        assert picture.stat().st_size < 200_000


@pytest.mark.slow
def test_every_picture_can_be_drawn_anew(tmp_path):
    shutil.copy(DOCS / "figures.py", tmp_path)
    subprocess.run([sys.executable, tmp_path / "figures.py"], check=True)
    names = {path.name for path in (DOCS / "figures").glob("*.png")}
    assert {path.name for path in (tmp_path / "figures").glob("*.png")} == names
