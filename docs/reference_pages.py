"""Generates the pages about commands and settings from the program itself.

Run ``make readme``, or ``python docs/reference_pages.py --check`` to only compare.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from cyclopts import App
from pydantic.fields import FieldInfo

from auralflow import config
from auralflow.cli import app
from auralflow.config import ModelConfig, Settings
from auralflow.errors import ExitCode
from auralflow.nets.families import all_nets

FOLDER = Path(__file__).parent / "reference"
MADE = "<!-- Written by docs/reference_pages.py: run make readme. -->\n"
BASES = ("Settings",)

CLI_HEAD = """# Command line

`auralflow COMMAND --help` shows the same in the terminal.

- Options and their choices can be written with `-` or `_`: `--criterion si-sdr` is `--criterion si_sdr`.
- Results go to standard output; progress, notes and errors to standard error. Progress bars and colours
  appear only on terminals; `NO_COLOR` disables colours.
- Every command accepts `--verbose` (details of what it does, and tracebacks) and `--quiet` (only results and
  errors), before or after its name.

| exit code | when |
|---|---|
""" + "".join(f"| {code.value} | {code.meaning} |\n" for code in ExitCode)
SETTINGS_HEAD = """# Settings

Every setting with its type, default and bounds, as used in JSON files (`model.json`, `trainer.json`) and as
keyword arguments in Python. On the command line, the setting `like_this` is the option `--like-this`.
Settings are validated on creation: an unknown name or a value out of bounds raises a one-line error.
"""


def commands(program: App, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], App]]:
    """All commands that can be run, with their names."""
    for name in program:
        if not name.startswith("-"):
            command = program[name]
            if command.default_command:
                yield (*words, name), command
            yield from commands(command, (*words, name))


def arguments_table(command: App) -> str:
    """Tables of a command's arguments and options, one per help group."""
    groups: dict[str, list[str]] = {}
    for argument in command.assemble_argument_collection(parse_docstring=True):
        if not argument.show:
            continue
        parameter = argument.parameter
        group = parameter.group[0]
        names = [name for name in argument.names if name.startswith("-")]
        name = f"`{names[0]}`" if names else f"`{argument.name.upper()}`"
        default = (
            ""
            if argument.field_info.default is argument.field_info.empty
            else shown(argument.field_info.default)
        )
        row = f"| {name} | {default} | {with_choices(parameter.help or '', argument.hint)} |"
        groups.setdefault(getattr(group, "name", str(group)), []).append(row)
    order = sorted(groups, key=lambda name: (name != "Arguments", name != "Options"))
    head = "| option | default | meaning |\n|---|---|---|\n"
    return "\n\n".join(f"**{name}**\n\n{head}" + "\n".join(groups[name]) for name in order)


def with_choices(text: str, hint: Any) -> str:
    """A help text, followed by the choices."""
    choices = [str(choice) for choice in get_args(hint) if isinstance(choice, str | int)]
    return " ".join(
        [text, f"One of {', '.join(f'`{choice}`' for choice in choices)}."] if choices else [text]
    )


def shown(value: Any) -> str:
    """A default as it would be typed."""
    if value is None or value == ():
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return f"`{' '.join(map(str, value))}`"
    return f"`{value}`"


def cli_page() -> str:
    """The page about commands."""
    parts = [MADE + CLI_HEAD]
    for words, command in commands(app):
        about = [
            f"## auralflow {' '.join(words)}",
            command.help,
            f"```\n{command.usage.removeprefix('Usage: ')}\n```",
        ]
        about.append(arguments_table(command))
        if command.help_epilogue:
            lines = command.help_epilogue.partition("\n\n")[2].splitlines()
            examples = "\n".join(line.removeprefix("  ") for line in lines)
            about.append(f"Examples:\n\n```\n{examples}\n```")
        parts.append("\n\n".join(about) + "\n")
    return "\n".join(parts)


def settings_classes() -> Iterator[tuple[str, type[Settings]]]:
    """All settings classes by name, those of the nets last."""
    shared = [getattr(config, name) for name in config.__all__]
    kinds = [kind for kind in shared if isinstance(kind, type) and issubclass(kind, Settings)]
    for _, net in all_nets():
        # Base classes that several nets share come before them.
        kinds += [kind for kind in reversed(net.settings.__mro__) if issubclass(kind, ModelConfig)]
    for kind in dict.fromkeys(kinds):
        yield kind.__name__, kind


def settings_page() -> str:
    """The page about settings."""
    parts = [MADE + SETTINGS_HEAD]
    for name, kind in settings_classes():
        if name not in BASES:
            bases = [base.__name__ for base in kind.__bases__ if base.__name__ not in BASES]
            also = (
                f"\n\nAlso all settings of {' and '.join(f'[{base}](#{base.lower()})' for base in bases)}."
                if bases
                else ""
            )
            own = [field for field in kind.model_fields if field in kind.__annotations__]
            rows = [row(field, kind.model_fields[field], bounds(kind, field)) for field in own]
            head = "| setting | type | default | bounds | meaning |\n|---|---|---|---|---|\n"
            about = " ".join((kind.__doc__ or "").split("\n\n")[0].split())
            parts.append(f"## {name}\n\n{about}{also}\n\n" + (head + "\n".join(rows) + "\n" if rows else ""))
    return "\n".join(parts)


def bounds(kind: type[Settings], field: str) -> str:
    """The bounds of a value, in words."""
    schema = kind.model_json_schema()["properties"][field]
    parts = [schema, *schema.get("anyOf", [])]
    words = {
        "minimum": "at least {}",
        "exclusiveMinimum": "above {}",
        "maximum": "at most {}",
        "exclusiveMaximum": "below {}",
        "multipleOf": "a multiple of {}",
        "minItems": "{} or more",
    }
    return ", ".join(text.format(part[key]) for part in parts for key, text in words.items() if key in part)


def row(name: str, field: FieldInfo, limits: str) -> str:
    """One setting as a row of a table."""
    default = "required" if field.is_required() else shown(field.default)
    return (
        f"| `{name}` | {type_name(field.annotation)} | {default} | {limits} "
        f"| {with_choices(field.description or '', field.annotation)} |"
    )


def type_name(annotation: Any) -> str:
    """A short name for a type."""
    text = str(annotation)
    if isinstance(annotation, type):
        return annotation.__name__
    if "Literal" in text:
        return "choice"
    if text.startswith("tuple"):
        if "Path" in text:
            return "list of paths"
        return "list of numbers" if "int" in text or "float" in text else "list of names"
    names = [part.__name__ if isinstance(part, type) else "list of names" for part in get_args(annotation)]
    return " or ".join("null" if name == "NoneType" else name for name in names)


PAGES = {"cli.md": cli_page, "settings.md": settings_page}


def main() -> int:
    """Write the pages, or with ``--check`` only report whether they are up to date."""
    code = 0
    for name, make in PAGES.items():
        path, text = FOLDER / name, make()
        if "--check" in sys.argv[1:]:
            code |= int(not path.is_file() or path.read_text(encoding="utf-8") != text)
        else:
            path.write_text(text, encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main())
