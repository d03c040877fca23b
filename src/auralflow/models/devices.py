"""Names of devices."""

import torch

from auralflow.errors import UsageError

__all__ = ["check_device"]


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
