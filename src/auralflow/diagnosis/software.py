"""Checks the versions of Python, auralflow and its dependencies."""

import platform
import sys
from collections.abc import Callable, Iterator
from importlib import metadata

from packaging.requirements import InvalidRequirement, Requirement

from auralflow.diagnosis.checks import Check

__all__ = ["check_packages"]

OLDEST_PYTHON = (3, 11)
NOT_FOR_USERS = ("dev", "docs", "parity")


def check_packages(installed: Callable[[str], str] | None = None) -> list[Check]:
    """Compare installed versions with auralflow's requirements.

    Args:
        installed: Returns the version of an installed distribution by name, or raises
            ``PackageNotFoundError``. Default: ``importlib.metadata.version``.

    Returns:
        A check for Python, one for auralflow, one for each dependency and one for each extra.

    Example:
        >>> [check.state for check in check_packages() if check.name == "torch"]
        ['ok']
    """
    installed = installed or metadata.version
    found = f"{platform.python_version()} on {platform.platform()}"
    checks = [Check("software", "Python", "ok", found)]
    if sys.version_info < OLDEST_PYTHON:
        needed = ".".join(map(str, OLDEST_PYTHON))
        checks = [Check("software", "Python", "problem", found, f"Use Python {needed} or newer.")]
    try:
        checks.append(Check("software", "auralflow", "ok", installed("auralflow")))
        wanted = metadata.requires("auralflow") or []
    except metadata.PackageNotFoundError:
        text = "The source is used as it lies there. Install it with: pip install ."
        return [*checks, Check("software", "auralflow", "note", "not installed", text)]
    requirements = list(_parsed(wanted))
    for requirement, extra in requirements:
        if not extra:
            checks.append(_check_package(requirement, installed))
    return checks + _check_extras(requirements, installed)


def _parsed(lines: list[str]) -> Iterator[tuple[Requirement, str]]:
    """Requirements for this platform, each with its extra."""
    for line in lines:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        marker = requirement.marker
        extra = str(marker).partition('extra == "')[2].partition('"')[0] if marker else ""
        if marker is None or marker.evaluate({"extra": extra}):
            yield requirement, extra


def _check_package(requirement: Requirement, installed: Callable[[str], str]) -> Check:
    advice = f'Run: pip install "{requirement.name}{requirement.specifier}"'
    try:
        version = installed(requirement.name)
    except metadata.PackageNotFoundError:
        return Check("packages", requirement.name, "problem", "not installed", advice)
    if not requirement.specifier.contains(version, prereleases=True):
        found = f"{version}, needed: {requirement.specifier}"
        return Check("packages", requirement.name, "problem", found, advice)
    return Check("packages", requirement.name, "ok", version)


def _check_extras(
    requirements: list[tuple[Requirement, str]], installed: Callable[[str], str]
) -> list[Check]:
    extras = sorted({extra for _, extra in requirements} - {"", *NOT_FOR_USERS})
    checks = []
    for name in extras:
        parts = [
            _check_package(requirement, installed) for requirement, extra in requirements if extra == name
        ]
        missing = [part.name for part in parts if part.state == "problem"]
        if not missing:
            found = ", ".join(f"{part.name} {part.found}" for part in parts)
            checks.append(Check("extras", name, "ok", found))
        else:
            advice = f'If you need it: pip install "auralflow[{name}]"'
            found = f"not there: {', '.join(missing)}"
            checks.append(Check("extras", name, "note", found, advice))
    return checks
