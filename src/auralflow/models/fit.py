"""Checks that weights match settings, and if not, finds the setting that is probably wrong."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError
from torch import Tensor

from auralflow.config import ModelConfig
from auralflow.errors import AuralflowError, ModelError
from auralflow.nets.families import create_model
from auralflow.nets.shapes import shapes_only

__all__ = ["check_fit", "probable_cause"]

NOT_TRIED = ("format_version", "family", "net", "targets", "sample_rate", "sample_length", "overlap")
"""Settings that do not affect the shapes of weights."""
FAULTS = (
    AuralflowError,
    ValidationError,
    ArithmeticError,
    AssertionError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""Exceptions that creating a model with arbitrary settings may raise."""

Shapes = Mapping[str, tuple[int, ...]]


class Cause(NamedTuple):
    """A setting that, if changed, makes more weights match.

    Attributes:
        setting: Its name.
        value: Its current value.
        better: A better value.
        left: Number of tensors that still differ.
    """

    setting: str
    value: Any
    better: Any
    left: int


def check_fit(config: ModelConfig, weights: Mapping[str, Tensor], *, source: str) -> None:
    """Check that weights match the settings of a model, and are finite.

    Args:
        config: Settings of the model.
        weights: Weights by their names in the model's state dict.
        source: Where the settings come from, for messages.

    Raises:
        ModelError: If they do not; names the first tensor that differs, and the setting that is probably
            wrong.
    """
    found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    expected = _shapes(config)
    differing = _differing(found, expected)
    if differing:
        name = differing[0]
        raise ModelError(
            f"the weights do not match the settings of {source}",
            found=f"{name} {_in_words(found.get(name))}",
            expected=_in_words(expected.get(name)),
            advice=_advice(config, found, len(differing)),
        )
    broken = next((name for name, tensor in weights.items() if not tensor.isfinite().all()), None)
    if broken:
        raise ModelError(
            "these weights are unusable", found=f"NaN or infinity in {broken}", expected="finite weights"
        )


def probable_cause(config: ModelConfig, found: Shapes) -> Cause | None:
    """Find the setting that, if changed, makes the most weights match.

    Varies every integer and boolean setting, and creates a model on the meta device for each variation.

    Args:
        config: The settings that do not match.
        found: Shapes of the weights by name.

    Returns:
        The setting, None if no change improves the match.
    """
    expected = _shapes(config)
    before = len(_differing(found, expected))
    best: Cause | None = None
    for name, value in config:
        if name in NOT_TRIED:
            continue
        for candidate in dict.fromkeys(_candidates(value, found, expected)):
            try:
                changed = type(config).model_validate(config.model_dump() | {name: candidate})
                left = len(_differing(found, _shapes(changed)))
            except FAULTS:
                continue
            if left < (best.left if best else before):
                best = Cause(name, value, candidate, left)
        if best and not best.left:
            return best
    return best


def _shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    model = shapes_only(lambda: create_model(config))
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def _differing(found: Shapes, expected: Shapes) -> list[str]:
    """Names of tensors that are missing, superfluous or of a different shape, in the order of the model."""
    names = dict.fromkeys((*expected, *found))
    return [name for name in names if found.get(name) != expected.get(name)]


def _candidates(value: Any, found: Shapes, expected: Shapes) -> Iterator[Any]:
    """Plausible values of a setting, given how the first shapes differ."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        pairs = [
            (ours, theirs)
            for name in _differing(found, expected)[:3]
            if name in found and name in expected
            for ours, theirs in zip(expected[name], found[name], strict=False)
            if ours != theirs
        ]
        for ours, theirs in pairs:
            if ours and value * theirs % ours == 0:
                yield value * theirs // ours
            yield theirs
            yield value + theirs - ours
        yield from (value + 1, value - 1, 2 * value, value // 2, value + 2, value - 2)


def _in_words(shape: tuple[int, ...] | None) -> str:
    return "missing" if shape is None else f"of shape {list(shape)}"


def _advice(config: ModelConfig, found: Shapes, before: int) -> str:
    cause = probable_cause(config, found)
    if cause is None:
        return f"{before} tensors differ: the settings belong to another model, or the variant is unknown."
    rest = f"all but {cause.left} tensors match" if cause.left else "all weights match"
    return f"Probably {cause.setting} is wrong: it is {cause.value}, but with {cause.better} {rest}."
