"""Extracts plain data from files: numbers, strings and containers of them, without any behaviour."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

__all__ = ["PlainDataError", "decode_fractions", "plain"]

MAX_VALUES = 100_000
MAX_DEPTH = 32


class PlainDataError(ValueError):
    """The data are nested too deeply, or repeat too often, to be copied."""


class _Budget:
    def __init__(self) -> None:
        self.left = MAX_VALUES

    def spend(self, depth: int) -> None:
        self.left -= 1
        if self.left < 0 or depth > MAX_DEPTH:
            raise PlainDataError("settings that are nested too deeply or repeat too often")


_DROPPED = object()


def plain(value: Any) -> Any:
    """Copy data, keeping only numbers, strings, fractions, and lists, tuples and mappings of them.

    Anything else, such as an instance of a class, is dropped from its container.

    Args:
        value: The data. Containers may share parts or contain themselves.

    Returns:
        The copy, None if ``value`` itself is of another type.

    Raises:
        PlainDataError: If the copy would have more than 32 levels or 100,000 values.

    Example:
        >>> plain({"depth": 4, "kernel": (8, object()), 1: None})
        {'depth': 4, 'kernel': (8,), '1': None}
    """
    copied = _plain(value, _Budget(), 0)
    return None if copied is _DROPPED else copied


def _plain(value: Any, budget: _Budget, depth: int) -> Any:
    budget.spend(depth)
    if value is None or isinstance(value, bool | int | float | str | Fraction):
        return value
    if isinstance(value, Mapping):
        copied = {str(key): _plain(item, budget, depth + 1) for key, item in value.items()}
        return {key: item for key, item in copied.items() if item is not _DROPPED}
    if isinstance(value, list | tuple):
        items = [item for one in value if (item := _plain(one, budget, depth + 1)) is not _DROPPED]
        return tuple(items) if isinstance(value, tuple) else items
    return _DROPPED


def decode_fractions(value: Any) -> Any:
    """Replace ``{"_type": "fraction", "numerator": 39, "denominator": 5}`` by a fraction, at any depth.

    Args:
        value: Data loaded from JSON.

    Returns:
        The data with fractions.
    """
    if isinstance(value, list):
        return [decode_fractions(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("_type") == "fraction":
        return fraction(value.get("numerator"), value.get("denominator"))
    return {key: decode_fractions(item) for key, item in value.items()}


def fraction(numerator: Any, denominator: Any = 1) -> Fraction:
    """Create a fraction from small integers, or from a string such as ``39/5``.

    Raises:
        ValueError: If it is invalid. ``Fraction`` itself would accept ``1e999999999`` and compute for hours.
    """
    if isinstance(numerator, str):
        above, _, below = numerator.partition("/")
        numerator, denominator = int(above[:20]), int(below[:20] or "1")
    if not isinstance(numerator, int) or not isinstance(denominator, int) or not denominator:
        raise ValueError(f"{numerator!r} / {denominator!r} is not a fraction")
    return Fraction(numerator, denominator)
