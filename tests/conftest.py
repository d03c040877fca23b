"""Shared fixtures: tiny models, tiny datasets, a model that passes everything through."""

import importlib
import os
import random
import signal
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from torch import Tensor, nn

from auralflow.audio import write_audio
from auralflow.config import SOURCES
from auralflow.models import create_model_folder, save_weights
from auralflow.models.folder import WEIGHTS_FILE
from auralflow.nets.unet import SpectrogramNetConfig
from auralflow.nets.unet.blocks import MaskEstimate
from auralflow.nets.unet.model import SpectrogramMaskModel
from auralflow.separation import precision

RATE = 8000

# Nets this small gain nothing from threads, and on a busy machine threads wait for each other: neither here
# nor in the processes that tests start.
torch.set_num_threads(1)
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Nor does it depend on the machine which samples a net computes; tests of bfloat16 ask for it.
precision.bfloat16_speedup = lambda _device: 0.0  # type: ignore[attr-defined]

# Consoles keep the width that COLUMNS asks for when they are made, which no test may decide for the others.
os.environ.pop("COLUMNS", None)
console = importlib.import_module("auralflow.cli.console")

# A shell that starts the tests in the background lets them ignore Ctrl-C, which some of them press.
signal.signal(signal.SIGINT, signal.default_int_handler)

FUZZ_FACTOR = 10
"""The factor by which `make fuzz` draws more examples."""
# A commit that is green today is green tomorrow, and on a busy machine: ordinary runs draw the same examples
# each time, and no time limit or warning about time counts. `make fuzz` draws others every time.
STEADY = {"deadline": None, "print_blob": True, "suppress_health_check": [HealthCheck.too_slow]}
hypothesis_settings.register_profile("ordinary", derandomize=True, **STEADY)
hypothesis_settings.register_profile("fuzz", max_examples=100 * FUZZ_FACTOR, **STEADY)
hypothesis_settings.load_profile("ordinary")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests of a GPU if there is none; in the profile ``fuzz``, multiply the examples of a test."""
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="no CUDA device"))
    profile = hypothesis_settings.default
    if profile.derandomize:
        return
    functions = {item.obj for item in items if isinstance(item, pytest.Function)}
    for function in functions:
        own = getattr(function, "_hypothesis_internal_use_settings", profile)
        if own.max_examples < profile.max_examples:
            function._hypothesis_internal_use_settings = hypothesis_settings(
                own, max_examples=own.max_examples * FUZZ_FACTOR
            )


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Draw the same numbers in fixtures, whatever ran before in this process."""
    _seed(0)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call() -> None:
    """Likewise in the test, with another seed: its draws must not equal those of its fixtures."""
    _seed(1)


def _seed(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable(report: object) -> Generator[None, Any, Any]:
    """Let workers send reports that quote names with invalid text, which some tests use."""
    return _as_text((yield))


def _as_text(data: Any) -> Any:
    if isinstance(data, str):
        return data.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(data, dict):
        return {_as_text(name): _as_text(value) for name, value in data.items()}
    if isinstance(data, list | tuple):
        return type(data)(map(_as_text, data))
    return data


@pytest.fixture(autouse=True)
def as_verbose_as_before() -> Iterator[None]:
    """Undo what ``--verbose``, ``--quiet`` and ``--log-file`` set for the rest of a process."""
    logger = console.LOGGER
    level, handlers, quiet = logger.level, list(logger.handlers), console.progress_console.quiet
    yield
    console.progress_console.quiet = quiet
    logger.setLevel(level)
    for handler in [handler for handler in logger.handlers if handler not in handlers]:
        logger.removeHandler(handler)
        handler.close()


class ConstantMask(nn.Module):
    """A net with a constant mask per target."""

    def __init__(self, *levels: float) -> None:
        super().__init__()
        self.register_buffer("levels", torch.tensor(levels).reshape(1, -1, 1, 1, 1))

    def forward(self, magnitudes: Tensor) -> MaskEstimate:
        return MaskEstimate(self.levels.expand(len(magnitudes), -1, *magnitudes.shape[1:]))


def tiny_config(**settings) -> SpectrogramNetConfig:
    defaults = {
        "targets": ("vocals", "drums"),
        "num_hidden_channels": 2,
        "sample_rate": RATE,
        "sample_length": 0.5,
        "num_fft": 256,
        "window_size": 256,
        "hop_length": 128,
        "dropout_p": 0.0,
    }
    return SpectrogramNetConfig(**{**defaults, **settings})


def constant_model(*levels: float, **settings) -> SpectrogramMaskModel:
    targets = ("vocals", "drums", "bass", "other")[: len(levels)]
    model = SpectrogramMaskModel(tiny_config(targets=targets, **settings)).eval()
    model.net = ConstantMask(*levels)
    return model


def write_track(
    folder: Path, *, seconds: float = 2.0, seed: int = 0, stems=SOURCES, rate=RATE, channels=2
) -> None:
    generator = np.random.default_rng(seed)
    for stem in stems:
        audio = 0.1 * generator.standard_normal((channels, round(seconds * rate))).astype(np.float32)
        write_audio(folder / f"{stem}.wav", audio, rate)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Five tracks of noise: three for training, one for validation, one for testing."""
    for index, name in enumerate(("train/a", "train/b", "train/c", "valid/d", "test/e")):
        write_track(tmp_path / "data" / name, seed=index)
    return tmp_path / "data"


@pytest.fixture
def model_folder(tmp_path: Path) -> Callable[..., Path]:
    """Creates a model folder, with random weights by default."""

    def make(*, weights: bool = True, name: str = "model", **settings) -> Path:
        folder = tmp_path / name
        config = tiny_config(**settings)
        create_model_folder(folder, config)
        if weights:
            torch.manual_seed(0)
            save_weights(SpectrogramMaskModel(config), folder / WEIGHTS_FILE)
        return folder

    return make
