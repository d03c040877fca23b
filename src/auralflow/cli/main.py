"""The program: its commands, and what becomes of errors."""

import sys
from collections.abc import Sequence
from typing import Any

from cyclopts import App, CycloptsError, Parameter
from pydantic import ValidationError

from auralflow import __version__
from auralflow.cli.app_command import app as app_command
from auralflow.cli.config_command import config
from auralflow.cli.console import stderr
from auralflow.cli.data_command import data
from auralflow.cli.download_command import download
from auralflow.cli.evaluate_command import evaluate
from auralflow.cli.export_command import export
from auralflow.cli.models_command import models
from auralflow.cli.plot_command import plot
from auralflow.cli.separate_command import separate
from auralflow.cli.synth_command import synth
from auralflow.cli.train_command import INTERRUPTED, train
from auralflow.config import RecurrentModelConfig, TrainConfig, option_name, settings_error
from auralflow.errors import AuralflowError, UsageError

__all__ = ["app", "main"]

app = App(
    name="auralflow",
    help="Music source separation by deep mask estimation.",
    version=__version__,
    version_flags=["--version"],
    help_flags=["--help", "-h"],
    # No --empty-… forms for options that take several values.
    default_parameter=Parameter(negative_iterable=()),
)
for command in (config, train, separate, evaluate, plot, synth, data, export, models, download):
    app.command(command)
app.command(app_command, name="app")


def main(tokens: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        tokens: Arguments. Default: those of the process.

    Returns:
        Exit code: 0 when all was done, 1 when something failed, 2 when the request was wrong, 130 when the
        user stopped it.
    """
    try:
        result = app(
            sys.argv[1:] if tokens is None else tokens,
            exit_on_error=False,
            print_error=False,
            result_action="return_value",
        )
    except AuralflowError as error:
        return _fail(error)
    except (CycloptsError, ValidationError) as error:
        return _fail(_usage_error(error))
    except KeyboardInterrupt:
        stderr.print("stopped")
        return INTERRUPTED
    return int(result or 0)


def _usage_error(error: CycloptsError | ValidationError) -> UsageError:
    detail: Any = error if isinstance(error, ValidationError) else error.__cause__
    if isinstance(detail, ValidationError):
        known = [name for kind in (RecurrentModelConfig, TrainConfig) for name in kind.model_fields]
        return settings_error(detail, known, name=option_name)
    text = " ".join(str(error).split())
    return UsageError(text, advice="See auralflow --help.")


def _fail(error: AuralflowError) -> int:
    stderr.print(f"error: {error}", markup=False)
    return error.exit_code
