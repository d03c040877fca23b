"""The machine: its devices, and the threads that compute on them."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import torch

from auralflow.errors import UsageError

__all__ = [
    "bfloat16_speedup",
    "check_device",
    "has_bfloat16_units",
    "shared_cores",
]

LEAST_SPEEDUP = 0.25
"""Below it in small products, large products would take long."""


def check_device(name: str = "auto") -> torch.device:
    """The device that a name stands for; ``auto`` is CUDA where there is one, then MPS, then the CPU.

    Raises:
        UsageError: If the machine has no such device.

    Example:
        >>> check_device("cpu")
        device(type='cpu')
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    available = {
        "cpu": 1,
        "mps": int(torch.backends.mps.is_available()),
        "cuda": torch.cuda.device_count(),
    }
    device = torch.device(name)
    if (device.index or 0) >= available.get(device.type, 0):
        raise UsageError(f"--device is {name}: this machine has no such device", advice="Use --device auto.")
    return device


def has_bfloat16_units(device: torch.device) -> bool:
    """Whether a device is faster in bfloat16 than in float32: CUDA that supports it, CPUs with AMX.

    Other CPUs compute it several times slower.

    Example:
        >>> has_bfloat16_units(torch.device("meta"))
        False
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return device.type == "cpu" and bool(torch.cpu.get_capabilities().get("amx_bf16"))


@cache
def bfloat16_speedup(device: torch.device) -> float:
    """How many times as fast as float32 bfloat16 is on this very machine, measured once for each process.

    Having units for it does not tell: with AMX bfloat16 was 2.4 times as fast, with AVX-512 alone it was
    slower. Takes less than 100 ms: small products come first, and large ones only if bfloat16 is not far
    behind in those. Without any units nothing is measured, since it would be up to a hundred times slower.

    Returns:
        The geometric mean of a convolution's and a matrix product's speedup, 0 without units.

    Example:
        >>> bfloat16_speedup(torch.device("meta"))
        0.0
    """
    if device.type == "cpu":
        known = torch.cpu.get_capabilities()
        has_units = any(known[name] for name in known if "bf16" in name)
        small, large = (16, 32, 64), (64, 64, 512)
    else:
        has_units = has_bfloat16_units(device)
        small, large = (32, 64, 256), (256, 128, 2048)
    if not has_units:
        return 0.0
    with torch.inference_mode():
        speedup = _speedup(device, *small)
        return _speedup(device, *large) if speedup > LEAST_SPEEDUP else speedup


def _speedup(device: torch.device, channels: int, rows: int, size: int) -> float:
    def seconds(dtype: torch.dtype) -> tuple[float, float]:
        features = torch.ones(1, channels, rows, rows, device=device, dtype=dtype)
        kernels = torch.ones(channels, channels, 3, 3, device=device, dtype=dtype)
        matrix = torch.ones(size, size, device=device, dtype=dtype)
        return (
            _fastest(lambda: torch.conv2d(features, kernels, padding=1), device),
            _fastest(lambda: matrix @ matrix, device),
        )

    exact, coarse = seconds(torch.float32), seconds(torch.bfloat16)
    return math.sqrt(math.prod(exact) / math.prod(coarse))


def _fastest(work: Callable[[], object], device: torch.device) -> float:
    """Seconds of the fastest of a few runs, after one that prepares."""
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - started)
    return min(seconds[1:])


@contextmanager
def shared_cores(jobs: int) -> Iterator[None]:
    """Give each of several jobs its share of the threads; else each would start as many as there are cores.

    Args:
        jobs: Jobs at the same time.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, before // jobs))
    try:
        yield
    finally:
        torch.set_num_threads(before)
