"""The base of all settings: strict validation, one-line errors, reading from JSON."""

import difflib
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails

from auralflow.errors import NotFoundError, SettingsError

__all__ = [
    "DEVICE_PATTERN",
    "Settings",
    "complaint",
    "option_name",
    "parse_settings",
    "read_settings",
    "settings_error",
    "split_words",
    "suggestion",
]

DEVICE_PATTERN = r"^(auto|cpu|mps|cuda(:\d+)?)$"


class Settings(BaseModel):
    """Base of all settings: frozen, strict about unknown keys, ``-`` accepted for ``_`` in choices."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    # Hidden from type checkers, which take the arguments from the fields.
    if not TYPE_CHECKING:

        def __init__(self, /, **values: Any) -> None:
            try:
                super().__init__(**values)
            except ValidationError as error:
                raise settings_error(error, list(type(self).model_fields)) from None

        # As in pydantic's own RootModel: `model_validate` and nested settings do not call `__init__`, and
        # collect errors as always.
        __init__.__pydantic_base_init__ = True

    @classmethod
    def __pydantic_init_subclass__(cls, **options: Any) -> None:
        """Describe the settings in the docstring, which `help` shows; the command line has the same texts."""
        super().__pydantic_init_subclass__(**options)
        described = [f"    {name}: {field.description}" for name, field in cls.model_fields.items()]
        about = inspect.cleandoc((cls.__doc__ or "").partition("\n\nAttributes:")[0])
        cls.__doc__ = "\n".join([about, "", "Attributes:", *described])

    @field_validator("*", mode="before")
    @classmethod
    def _accept_spellings(cls, value: Any, info: ValidationInfo) -> Any:
        """Accept ``si-sdr`` for ``si_sdr`` and, from the command line, ``"1"`` for 1."""
        if isinstance(value, str) and info.field_name:
            choices = get_args(cls.model_fields[info.field_name].annotation)
            spellings = {str(choice).replace("_", "-"): choice for choice in choices}
            return spellings.get(value.replace("_", "-"), value)
        return value


AnySettings = TypeVar("AnySettings", bound=Settings)


def option_name(field: str) -> str:
    """The command-line option for a field: ``num_fft`` becomes ``--num-fft``."""
    return "--" + field.replace("_", "-")


def suggestion(word: str, known: Sequence[str]) -> str:
    """Return ``" (did you mean …?)"`` if a word is close to a known one, otherwise an empty string."""
    close = difflib.get_close_matches(word, known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def split_words(value: Any) -> Any:
    """Split ``"vocals,bass"``, or several such strings, into a tuple of words; return all else unchanged.

    Example:
        >>> split_words(["vocals, bass", "drums"])
        ('vocals', 'bass', 'drums')
    """
    words = [value] if isinstance(value, str) else value
    if not isinstance(words, list | tuple) or not all(isinstance(word, str) for word in words):
        return value
    return tuple(dict.fromkeys(part.strip() for word in words for part in word.split(",")))


def settings_error(
    error: ValidationError, fields: list[str], *, source: str = "", name: Callable[[str], str] = str
) -> SettingsError:
    """Condense pydantic's multi-line error into one line that names the setting as the user wrote it.

    Args:
        error: The exception that pydantic raised.
        fields: Names of the known settings, for suggestions.
        source: The file the settings come from, if any.
        name: Formats a field as the user writes it: `option_name` on the command line.
    """
    first = error.errors()[0]
    prefix = f"{source}: " if source else ""
    field = str(first["loc"][0]) if first["loc"] else ""
    if first["type"] == "extra_forbidden":
        close = difflib.get_close_matches(field, fields, n=1)
        advice = f"Did you mean {name(close[0])!r}?" if close else f"Known: {', '.join(map(name, fields))}."
        return SettingsError(f"{prefix}unknown setting {name(field)!r}", advice=advice)
    if not field:
        # A validator over several settings already names them.
        return SettingsError(prefix + first["msg"].removeprefix("Value error, "))
    if first["type"] == "missing":
        return SettingsError(f"{prefix}{name(field)} is missing")
    value = str(first["input"])[:200] or "''"
    return SettingsError(f"{prefix}{name(field)} is {value}: {complaint(first)}")


_COMPLAINTS = {
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a smaller number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be text",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "dict_type": "must be an object with keys",
    "model_type": "must be an object with keys",
    "path_type": "must be a path",
    "string_pattern_mismatch": "must be auto, cpu, cuda, cuda:N or mps",
    "string_too_short": "must not be empty",
    "too_short": "must have at least {min_length}",
    "too_long": "must have at most {max_length}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
}
"""Our words for pydantic's types of errors, where its own are too technical."""


def complaint(detail: ErrorDetails) -> str:
    """What is wrong with a value, in words for a user: "must be a whole number".

    Args:
        detail: One of the errors in pydantic's ``ValidationError``.
    """
    if detail["type"] in _COMPLAINTS:
        return _COMPLAINTS[detail["type"]].format(**detail.get("ctx", {}))
    return detail["msg"].removeprefix("Value error, ").replace("Input should be", "must be")


def parse_settings(kind: type[AnySettings], values: Mapping[str, Any], *, source: str = "") -> AnySettings:
    """Validate values against a settings class.

    Args:
        kind: The settings class.
        values: Setting names and values.
        source: The file the values come from, for error messages.

    Returns:
        The validated settings.

    Raises:
        SettingsError: If a setting is unknown or out of range; the message is one line.

    Example:
        >>> from auralflow.config import SynthConfig
        >>> parse_settings(SynthConfig, {"tracks": 3}).tracks
        3
    """
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        raise settings_error(error, list(kind.model_fields), source=source) from None


def read_settings(path: Path) -> dict[str, Any]:
    """Read the JSON object in a settings file.

    Args:
        path: The file.

    Returns:
        Setting names and values, not validated.

    Raises:
        NotFoundError: If the file does not exist.
        SettingsError: If it cannot be read, or is not a JSON object.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "settings.json")
        ...     _ = file.write_text('{"tracks": 3}')
        ...     read_settings(file)
        {'tracks': 3}
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotFoundError(f"no such file: '{path}'") from None
    except (OSError, ValueError, RecursionError) as error:
        raise SettingsError(f"cannot read '{path}'", found=str(error), expected="a JSON object") from None
    if not isinstance(values, dict):
        raise SettingsError(
            f"cannot use '{path}'", found=f"a JSON {type(values).__name__}", expected="a JSON object"
        )
    return values
