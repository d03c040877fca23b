"""What surrounds the code: workflows, forms, citation, container; each by its schema or linter."""

import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import yaml

import auralflow

ROOT = Path(__file__).parent.parent
GITHUB = ROOT / ".github"


def tool(name):
    """A program of this environment, or of the machine."""
    found = shutil.which(name, path=sysconfig.get_path("scripts")) or shutil.which(name)
    if not found:
        pytest.skip(f"{name} is not installed: it is in the extra dev")
    return found


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("vendor.github-workflows", sorted(GITHUB.glob("workflows/*.yml"))),
        ("custom.github-workflows-require-timeout", sorted(GITHUB.glob("workflows/*.yml"))),
        (
            "vendor.github-issue-forms",
            [GITHUB / "ISSUE_TEMPLATE/bug.yml", GITHUB / "ISSUE_TEMPLATE/idea.yml"],
        ),
        ("vendor.github-issue-config", [GITHUB / "ISSUE_TEMPLATE/config.yml"]),
        ("vendor.citation-file-format", [ROOT / "CITATION.cff"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_files_keep_to_the_schema_of_their_reader(schema, files):
    assert files
    done = subprocess.run(
        [tool("check-jsonschema"), "--builtin-schema", schema, *files],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_container_passes_its_linter():
    done = subprocess.run(
        [tool("hadolint"), ROOT / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert done.stdout == ""
    assert done.returncode == 0


def test_workflows_call_the_same_commands_as_a_developer():
    jobs = yaml.safe_load((GITHUB / "workflows/ci.yml").read_text())["jobs"]
    assert {".ci/run", "make package"} <= {step.get("run") for step in jobs["all"]["steps"]}
    targets = re.findall(r"^make (\w+)$", (ROOT / ".ci/run").read_text(), re.MULTILINE)
    rules = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {"lint", "test", "docs", "notebook"} <= set(targets) <= set(rules)


def test_make_bench_runs_all_benchmarks_that_need_nothing():
    [listed] = re.findall(r"^BENCHMARKS := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    scripts = {path.stem: path.read_text() for path in (ROOT / "benchmarks").glob("*.py")}
    needed = r'add_argument\("[a-z](?!.*nargs="\*").*\)'
    able = {name for name, text in scripts.items() if "__main__" in text and not re.search(needed, text)}
    assert set(listed.split()) == able


def test_versions_agree():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == auralflow.__version__
    assert citation["license"] == "MIT"


@pytest.mark.slow
def test_packages_install_and_work_in_clean_environments():
    done = subprocess.run(
        [sys.executable, ROOT / "packaging/check.py"],
        capture_output=True,
        text=True,
        check=False,
        timeout=1800,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") >= 4
