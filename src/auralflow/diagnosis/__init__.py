"""Checks whether auralflow works on this machine, and advises how to fix problems.

Example:
    >>> from auralflow.diagnosis import check_formats
    >>> [check.name for check in check_formats() if check.state == "problem"]
    []
"""

from auralflow.diagnosis.calibration import check_devices, check_speed
from auralflow.diagnosis.checks import Check, Diagnosis, State
from auralflow.diagnosis.formats import check_formats
from auralflow.diagnosis.machine import check_folders, check_threads
from auralflow.diagnosis.run import diagnose
from auralflow.diagnosis.software import check_packages

__all__ = [
    "Check",
    "Diagnosis",
    "State",
    "check_devices",
    "check_folders",
    "check_formats",
    "check_packages",
    "check_speed",
    "check_threads",
    "diagnose",
]
