"""``auralflow doctor``."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Annotated

from auralflow.cli.console import file_progress, print_json, result_line, results
from auralflow.cli.parameters import Flatten, switch
from auralflow.cli.plain import one_line
from auralflow.config import DoctorConfig
from auralflow.errors import ExitCode

if TYPE_CHECKING:
    from auralflow.diagnosis import Check, Diagnosis

__all__ = ["doctor"]

STYLES = {"ok": "green", "note": "yellow", "problem": "red"}


def doctor(
    *,
    json: Annotated[bool, switch("Print the result as JSON.")] = False,
    options: Annotated[DoctorConfig, Flatten] = DoctorConfig(),  # noqa: B008 - frozen
) -> int:
    """Check whether everything works on this machine, and suggest a fix for whatever does not.

    Checks versions, cores and threads, disks, every codec, every device and the speed. The exit code is 1 if
    something is broken, otherwise 0.

    Examples
    --------
    auralflow doctor
    auralflow doctor --save /big/disk/stems --device cuda
    auralflow doctor --json > report.json        # to attach to a bug report
    """
    from auralflow.diagnosis import diagnose

    with file_progress() as progress:
        task = progress.add_task("", total=1.0)
        diagnosis = diagnose(
            options, on_step=lambda name, share: progress.update(task, description=name, completed=share)
        )
    if json:
        print_json(diagnosis.to_json())
    else:
        _show(diagnosis)
    return ExitCode.DONE if diagnosis.is_healthy else ExitCode.FAILED


def _joined(checks: "Sequence[Check]") -> "Iterator[Check]":
    """Merge the checks of all working packages into one line, and those of working codecs into another."""
    from dataclasses import replace

    for group, members in groupby(checks, lambda check: check.group):
        names = list(members)
        title = {"packages": "packages", "codecs": "formats"}.get(group)
        well = [check for check in names if check.state == "ok"]
        if title and well:
            words = (check.name if group == "codecs" else f"{check.name} {check.found}" for check in well)
            yield replace(well[0], name=title, found=", ".join(words))
            names = [check for check in names if check.state != "ok"]
        yield from names


def _show(diagnosis: "Diagnosis") -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("", "check", "state"):
        table.add_column(heading, no_wrap=True)
    table.add_column("found", overflow="fold")
    group = ""
    for check in _joined(diagnosis.checks):
        table.add_row(
            check.group if check.group != group else "",
            one_line(check.name),
            Text(check.state, style=STYLES[check.state]),
            one_line(check.found),
        )
        group = check.group
    results.print(table)
    for check in diagnosis.checks:
        if check.advice:
            results.print(f"{check.name}: ", end="", style=STYLES[check.state])
            result_line(check.advice, copyable=True)
    problems = sum(check.state == "problem" for check in diagnosis.checks)
    results.print(f"{problems} problem{'s' * (problems > 1)}" if problems else "everything works")
