"""Checks of the machine: cores and threads, disks and folders."""

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from filelock import FileLock, Timeout

from auralflow.cores import QUOTA_FILE, core_quota, usable_cores
from auralflow.diagnosis.checks import Check
from auralflow.storage import atomic_path, cache_folder

__all__ = ["check_folders", "check_threads"]

LITTLE_SPACE = 2e9


def check_threads(quota_file: Path | None = None) -> list[Check]:
    """Compare the number of PyTorch's threads with the number of cores available to this process.

    Args:
        quota_file: File with the core quota of a container. Default: that of Linux.

    Example:
        >>> [check.name for check in check_threads()]
        ['cores', 'threads']
    """
    # The other checks of this module should not wait for PyTorch.
    import torch  # noqa: PLC0415

    usable = min(float(usable_cores()), core_quota(quota_file or QUOTA_FILE))
    found = f"{os.cpu_count()} in the machine, {usable:g} for this process"
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    threads = torch.get_num_threads()
    chosen = os.environ.get("OMP_NUM_THREADS")
    source = f" (OMP_NUM_THREADS={chosen})" if chosen else ""
    check = Check("machine", "threads", "ok", f"{threads} compute{source}")
    if threads > max(1, round(usable)):
        advice = f"They wait for each other. Run: export OMP_NUM_THREADS={max(1, round(usable))}"
        check = Check("machine", "threads", "note", f"{threads} for {usable:g} cores{source}", advice)
    elif threads < int(usable):
        advice = "Some cores are idle. Run: unset OMP_NUM_THREADS" if chosen else ""
        check = Check("machine", "threads", "note", f"{threads} for {usable:g} cores{source}", advice)
    return [Check("machine", "cores", "ok", found + load), check]


def check_folders(save: Path, environment: Mapping[str, str] | None = None) -> list[Check]:
    """Check the folders that auralflow writes to: results, temporary files, downloaded models.

    Args:
        save: The folder for results.
        environment: The environment variables. Default: those of this process.

    Returns:
        A check per folder: whether a file can be written, renamed and locked there, and the free space.

    Example:
        >>> [check.name for check in check_folders(Path("."))]
        ['results', 'temporary files', 'cache of models']
    """
    return [
        _check_folder("results", save, "Name a folder that can be written to with --save."),
        _check_folder(
            "temporary files", Path(tempfile.gettempdir()), "Set TMPDIR to a folder that can be written to."
        ),
        _check_folder(
            "cache of models",
            cache_folder(environment),
            "Set AURALFLOW_HOME to a folder that can be written to.",
        ),
    ]


def _check_folder(name: str, folder: Path, advice: str) -> Check:
    existing = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
    try:
        free = shutil.disk_usage(existing).free
        # Folders that do not exist yet are tested at their parent and not created.
        with tempfile.TemporaryDirectory(prefix=".auralflow-", dir=existing) as trial:
            with atomic_path(Path(trial) / "file") as part:
                part.write_bytes(b"auralflow")
            with FileLock(Path(trial) / "lock", timeout=1):
                pass
    except (OSError, NotImplementedError, Timeout) as error:
        return Check("disk", name, "problem", f"{folder}: {error}", advice)
    found = f"{folder}, {free / 1e9:.1f} GB free"
    if free < LITTLE_SPACE:
        return Check(
            "disk", name, "note", found, "A song of four minutes takes about 0.3 GB while it is made."
        )
    return Check("disk", name, "ok", found)
