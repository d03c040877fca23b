"""The weights of an ensemble's models as given on the command line. Does not import torch."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from auralflow.errors import UsageError

__all__ = ["WeightRows", "WeightTable", "parse_weights"]

WeightTable = Mapping[str, Sequence[float]]
"""Weights of the members by target, in the order of the members; ``""`` stands for all other targets."""


def parse_weights(words: Sequence[str]) -> dict[str, list[float]]:
    """Parse weights: ``2,1,1`` for all targets, ``vocals=2,1,1`` for one.

    Args:
        words: The weights as given on the command line.

    Returns:
        The weights by target; ``""`` stands for all other targets.

    Raises:
        UsageError: If a weight is not a number, or a target is given twice.

    Example:
        >>> parse_weights(["1,1", "vocals=3,1"])
        {'': [1.0, 1.0], 'vocals': [3.0, 1.0]}
    """
    table: dict[str, list[float]] = {}
    for word in words:
        target, equals, numbers = word.rpartition("=")
        target = target.strip()
        try:
            weights = [float(number) for number in numbers.split(",")]
        except ValueError:
            weights = []
        if not weights or (equals and not target):
            raise UsageError(
                f"--weights is {word!r}", expected="a number for each model, as in 2,1,1 or vocals=2,1,1"
            )
        if target in table:
            raise UsageError(f"--weights was given twice for {target or 'all targets'}")
        table[target] = weights
    return table


@dataclass(frozen=True)
class WeightRows:
    """Validated weights of each model for each target.

    Args:
        models: Name and targets of each model.
        chosen: Targets of the ensemble.
        table: The requested weights.

    Raises:
        UsageError: If the weights do not suit the models.
    """

    models: Sequence[tuple[str, Sequence[str]]]
    chosen: Sequence[str]
    table: WeightTable

    def __post_init__(self) -> None:
        names = ", ".join(name for name, _ in self.models)
        for target, row in self.table.items():
            place = f" for {target}" if target else ""
            if target and target not in self.chosen:
                raise UsageError(f"weights for an unknown target {target!r}", expected=", ".join(self.chosen))
            if len(row) != len(self.models):
                raise UsageError(
                    f"the weights{place} do not match the models",
                    found=f"{len(row)} weights",
                    expected=f"{len(self.models)}: {names}",
                )
            for (name, targets), weight in zip(self.models, row, strict=True):
                if not 0 <= weight < math.inf:
                    raise UsageError(
                        f"the weights{place} are invalid", found=f"{weight:g}", expected="0 or more"
                    )
                if target and weight and target not in targets:
                    raise UsageError(
                        f"{name} does not estimate {target}", found=f"the weight {weight:g}", expected="0"
                    )

    def of(self, target: str) -> list[float]:
        """Weights of the models for a target; 0 for those that do not estimate it.

        Raises:
            UsageError: If all weights are 0.
        """
        row = self.table.get(target) or self.table.get("") or [1.0] * len(self.models)
        own = [
            float(weight) if target in targets else 0.0
            for (name, targets), weight in zip(self.models, row, strict=True)
        ]
        if not sum(own):
            raise UsageError(
                f"no model contributes to {target}",
                found="a weight of 0 for every model that estimates it",
                expected="at least one above 0",
                advice="Exclude it with --targets, or give it a weight.",
            )
        return own
