"""Builds wheel and sdist, installs them into clean environments, and uses them there as a new user would.

Run ``make package``, or ``python packaging/check.py [PYTHON ...]``; by default with the oldest and the newest
supported interpreters on this machine. Prints a table; exits with 1 if anything fails.

If pip would install PyTorch with gigabytes of CUDA libraries, PyTorch is left out, along with everything that
needs it, and the table says so. To test everything, make the CPU builds available:
PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
CONSTRAINTS = ROOT / "constraints.txt"
SUPPORTED = ("3.11", "3.12", "3.13", "3.14")
ROUNDS = 7
CONSUMER = """
from pathlib import Path
from typing import assert_type

import auralflow
from auralflow.audio import Audio, read_audio
from auralflow.config import (
    DoctorConfig,
    EvaluateConfig,
    PrepareConfig,
    SeparateConfig,
    SynthConfig,
    TrainConfig,
)
from auralflow.errors import AuralflowError
from auralflow.nets.unet import SpectrogramNetConfig
from auralflow.models import create_model
from auralflow.separation import Separator
from torch import Tensor


def vocals(song: Path) -> Audio:
    model = create_model(SpectrogramNetConfig(targets=("vocals",)))
    stems = Separator(model, overlap=0.5).separate(song)
    assert_type(stems, Audio)
    return stems


def distance(estimate: Tensor, truth: Tensor) -> Tensor:
    return auralflow.metrics.si_sdr(estimate, truth)


audio, rate = read_audio(Path("song.wav"))
assert_type(rate, int)
assert_type(TrainConfig(lr=0.1).lr, float)
SeparateConfig(format="flac"), EvaluateConfig(bounds=False)
SynthConfig(tracks=3), PrepareConfig(), DoctorConfig()
try:
    vocals(Path("song.wav"))
except AuralflowError as error:
    assert_type(error.exit_code, int)
"""
WRONG_CONSUMER = (
    "from auralflow.nets.unet import SpectrogramNetConfig\n\nSpectrogramNetConfig().hop_length.upper()\n"
)


@dataclass
class Report:
    """The results for one interpreter and package."""

    python: str
    source: str
    with_torch: bool
    megabytes: float
    import_milliseconds: float
    help_milliseconds: float


def run(*command: object, **settings: object) -> str:
    """Run a command and return what it prints; if it fails, exit with its output."""
    environment = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")
    }
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        **settings,
    )
    if done.returncode:
        raise SystemExit(f"failed: {' '.join(map(str, command))}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def interpreters() -> list[str]:
    """The oldest and the newest supported interpreters on this machine."""
    found = []
    for version in SUPPORTED:
        places = [
            shutil.which(f"python{version}"),
            *Path.home().glob(f".pyenv/versions/{version}.*/bin/python"),
        ]
        works = [place for place in places if place and version in version_of(str(place))]
        found += [str(works[0])] if works else []
    return list(dict.fromkeys([found[0], found[-1]]))


def version_of(python: str) -> str:
    """The version of an interpreter, or an empty string if it does not work."""
    done = subprocess.run([python, "--version"], capture_output=True, text=True, check=False)
    return done.stdout.strip().removeprefix("Python ") if done.returncode == 0 else ""


def build(folder: Path) -> tuple[Path, Path]:
    """Build the sdist, and from it the wheel; check that the files in both are the right ones."""
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT)
    wheel, sdist = next(folder.glob("*.whl")), next(folder.glob("*.tar.gz"))
    packed = zipfile.ZipFile(wheel).namelist()
    foreign = [name for name in packed if not name.startswith(("auralflow/", "auralflow-"))]
    assert not foreign, f"the wheel also contains {foreign}"
    assert {"auralflow/py.typed"} <= set(packed)
    assert any(name.endswith("licenses/LICENSE") for name in packed), "the wheel has no licence"
    with tarfile.open(sdist) as archive:
        source = archive.getnames()
    for name in ("tests/test_readme.py", "docs/conf.py", "README.md", "LICENSE", "src/auralflow/py.typed"):
        assert any(path.endswith(name) for path in source), f"the sdist has no {name}"
    return wheel, sdist


def wants_cuda(install: list[object], package: Path) -> bool:
    """Whether pip would install CUDA libraries along with PyTorch."""
    plan = json.loads(run(*install, "--dry-run", "--report", "-", package))
    names = [item["metadata"]["name"].lower() for item in plan["install"]]
    return any(name.startswith("nvidia-") for name in names)


def try_package(interpreter: str, package: Path, folder: Path) -> Report:
    """Install a package into a new environment and use it."""
    run(interpreter, "-m", "venv", folder)
    python, program = folder / "bin/python", folder / "bin/auralflow"
    # The newest of everything except PyTorch: for the tested version, a CPU build may be available.
    pinned = [line for line in CONSTRAINTS.read_text().splitlines() if line.startswith("torch==")]
    (folder / "torch.txt").write_text("\n".join(pinned))
    install = [python, "-m", "pip", "install", "--quiet", "--constraint", folder / "torch.txt"]
    with_torch = not wants_cuda(install, package)
    if with_torch:
        run(*install, package)
    else:
        install_without_torch(python, package)
    size = sum(
        path.stat().st_size
        for path in next(folder.glob("lib/python*/site-packages")).rglob("*")
        if path.is_file()
    )
    assert run(program, "--version", cwd=folder).split()[-1] in package.name
    assert "separate" in run(program, "--help", cwd=folder)
    run(python, "-W", "error", "-c", "import auralflow.cli, auralflow.config, auralflow.audio", cwd=folder)
    if with_torch:
        run(program, "synth", "songs", "--tracks", 1, "--seconds", 1, cwd=folder)
        assert json.loads(run(program, "doctor", "--json", "--calibration", 0.1, cwd=folder))["healthy"]
        check_types(python, folder)
    return Report(
        python=version_of(interpreter),
        source="sdist" if package.name.endswith(".tar.gz") else "wheel",
        with_torch=with_torch,
        megabytes=size / 1e6,
        import_milliseconds=duration(python, "-c", "import auralflow") - duration(python, "-c", "pass"),
        help_milliseconds=duration(program, "--help"),
    )


def install_without_torch(python: Path, package: Path) -> None:
    """Install a package and its dependencies, except PyTorch and those that require it."""
    run(python, "-m", "pip", "install", "--quiet", "--no-deps", package)
    code = "import importlib.metadata as m; print(*m.requires('auralflow'), sep='\\n')"
    needed = [line for line in run(python, "-c", code).splitlines() if "extra ==" not in line]
    light = [line for line in needed if not line.startswith(("torch", "accelerate"))]
    run(python, "-m", "pip", "install", "--quiet", *light)


def check_types(python: Path, folder: Path) -> None:
    """Check that correct code passes strict mypy and wrong code fails, so the types are in use."""
    run(python, "-m", "pip", "install", "--quiet", "mypy")
    (folder / "consumer.py").write_text(CONSUMER)
    run(python, "-m", "mypy", "--strict", "consumer.py", cwd=folder)
    (folder / "wrong.py").write_text(WRONG_CONSUMER)
    done = subprocess.run(
        [str(python), "-m", "mypy", "--strict", "wrong.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert '"int" has no attribute "upper"' in done.stdout, done.stdout


def duration(*command: object) -> float:
    """Median time of a command in milliseconds, after a run that fills the disk cache."""
    run(*command)
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        run(*command)
        times.append(1e3 * (time.perf_counter() - started))
    return statistics.median(times)


def main() -> int:
    """Build, test with every interpreter, and print the table."""
    with tempfile.TemporaryDirectory() as folder:
        wheel, sdist = build(ROOT / "dist" if "--keep" in sys.argv else Path(folder) / "dist")
        chosen = [word for word in sys.argv[1:] if not word.startswith("-")] or interpreters()
        print("| Python | from | PyTorch | site-packages | import auralflow | auralflow --help |")
        print("|---|---|---|---|---|---|")
        for number, python in enumerate(chosen):
            # Installing from the sdist builds the package again; once is enough.
            for package in [wheel, sdist] if number == 0 else [wheel]:
                place = Path(folder) / f"{number}-{package.suffix[1:]}"
                report = try_package(python, package, place)
                shutil.rmtree(place)
                torch = "with" if report.with_torch else "without: pip would install CUDA"
                print(
                    f"| {report.python} | {report.source} | {torch} | {report.megabytes:.0f} MB "
                    f"| {report.import_milliseconds:.0f} ms | {report.help_milliseconds:.0f} ms |",
                    flush=True,
                )
    return 0


if __name__ == "__main__":
    sys.exit(main())
