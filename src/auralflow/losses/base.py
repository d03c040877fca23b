"""What all losses share: self-describing settings, and the tensors that they take.

Importing this package does not load torch, so that the command line can take its options from the losses
themselves. Functions use methods of tensors, and import torch themselves where there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, get_args, get_origin, get_type_hints

from pydantic import Field
from pydantic.fields import FieldInfo

from auralflow.errors import SettingsError
from auralflow.losses.partial import join_unknown

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "ENERGY_FLOOR",
    "AudioCriterion",
    "Criterion",
    "MagnitudeCriterion",
    "MixtureCriterion",
    "Reduction",
    "SpectrogramCriterion",
    "check_choice",
    "reduce",
]

Reduction = Literal["mean", "sum"]

ENERGY_FLOOR = 1e-12
"""Added under square roots of energies, whose gradient is unbounded at zero."""


def check_choice(setting: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise if a value is not one of the choices.

    Raises:
        SettingsError: Naming the setting, the value and the choices.
    """
    if value not in choices:
        raise SettingsError(f"unknown {setting}", found=repr(value), expected=f"one of {', '.join(choices)}")


def reduce(values: Tensor, reduction: Reduction) -> Tensor:
    """The mean or the sum of all values."""
    check_choice("reduction", reduction, get_args(Reduction))
    return values.mean() if reduction == "mean" else values.sum()


@dataclass(frozen=True, kw_only=True)
class Criterion:
    """Base of all criteria: a loss function, and its settings as immutable fields of the same names.

    A setting is annotated with a pydantic ``Field``: its description, its bounds, and as ``alias`` the name
    of its option where that is another one.
    """

    name: ClassVar[str]
    """What ``--criterion`` calls it."""
    summary: ClassVar[str]
    """The quantity to minimise, in Markdown; M is the mask, X the mixture's and Y the target's magnitude."""
    function: ClassVar[Callable[..., Tensor]]
    """Called with the tensors and the settings."""
    requires_latent: ClassVar[bool] = False
    """Whether the criterion only makes sense for a variational net, whose KL term the trainer adds."""
    requires_mask: ClassVar[bool] = False
    """Whether a criterion on magnitudes uses the mask itself, not only mask times mixture."""

    reduction: Annotated[Reduction, Field(description="Whether the loss is averaged or summed.")] = "mean"

    def __post_init__(self) -> None:
        for field, (kind, _) in self.settings().items():
            if get_origin(kind) is Literal:
                check_choice(field.replace("_", " "), getattr(self, field), get_args(kind))

    def check_partial(self) -> None:
        """Raise if it cannot score chunks whose targets are not all known.

        Raises:
            SettingsError: Naming the option that prevents it.
        """

    @classmethod
    def settings(cls) -> Mapping[str, tuple[Any, FieldInfo]]:
        """By field, its type, and its default, bounds and description.

        Example:
            >>> kind, info = Criterion.settings()["reduction"]
            >>> get_args(kind), info.default
            (('mean', 'sum'), 'mean')
        """
        # Annotations of methods are not resolved; that of `function` names a class that is not loaded here.
        hints = get_type_hints(cls, localns={"Tensor": Any}, include_extras=True)
        found = {}
        for field in fields(cls):
            kind, info = get_args(hints[field.name])
            found[field.name] = (kind, FieldInfo.merge_field_infos(info, default=field.default))
        return found


class MagnitudeCriterion(Criterion):
    """A criterion on a mask and magnitudes."""

    def __call__(
        self, mask: Tensor, mixture: Tensor, target: Tensor, *, known: Tensor | None = None
    ) -> Tensor:
        """Return the loss of mask ``[B, S, C, F, T]`` on mixture ``[B, C, F, T]`` for target (as mask)."""
        return self.function(join_unknown(mask, known), mixture, target, **vars(self))


class SpectrogramCriterion(Criterion):
    """A criterion on complex spectrograms."""

    def __call__(self, estimate: Tensor, target: Tensor, *, known: Tensor | None = None) -> Tensor:
        """Return the loss of complex estimate against target, both ``[B, S, C, F, T]``."""
        return self.function(join_unknown(estimate, known), target, **vars(self))


class MixtureCriterion(Criterion):
    """A criterion on complex spectrograms that also uses the mixture's."""

    def __call__(
        self, estimate: Tensor, target: Tensor, mixture: Tensor, *, known: Tensor | None = None
    ) -> Tensor:
        """Return the loss of estimate against target ``[B, S, C, F, T]`` in mixture ``[B, C, F, T]``."""
        return self.function(join_unknown(estimate, known), target, mixture, known=known, **vars(self))


class AudioCriterion(Criterion):
    """A criterion on samples."""

    def __call__(self, estimate: Tensor, target: Tensor, *, known: Tensor | None = None) -> Tensor:
        """Return the loss of estimated samples against target, both ``[B, S, C, N]``."""
        return self.function(join_unknown(estimate, known), target, **vars(self))
