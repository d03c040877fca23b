"""The examples in the guide for large folders pass the checks of the tools that would run them."""

import configparser
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from auralflow.cli import app

GUIDE = Path(__file__).parent.parent / "docs/guides/large-folders.md"
TEXT = GUIDE.read_text(encoding="utf-8")


def blocks(language):
    found = re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    assert found
    return found


SCRIPTS = [block for block in blocks("bash") if block.startswith("#!")]


def separate_commands():
    """Every call of separate in the guide, as words."""
    text = re.sub(r"\s*\\?\n\s+(?=--)", " ", TEXT)
    lines = re.findall(r"auralflow (separate [^\n`|<]*)", text)
    assert len(lines) >= 6
    return lines


@pytest.mark.parametrize("line", separate_commands())
def test_every_option_of_the_guide_exists(line):
    words = [re.sub(r"\$\(?\(?[\w +]+\)?\)?", "1", word) for word in shlex.split(line.replace("$((", "$("))]
    arguments = app["separate"].assemble_argument_collection(parse_docstring=False)
    known = {name for argument in arguments for name in argument.names}
    known |= {"--quiet", "--log-file"}
    assert {word for word in words if word.startswith("--")} <= known


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize("script", SCRIPTS, ids=range(len(SCRIPTS)))
def test_scripts_are_sound(script):
    subprocess.run(["bash", "-n"], input=script, text=True, check=True)
    shellcheck = shutil.which("shellcheck", path=Path(sys.executable).parent) or shutil.which("shellcheck")
    if shellcheck is None:
        pytest.skip("there is no shellcheck")
    done = subprocess.run([shellcheck, "-"], input=script, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_kubernetes_job_is_what_its_schema_asks_for():
    validate = pytest.importorskip("kubernetes_validate", reason="needs the package kubernetes-validate")
    yaml = pytest.importorskip("yaml")
    for block in blocks("yaml"):
        content = yaml.safe_load(block)
        assert content["kind"] == "Job"
        validate.validate(content, "1.30", strict=True)
        content["spec"]["completionMod"] = "Indexed"
        with pytest.raises(validate.ValidationError):
            validate.validate(content, "1.30", strict=True)


def test_the_units_of_systemd_are_sound(tmp_path):
    for block in blocks("ini"):
        name = re.match(r"# /etc/systemd/system/(\S+)\n", block)[1]
        unit = configparser.ConfigParser(interpolation=None, strict=True)
        unit.optionxform = str
        unit.read_string(block)
        assert "Unit" in unit.sections()
        # The program is elsewhere on this machine.
        (tmp_path / name).write_text(block.replace("/opt/auralflow/bin/auralflow", "/bin/true"))
    assert {path.name for path in tmp_path.iterdir()} == {"auralflow.service", "auralflow.timer"}
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("there is no systemd-analyze")
    for path in sorted(tmp_path.iterdir()):
        done = subprocess.run(
            [analyze, "verify", "--man=no", path], text=True, capture_output=True, check=False
        )
        complaints = [line for line in done.stderr.splitlines() if str(tmp_path) in line or path.name in line]
        assert not complaints, done.stderr
