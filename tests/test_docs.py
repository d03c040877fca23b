"""The documentation: complete, whole, and shown to be so without the network."""

import importlib
import inspect
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import auralflow

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The site, built as `make docs` does, from a copy in which generated pages may be made."""
    pytest.importorskip("sphinx", reason="needs the extra docs")
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(DOCS, folder / "docs", ignore=shutil.ignore_patterns("_build", "api"))
    shutil.copytree(
        DOCS / "reference" / "api",
        folder / "docs/reference/api",
        ignore=lambda _, names: set(names) - {"index.md"},
    )
    for included in ("CHANGELOG.md", "README.md"):
        shutil.copy(ROOT / included, folder)
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-b",
        "html",
        folder / "docs",
        folder / "site",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "site"


def check_links(folder):
    return subprocess.run(
        [sys.executable, DOCS / "check_links.py", folder], capture_output=True, text=True, check=False
    )


def test_the_site_builds_without_warnings_and_its_links_lead_somewhere(built):
    done = check_links(built)
    assert done.returncode == 0, done.stdout


def test_no_public_name_is_missing_from_the_reference(built):
    inventory = importlib.import_module("sphinx.util.inventory").InventoryFile
    data = inventory.loads((built / "objects.inv").read_bytes(), uri="").data
    documented = {name for kind in data if kind.startswith("py:") for name in data[kind]}
    modules = [part for name in auralflow.__all__ if inspect.ismodule(part := getattr(auralflow, name))]
    modules.append(importlib.import_module("auralflow.synth"))
    public = {f"{module.__name__}.{name}" for module in modules for name in module.__all__}
    assert public - documented == set()
    assert len(public) > 100


def test_broken_links_and_foreign_resources_are_found(tmp_path):
    (tmp_path / "a.html").write_text(
        '<a href="b.html">no</a><a href="#nowhere">no</a><a href="a.html#here">yes</a><p id="here">'
        '<a href="https://example.org">not checked</a><script src="https://example.org/x.js"></script>'
    )
    done = check_links(tmp_path)
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 3
    for words in ("b.html, which does not exist", "#nowhere, which is not", "x.js from the network"):
        assert words in done.stdout
    assert check_links(tmp_path / "empty").returncode == 1


def test_pictures_are_small():
    for picture in (DOCS / "figures").glob("*.png"):
        assert picture.stat().st_size < 200_000


@pytest.mark.slow
def test_every_picture_can_be_drawn_anew(tmp_path):
    shutil.copy(DOCS / "figures.py", tmp_path)
    subprocess.run([sys.executable, tmp_path / "figures.py"], check=True)
    names = {path.name for path in (DOCS / "figures").glob("*.png")}
    assert {path.name for path in (tmp_path / "figures").glob("*.png")} == names
