"""Steps of a long run: each is done once, within a time limit, and resumes where it was stopped."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from auralflow.errors import AuralflowError
from auralflow.storage import write_json

INTERRUPTED = 130
GRACE = 600.0
"""Seconds that a command gets to save its state: a training run finishes its validation first."""


class OutOfTimeError(Exception):
    """The time of this run is up; the next one continues."""


class Steps:
    """The steps of one work folder.

    Args:
        work: The folder; finished steps are recorded in its ``done/``.
        minutes: Minutes that this run may take. Default: None, no limit.
    """

    def __init__(self, work: Path, minutes: float | None = None) -> None:
        self.work = work
        self.deadline = None if minutes is None else time.monotonic() + 60 * minutes

    def once(self, name: str, inputs: Any, action: Callable[[], None]) -> None:
        """Do a step, unless it was done with the same inputs.

        Args:
            name: Its name.
            inputs: What it depends on, as JSON values.
            action: The step.
        """
        marker = self.work / "done" / f"{name}.json"
        if marker.is_file() and json.loads(marker.read_text(encoding="utf-8")) == inputs:
            say(f"{name}: already done")
            return
        say(f"{name}: started")
        action()
        write_json(marker, inputs)

    def auralflow(self, *words: object) -> None:
        """Run a command of auralflow until it ends or the time is up.

        Args:
            words: The command and its arguments.

        Raises:
            OutOfTimeError: If the time is up. The command has saved its state.
            AuralflowError: If it fails.
        """
        command = [sys.executable, "-m", "auralflow", *map(str, words)]
        say(" ".join(["auralflow", *map(str, words)]))
        left = None if self.deadline is None else self.deadline - time.monotonic()
        if left is not None and left <= 0:
            raise OutOfTimeError
        process = subprocess.Popen(command, env=os.environ | {"PYTHONUNBUFFERED": "1"})
        try:
            code = process.wait(left)
        except (subprocess.TimeoutExpired, KeyboardInterrupt) as reason:
            process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(GRACE)
            if isinstance(reason, KeyboardInterrupt):
                raise
            raise OutOfTimeError from None
        finally:
            if process.poll() is None:
                process.kill()
        if code == INTERRUPTED:
            raise KeyboardInterrupt
        if code:
            raise AuralflowError(
                f"auralflow {words[0]} failed with exit code {code}", advice="See its messages above."
            )


def say(text: str) -> None:
    """Print a message with the time."""
    print(f"[{time.strftime('%H:%M:%S')}] {text}", flush=True)
