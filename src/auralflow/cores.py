"""The cores of this machine that the process may use. Does not import torch."""

import os
from pathlib import Path

__all__ = ["QUOTA_FILE", "core_quota", "usable_cores", "usable_workers"]

QUOTA_FILE = Path("/sys/fs/cgroup/cpu.max")
"""Where Linux says how many cores a container may use."""


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
