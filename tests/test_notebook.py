"""The notebook: runs from a clean kernel, is stored without outputs, and its links lead somewhere."""

import re
import resource
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="needs the extra dev")

ROOT = Path(__file__).parent.parent
NOTEBOOK = ROOT / "notebooks" / "quickstart.ipynb"
MINUTES = 4


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


def _seconds_of_children():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.filterwarnings("default")  # those of Jupyter's own libraries are not ours
def test_the_notebook_runs_from_a_clean_kernel_in_time(monkeypatch):
    # On a busy machine threads wait for each other.
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    client = pytest.importorskip("nbclient").NotebookClient
    content = read()
    place = {"metadata": {"path": str(NOTEBOOK.parent)}}
    before = _seconds_of_children()
    client(content, timeout=None, startup_timeout=600, resources=place).execute()
    # Of the processor: how long a busy machine takes is not the notebook's doing.
    assert 0 < _seconds_of_children() - before < 60 * MINUTES
    kinds = [
        output.data.keys() for cell in content.cells for output in cell.get("outputs", []) if "data" in output
    ]
    assert sum("image/png" in kind for kind in kinds) >= 3
    assert sum("text/html" in kind for kind in kinds) >= 6
