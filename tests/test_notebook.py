"""The notebook: runs from a clean kernel, is stored without outputs, and its links lead somewhere."""

import re
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="needs the extra dev")

ROOT = Path(__file__).parent.parent
NOTEBOOK = ROOT / "notebooks" / "quickstart.ipynb"


def read():
    return nbformat.read(NOTEBOOK, as_version=4)


def test_the_notebook_is_valid_and_stored_without_outputs():
    content = read()
    nbformat.validate(content)
    assert all(not cell.get("outputs") and cell.get("execution_count") is None for cell in content.cells)


def test_links_lead_to_files_of_the_repository():
    text = "\n".join(cell.source for cell in read().cells if cell.cell_type == "markdown")
    targets = re.findall(r"\]\(([^)#]+)", text)
    assert len(targets) > 5
    for target in targets:
        assert (NOTEBOOK.parent / target).exists(), target


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.filterwarnings("default")  # those of Jupyter's own libraries are not ours
def test_the_notebook_runs_from_a_clean_kernel(monkeypatch):
    # On a busy machine threads wait for each other.
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    client = pytest.importorskip("nbclient").NotebookClient
    content = read()
    place = {"metadata": {"path": str(NOTEBOOK.parent)}}
    client(content, timeout=None, startup_timeout=600, resources=place).execute()
    kinds = [
        output.data.keys() for cell in content.cells for output in cell.get("outputs", []) if "data" in output
    ]
    assert sum("image/png" in kind for kind in kinds) >= 3
    assert sum("text/html" in kind for kind in kinds) >= 6
