"""Checks that each device computes correctly, and how fast one separates."""

import torch

from auralflow.config import SOURCES
from auralflow.diagnosis.checks import Check
from auralflow.machine import bfloat16_speedup, check_device
from auralflow.models import create_model
from auralflow.nets.door import SeparationModel
from auralflow.nets.unet import SpectrogramNetConfig
from auralflow.separation import Separator
from auralflow.separation.plan import calibrate

__all__ = ["check_devices", "check_speed"]

TOLERANCE = 1e-4
"""Half precision in the Fourier transform or the convolution would exceed it."""


def check_devices() -> list[Check]:
    """Compute on each device and compare with the CPU.

    Example:
        >>> check_devices()[0].state
        'ok'
    """
    names = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        names.append("mps")
    checks = [_check_one(torch.device(name)) for name in names]
    if torch.version.cuda and not torch.cuda.is_available():
        advice = "If this machine has a GPU, check its driver with nvidia-smi."
        found = f"PyTorch is built for CUDA {torch.version.cuda}, but finds no usable GPU"
        checks.append(Check("devices", "cuda", "note", found, advice))
    return checks


def _check_one(device: torch.device) -> Check:
    torch_version = f"PyTorch {torch.__version__}"
    model = _small_model()
    signal = torch.sin(torch.arange(model.config.chunk_samples) / 20).repeat(1, 1, 1)
    try:
        with torch.inference_mode():
            expected = model.separate(signal)
            found = model.to(device).separate(signal.to(device)).cpu()
    except RuntimeError as error:
        advice = "Use --device cpu, or install a PyTorch version that matches the driver: https://pytorch.org/get-started."
        return Check("devices", str(device), "problem", " ".join(str(error).split())[:200], advice)
    error_level = float((found - expected).abs().max())
    if not error_level <= TOLERANCE:
        text = f"results differ from those of the CPU by {error_level:.2g}"
        return Check("devices", str(device), "problem", text, "Use --device cpu, and report this.")
    return Check("devices", str(device), "ok", f"{_describe(device)}, {torch_version}, {_precision(device)}")


def _precision(device: torch.device) -> str:
    """What ``--precision auto`` selects there for a model that loses little quality with bfloat16."""
    speedup = bfloat16_speedup(device)
    chosen = "bfloat16" if speedup > 1 else "float32"
    measured = f"bfloat16 at {speedup:.2g} times its speed" if speedup else "no units for bfloat16"
    return f"--precision auto is {chosen} ({measured})"


def _describe(device: torch.device) -> str:
    if device.type != "cuda":
        return torch.backends.cpu.get_cpu_capability() if device.type == "cpu" else "Metal"
    free, total = torch.cuda.mem_get_info(device)
    return f"{torch.cuda.get_device_name(device)}, {free / 1e9:.1f} of {total / 1e9:.1f} GB free"


def _small_model() -> SeparationModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = SpectrogramNetConfig(num_hidden_channels=2, sample_rate=8000, sample_length=1)
        return create_model(config).eval()


def check_speed(seconds: float = 3.0, device: str = "auto") -> Check:
    """Separate noise for a few seconds with a net of typical size.

    Args:
        seconds: How long to measure after a warm-up. Default: 3.
        device: The device. Default: ``"auto"``.

    Returns:
        A check with the number of seconds of stereo audio that are separated into four stems per second.

    Raises:
        UsageError: If the device does not exist.

    Example:
        >>> check_speed(0).name
        'calibration'
    """
    config = SpectrogramNetConfig(
        targets=SOURCES, num_channels=2, num_fft=2048, window_size=2048, hop_length=1024
    )
    with torch.random.fork_rng(devices=[]):
        separator = Separator(create_model(config), device=device)
    speed = calibrate(separator, seconds=seconds)
    found = f"{config.net}, 4 stereo stems on {check_device(device)}: {speed:.1f} times real time"
    if speed < 1:
        return Check("speed", "calibration", "note", found, "Give it more cores, a GPU, or --backend onnx.")
    return Check("speed", "calibration", "ok", found)
