"""One browser and one server for all tests of the page."""

import os
import re
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch

from app_browser.steps import DESKTOP, LONG, PATIENCE, RATE, SECONDS, opened, separate
from auralflow.models import create_model_folder, save_weights
from auralflow.nets.unet import SpectrogramNetConfig
from auralflow.nets.unet.model import SpectrogramMaskModel
from auralflow.synth import generate_song

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
CHROMIUM = next((path for name in NAMES if (path := shutil.which(name))), None)
GIVEN_UP = 15
"""Seconds after which this server abandons a song that no page shows: a busy page may look in late."""


def make_model(folder, targets, num_hidden_channels=2, overlap=0.25):
    config = SpectrogramNetConfig(
        targets=targets,
        overlap=overlap,
        num_channels=2,
        num_hidden_channels=num_hidden_channels,
        sample_rate=RATE,
        num_fft=512,
        window_size=512,
        hop_length=256,
    )
    torch.manual_seed(0)
    create_model_folder(folder, config)
    save_weights(SpectrogramMaskModel(config), folder / "model.safetensors")


@pytest.fixture(scope="package")
def files(tmp_path_factory):
    """Models, songs, and what is no song."""
    folder = tmp_path_factory.mktemp("files")
    make_model(folder / "band", ("vocals", "drums", "bass", "other"))
    make_model(folder / "voice", ("vocals",))
    make_model(folder / "slow", ("vocals",), num_hidden_channels=32)
    # Takes many minutes for a long song, wherever the tests run: only to be cancelled.
    make_model(folder / "endless", ("vocals",), num_hidden_channels=32, overlap=0.99)
    song = sum(generate_song(3, seconds=SECONDS, sample_rate=RATE).values())
    soundfile.write(folder / "song.wav", song.T, RATE, subtype="PCM_16")
    soundfile.write(folder / "song.flac", song[:, : 3 * RATE].T, RATE, subtype="PCM_24")
    soundfile.write(folder / "long.wav", np.zeros((LONG * RATE, 2)), RATE, subtype="PCM_16")
    soundfile.write(folder / "too long.wav", np.zeros(8000 * 121), 8000)
    soundfile.write(folder / "too large.wav", np.zeros((40 * RATE, 2)), RATE, subtype="DOUBLE")
    (folder / "letter.wav").write_text("Dear listener, this is a letter.\n" * 40)
    (folder / "letter.txt").write_text("Dear listener, this is a letter.\n")
    return folder


class Server:
    """The command, in a process of its own."""

    def __init__(self, files, kept):
        self.kept = kept
        command = (
            "-m auralflow app --model band voice slow endless --port 0 --device cpu "
            "--max-duration 120 --max-size 8"
        )
        self.process = subprocess.Popen(
            [sys.executable, *command.split(), "--folder", str(kept), "--patience", str(GIVEN_UP)],
            cwd=files,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        line = self.process.stdout.readline()
        found = re.search(r"listening on (http://127\.0\.0\.1:\d+/)", line)
        assert found, line + self.process.stderr.read()
        self.address = found[1]

    @property
    def jobs(self):
        """The folders of all songs."""
        (folder,) = self.kept.glob("*/jobs")
        return set(folder.iterdir())

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        errors = self.process.communicate(timeout=300)[1]
        return self.process.returncode, errors


@pytest.fixture(scope="package")
def server(files, tmp_path_factory):
    """When it ends, nothing of what people sent and got may be left, and nothing have gone wrong in it."""
    server = Server(files, tmp_path_factory.mktemp("kept"))
    yield server
    code, errors = server.stop()
    assert list(server.kept.iterdir()) == []
    assert code == 0
    assert "Traceback" not in errors
    assert "Warning" not in errors


@pytest.fixture(scope="package")
def browser():
    pytest.importorskip("gradio", reason="needs the extra app")
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra dev")
    if CHROMIUM is None:
        pytest.skip("no Chromium here: run make tools as root")
    # A microphone that beeps, and a person who allows it.
    arguments = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    arguments += ["--mute-audio", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with playwright.sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, server):
    """Opens the page as another person each time; nothing may fail in it, and nothing leave the machine."""
    contexts, faults = [], []

    def visit(address="", viewport=DESKTOP, locale="en-GB"):
        context = browser.new_context(
            viewport=viewport, permissions=["microphone"], reduced_motion="reduce", locale=locale
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on(
            "request",
            lambda request: (
                request.url.startswith((server.address, "data:", "blob:"))
                or faults.append(f"asked for {request.url}")
            ),
        )
        page.goto(address or server.address)
        return opened(page)

    yield visit
    for context in contexts:
        context.close()
    assert faults == []


@pytest.fixture(scope="package")
def separated(browser, server, files):
    """A page on which a song has been separated; tests put back what they change."""
    context = browser.new_context(viewport=DESKTOP, reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(server.address)
    separate(opened(page), files / "song.wav")
    yield page
    context.close()
