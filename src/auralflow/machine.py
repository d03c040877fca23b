"""The machine: its devices, its cores, and the threads that compute on them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from auralflow.errors import UsageError

__all__ = [
    "check_device",
    "core_quota",
    "has_bfloat16_units",
    "shared_cores",
    "usable_cores",
    "usable_workers",
]

QUOTA_FILE = Path("/sys/fs/cgroup/cpu.max")
"""Where Linux says how many cores a container may use."""


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


def usable_cores() -> int:
    """Cores that this process may run on.

    Example:
        >>> usable_cores() >= 1
        True
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def core_quota(path: Path = QUOTA_FILE) -> float:
    """Cores' worth of time that a container may use, infinite without a limit.

    Args:
        path: The file of its control group.
    """
    try:
        quota, period = path.read_text().split()[:2]
        return float("inf") if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return float("inf")


def usable_workers(wanted: int) -> int:
    """Number of worker processes: as many as wanted, but no more than there are cores.

    Example:
        >>> usable_workers(0)
        0
    """
    return min(wanted, usable_cores())


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
