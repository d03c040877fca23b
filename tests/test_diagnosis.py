"""The doctor: finds what is well, and what was broken on purpose."""

import json
from importlib import metadata

import numpy as np
import pytest
import torch

from auralflow import diagnosis
from auralflow.audio import read_audio
from auralflow.audio.formats import STEM_FORMATS
from auralflow.cli import main
from auralflow.config import DoctorConfig
from auralflow.diagnosis import calibration, check_devices, check_folders, check_formats, check_packages
from auralflow.diagnosis import formats as formats_module
from auralflow.diagnosis.machine import check_threads
from auralflow.errors import AuralflowError, UsageError


def named(checks, name):
    return next(check for check in checks if check.name == name)


def test_a_healthy_machine_has_no_problem():
    found = diagnosis.diagnose(DoctorConfig(calibration=0.01))
    assert found.is_healthy, [check for check in found.checks if check.state == "problem"]
    assert named(found.checks, "calibration").found.endswith("times real time")
    assert {check.group for check in found.checks} == {
        *("software", "packages", "extras", "machine", "disk", "codecs", "devices", "speed"),
    }


def test_a_missing_and_an_old_package_are_problems_with_a_command_that_mends_them():
    def installed(name):
        if name == "soxr":
            raise metadata.PackageNotFoundError(name)
        return "0.1" if name == "rich" else metadata.version(name)

    checks = check_packages(installed)
    assert (named(checks, "soxr").state, named(checks, "soxr").found) == ("problem", "not installed")
    assert named(checks, "soxr").advice.startswith('Run: pip install "soxr>=')
    assert named(checks, "rich").found == "0.1, needed: >=13"
    assert [check.name for check in checks if check.state == "problem"] == ["rich", "soxr"]


def test_a_missing_extra_is_told_with_its_command_and_is_no_problem():
    def installed(name):
        if name == "ray":
            raise metadata.PackageNotFoundError(name)
        return metadata.version(name)

    check = named(check_packages(installed), "ray")
    assert check.state == "note"
    assert "auralflow[ray]" in check.advice


@pytest.fixture(autouse=True)
def seconds_instead_of_minutes(monkeypatch):
    monkeypatch.setattr(formats_module, "MINUTES", 0.05)


@pytest.mark.slow
def test_minutes_of_opus_are_read(monkeypatch):
    monkeypatch.setattr(formats_module, "MINUTES", 2.0)
    states = {check.name: check.state for check in check_formats() if "opus" in check.name}
    assert states["opus by libsndfile"] == "ok"
    assert "problem" not in states.values()


def test_every_format_is_written_and_read_and_another_signal_is_noticed(monkeypatch):
    assert {check.name for check in check_formats() if check.found == "written and read"} == set(STEM_FORMATS)
    real = read_audio

    def swapped(path):
        audio, rate = real(path)
        return np.flipud(audio), rate

    monkeypatch.setattr(formats_module, "read_audio", swapped)
    assert {check.state for check in check_formats() if check.found != "read"} <= {
        "problem",
        "note",
    }


def test_a_decoder_that_fails_is_a_problem_of_its_format_alone(monkeypatch):
    real = read_audio

    def broken(path):
        if path.suffix == ".mp3":
            raise AuralflowError("no decoder")
        return real(path)

    monkeypatch.setattr(formats_module, "read_audio", broken)
    assert [check.name for check in check_formats() if check.state == "problem"] == ["mp3"]


def test_more_threads_than_a_container_may_use_are_noted(tmp_path):
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        check = named(check_threads(tmp_path / "cpu.max"), "threads")
    finally:
        torch.set_num_threads(before)
    assert check.state == "note"
    assert "export OMP_NUM_THREADS=1" in check.advice


@pytest.mark.parametrize("quota", ["max 100000", "", "rubbish", "1 0"])
def test_a_quota_that_says_nothing_limits_nothing(tmp_path, quota):
    (tmp_path / "cpu.max").write_text(quota)
    assert named(check_threads(tmp_path / "cpu.max"), "cores").found.startswith(f"{torch.os.cpu_count()} in")


def test_folders_that_cannot_be_written_are_problems(tmp_path):
    (tmp_path / "file").touch()
    checks = check_folders(tmp_path / "file", {"AURALFLOW_HOME": str(tmp_path / "file")})
    assert named(checks, "results").state == "problem"
    assert "--save" in named(checks, "results").advice
    assert named(checks, "cache of models").state == "problem"
    assert "AURALFLOW_HOME" in named(checks, "cache of models").advice


def test_folders_that_do_not_exist_are_judged_where_they_would_be_and_not_made(tmp_path):
    check = named(check_folders(tmp_path / "a" / "b"), "results")
    assert check.state == "ok"
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_noted(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 10**8}))
    assert named(check_folders(tmp_path), "results").state == "note"


def test_a_device_that_computes_wrongly_is_a_problem(monkeypatch):
    real = calibration._small_model

    class Drifting(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model, self.calls = real(), 0
            self.config = self.model.config

        def separate(self, signal):
            self.calls += 1
            return self.model.separate(signal) + 1e-3 * (self.calls - 1)

    monkeypatch.setattr(calibration, "_small_model", Drifting)
    assert check_devices()[0].state == "problem"
    assert "differ" in check_devices()[0].found


def test_a_device_that_is_not_there_is_a_usage_error(capsys):
    with pytest.raises(UsageError, match="cuda:99"):
        diagnosis.check_speed(0, "cuda:99")


def test_measuring_leaves_the_random_numbers_of_the_caller_alone():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    check_devices()
    diagnosis.check_speed(0)
    assert torch.rand(1) == expected


def test_the_command_prints_a_table_or_json_and_its_exit_code_tells(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["doctor", "--calibration", "0"]) == 0
    out = capsys.readouterr().out
    assert "everything works" in out
    assert main(["doctor", "--calibration", "0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["healthy"] is True
    (tmp_path / "file").touch()
    assert main(["doctor", "--calibration", "0", "--save", "file"]) == 1
    out = capsys.readouterr().out
    assert "results: Name a folder that can be written to with --save." in " ".join(out.split())
    assert out.splitlines()[-1] == "1 problem"
