"""Runs all checks in a sensible order."""

from collections.abc import Callable

from auralflow.config import DoctorConfig
from auralflow.diagnosis.calibration import check_devices, check_speed
from auralflow.diagnosis.checks import Check, Diagnosis
from auralflow.diagnosis.formats import check_formats
from auralflow.diagnosis.machine import check_folders, check_threads
from auralflow.diagnosis.software import check_packages

__all__ = ["diagnose"]


def diagnose(settings: DoctorConfig, *, on_step: Callable[[str, float], None] | None = None) -> Diagnosis:
    """Check software, machine, disks, codecs, devices and speed.

    Args:
        settings: Folder for results, and how long to measure the speed.
        on_step: Called with the next step and the fraction done.

    Raises:
        UsageError: If the device does not exist.

    Example:
        >>> diagnosis = diagnose(DoctorConfig(calibration=0))
        >>> {check.group for check in diagnosis.checks} >= {"software", "codecs", "disk", "devices"}
        True
    """
    checks: list[Check] = []
    steps: dict[str, Callable[[], list[Check]]] = {
        "software": check_packages,
        "machine": check_threads,
        "disk": lambda: check_folders(settings.save),
        "codecs": check_formats,
        "devices": check_devices,
        "speed": lambda: [check_speed(settings.calibration, settings.device)] if settings.calibration else [],
    }
    for number, (name, step) in enumerate(steps.items()):
        if on_step:
            on_step(name, number / len(steps))
        checks += step()
    return Diagnosis(checks)
