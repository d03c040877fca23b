"""The program: its commands and its error handling."""

import logging
import platform
import re
import shlex
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Group, Parameter, UnknownCommandError, UnknownOptionError
from pydantic import ValidationError

from auralflow import __version__
from auralflow.cli.app_command import app as app_command
from auralflow.cli.completion_command import completion
from auralflow.cli.console import cannot_print, error_line, help_console, note, set_messages, stderr
from auralflow.cli.data_command import data
from auralflow.cli.doctor_command import doctor
from auralflow.cli.download_command import download
from auralflow.cli.ensemble_command import ensemble
from auralflow.cli.evaluate_command import evaluate
from auralflow.cli.export_command import export
from auralflow.cli.help import DATA, MODELS, OPTIONS, PROGRAM, SONGS, add_command
from auralflow.cli.hints import hint
from auralflow.cli.import_command import import_files
from auralflow.cli.models_command import models
from auralflow.cli.parameters import switch
from auralflow.cli.plot_command import plot
from auralflow.cli.separate_command import separate
from auralflow.cli.synth_command import synth
from auralflow.cli.train_command import train
from auralflow.config import Settings, TrainConfig, option_name, settings_error
from auralflow.errors import AuralflowError, ExitCode, UnexpectedError, UsageError

__all__ = ["app", "main"]

logger = logging.getLogger(__name__)
MESSAGES = Group("Messages", sort_key=100)
FORMER_NAMES = {"--engine": "--executor"}
LOG_FILE = Parameter(
    name="--log-file",
    help="Append everything that is printed or logged to this file, with timestamps.",
    group=MESSAGES,
)
VERBOSE = Parameter(name=("--verbose", "-v"))
QUIET = Parameter(name=("--quiet", "-q"))

app = App(
    name="auralflow",
    help="Music source separation by deep mask estimation.",
    help_format="plaintext",
    console=help_console,
    help_epilogue="For help on a command: auralflow COMMAND --help",
    version=__version__,
    version_flags=["--version"],
    help_flags=["--help", "-h"],
    group_parameters=OPTIONS,
    # No --empty-… forms for options that take several values.
    default_parameter=Parameter(negative_iterable=()),
)
# `main` handles Ctrl-C itself.
app.suppress_keyboard_interrupt = app.meta.suppress_keyboard_interrupt = False
app["--help"].group = app["--version"].group = (MESSAGES,)
add_command(app, separate, group=SONGS)
add_command(app, app_command, name="app", group=SONGS)
add_command(app, plot, group=SONGS)
add_command(app, models, group=MODELS)
add_command(app, download, group=MODELS)
add_command(app, import_files, name="import", group=MODELS)
app.command(
    "auralflow.cli.config_command:config",
    name="config",
    help="Configure a new model: write model.json to its folder.",
    sort_key=len(list(app)),
    group=MODELS,
)
add_command(app, train, group=MODELS)
add_command(app, evaluate, group=MODELS)
add_command(app, ensemble, group=MODELS)
add_command(app, export, group=MODELS)
add_command(app, synth, group=DATA)
app.command(data)
add_command(app, doctor, group=PROGRAM)
add_command(app, completion, group=PROGRAM)


@app.meta.default
def _run(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    verbose: Annotated[
        bool,
        VERBOSE,
        switch("Print what is used and done, and tracebacks of errors.", group=MESSAGES),
    ] = False,
    quiet: Annotated[
        bool,
        QUIET,
        switch(
            "Print only errors and requested results, such as tables; no notes, progress or finished songs.",
            group=MESSAGES,
        ),
    ] = False,
    log_file: Annotated[Path | None, LOG_FILE] = None,
) -> Any:
    """Apply the options common to all commands, then run the command."""
    if verbose and quiet:
        raise UsageError("--verbose and --quiet exclude each other")
    set_messages(verbose=verbose, quiet=quiet, log_file=log_file)
    logger.info("auralflow %s, Python %s, %s", __version__, platform.python_version(), platform.platform())
    try:
        return _call(app, _with_names_of_today(tokens))
    except Exception:
        if verbose:
            stderr.print(traceback.format_exc().rstrip(), style="dim")
        raise


def _with_names_of_today(tokens: Sequence[str]) -> list[str]:
    """Replace former names of options by their current ones."""
    result: list[str] = []
    for index, word in enumerate(tokens):
        if word == "--":
            return [*result, *tokens[index:]]
        name, equals, value = word.partition("=")
        if name in FORMER_NAMES:
            note(f"{name} is now called {FORMER_NAMES[name]}")
        result.append(FORMER_NAMES.get(name, name) + equals + value)
    return result


def main(tokens: Sequence[str] | None = None, *, interrupted: Callable[[], bool] = lambda: False) -> int:
    """Run the command line.

    Args:
        tokens: The arguments. Default: those of the process.
        interrupted: Returns whether the user has pressed Ctrl-C, whichever exception that led to.

    Returns:
        The exit code, see `auralflow.errors.ExitCode`.
    """
    set_messages()
    try:
        typed = tuple(sys.argv[1:] if tokens is None else tokens)
        code = int(_call(app.meta, _with_commands(typed)) or ExitCode.DONE)
    except KeyboardInterrupt:
        stderr.print("stopped")
        code = ExitCode.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - users want one line; --verbose prints the traceback
        if interrupted():
            stderr.print("stopped")
            return ExitCode.INTERRUPTED
        code = _fail(_one_line(error))
    return code or (ExitCode.FAILED if cannot_print() else ExitCode.DONE)


def _with_commands(tokens: tuple[str, ...]) -> tuple[str, ...]:
    """Register the nets that ``config --family`` asks for before the arguments are parsed."""
    if next((token for token in tokens if not token.startswith("-")), "") != "config":
        return tokens
    from auralflow.cli.config_command import with_family

    return with_family(tokens)


def _one_line(error: Exception) -> AuralflowError:
    if isinstance(error, AuralflowError):
        return error
    if isinstance(error, CycloptsError | ValidationError):
        return _usage_error(error)
    if isinstance(error, OSError) and error.filename is not None:
        return AuralflowError(f"cannot use '{error.filename}'", found=f"'{error.strerror}'")
    return UnexpectedError.of("the command failed", error)


def _call(program: App, tokens: Sequence[str]) -> Any:
    return program(tokens, exit_on_error=False, print_error=False, result_action="return_value")


def _usage_error(error: CycloptsError | ValidationError) -> UsageError:
    detail: Any = error if isinstance(error, ValidationError) else error.__cause__
    if isinstance(detail, ValidationError):
        # There are many families; load them only for `config` and for suggestions.
        from auralflow.nets.families import all_nets

        kinds: list[type[Settings]] = [*(net.settings for _, net in all_nets()), TrainConfig]
        known = [name for kind in kinds for name in kind.model_fields]
        return settings_error(detail, known, name=option_name)
    # If a command is suggested, the list of all the others only distracts.
    text = re.sub(r"(Did you mean .*?\?) Available commands: .*", r"\1", " ".join(str(error).split()))
    text = re.sub(r"Unused Tokens: \[(.*)\]\.", r"Unexpected argument: \1.", text)
    text = re.sub(
        r'Invalid value for (\S+): unable to convert "(.*)" into bool',
        r"\1 is \2: must be true or false",
        text,
    )
    chain = getattr(error, "command_chain", None) or ()
    advice = ""
    if isinstance(error, UnknownOptionError) and chain and error.token is not None:
        option = error.token.keyword or error.token.value
        if Path(option).exists():
            file = shlex.quote(f"./{option}")
            return UsageError(f"'{option}' reads as an option", advice=f"For the file, write {file}")
        advice = hint(chain[-1], option)
        # An option that merely looks similar is not what was meant.
        text = text.partition(" Did you mean")[0] if advice else text
    word = error.unused_tokens[0] if isinstance(error, UnknownCommandError) and error.unused_tokens else ""
    if word and Path(word).exists():
        advice = f"To separate it: auralflow separate {shlex.quote(word)}"
        return UsageError(f"'{word}' is not a command", advice=advice)
    if word and chain and chain[-1] == "config":
        advice = f"For a net from another package: auralflow config {shlex.quote(word)} --family FAMILY"
        # If a net is suggested, it is more likely misspelt.
        advice = "" if "Did you mean" in text else advice
    return UsageError(text, advice=advice or f"See {' '.join(['auralflow', *chain])} --help.")


def _fail(error: AuralflowError) -> int:
    error_line(str(error))
    return error.exit_code
