"""Settings as keyword arguments: typed for editors and mypy, listed for `help`."""

import inspect
from collections.abc import Callable
from typing import Any, Literal, TypedDict, TypeVar, get_type_hints

from auralflow.config.base import Settings
from auralflow.config.separation import EngineConfig

__all__ = ["EngineKeywords", "show_settings"]

Function = TypeVar("Function", bound=Callable[..., Any])


class EngineKeywords(TypedDict, total=False):
    """The settings of `EngineConfig` as keyword arguments; `Separator` describes them."""

    targets: tuple[str, ...] | list[str] | str | None
    two_stems: str | None
    overlap: float | None
    chunk: float | None
    window: Literal["published", "cross_fade"]
    shifts: int
    wiener: int | None
    phase: Literal["mixture", "griffin_lim"]
    consistent: bool
    batch_size: int | None
    device: str
    backend: Literal["torch", "onnx"]
    precision: Literal["auto", "float32", "bfloat16"]


def show_settings(settings: type[Settings]) -> Callable[[Function], Function]:
    """Show the settings that a function takes as ``**changes``, with types and defaults, in its signature.

    `help`, notebooks and the documentation show the signature. Calls are unaffected.

    Args:
        settings: The class of the settings.

    Returns:
        A decorator for the function.

    Example:
        >>> @show_settings(EngineConfig)
        ... def separate(song, **changes): ...
        >>> inspect.signature(separate).parameters["shifts"]
        <Parameter "shifts: int = 1">
    """
    types = {name: field.annotation for name, field in settings.model_fields.items()}
    if settings is EngineConfig:
        types = get_type_hints(EngineKeywords)

    def show(function: Function) -> Function:
        signature = inspect.signature(function)
        *own, _ = signature.parameters.values()
        parameters = [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=types[name]
            )
            for name, field in settings.model_fields.items()
        ]
        function.__signature__ = signature.replace(parameters=[*own, *parameters])  # type: ignore[attr-defined]
        return function

    return show
