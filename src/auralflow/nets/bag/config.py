"""Settings of an ensemble: those of its members, and what each counts for each target."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, SerializeAsAny, field_validator, model_validator

from auralflow.config import LinkedWeights, Method, ModelConfig, Settings, parse_settings
from auralflow.nets.families import parse_model_config

__all__ = ["MAX_MEMBERS", "EnsembleConfig", "MemberConfig"]

MAX_MEMBERS = 16


class MemberConfig(Settings):
    """A member of an ensemble."""

    weights: dict[str, float] = Field(
        description="What it counts for each target, relative to the others; without a weight, nothing."
    )
    model: SerializeAsAny[ModelConfig] = Field(description="Its settings.")
    link: LinkedWeights | None = Field(
        default=None, description="Where its weights are. Default: among those of the ensemble."
    )

    @field_validator("model", mode="before")
    @classmethod
    def _parse(cls, value: Any) -> Any:
        return parse_model_config(value) if isinstance(value, Mapping) else value

    @field_validator("weights")
    @classmethod
    def _check_weights(cls, weights: dict[str, float]) -> dict[str, float]:
        for target, weight in weights.items():
            if weight < 0:
                raise ValueError(f"has {weight:g} for {target}: a weight must not be negative")
        return weights

    @model_validator(mode="after")
    def _check_targets(self) -> Self:
        for target in self.weights:
            if target not in self.model.targets:
                raise ValueError(
                    f"a member has a weight for {target}, which it does not estimate: "
                    f"its targets are {', '.join(self.model.targets)}"
                )
        return self

    def weight(self, target: str) -> float:
        """What it counts for a target."""
        return self.weights.get(target, 0.0)


class EnsembleConfig(ModelConfig):
    """Settings of an ensemble. Sample rate, channels, chunk and overlap are the largest of its members."""

    family: Literal["bag"] = Field(default="bag", description="Family of nets.")
    net: Literal["Ensemble"] = Field(default="Ensemble", description="Architecture.")
    method: Method = Field(default="mean", description="How the members' estimates become one.")
    members: tuple[MemberConfig, ...] = Field(
        min_length=1, max_length=MAX_MEMBERS, description="The members."
    )

    @model_validator(mode="before")
    @classmethod
    def _follow_members(cls, values: Any) -> Any:
        """Take from the members what all models state."""
        if not isinstance(values, Mapping) or not isinstance(values.get("members"), list | tuple):
            return values
        members = [
            member
            if isinstance(member, MemberConfig)
            else parse_settings(MemberConfig, member, source=f"member {number}")
            for number, member in enumerate(values["members"], start=1)
        ]
        common = {
            name: max(getattr(member.model, name) for member in members)
            for name in ("num_channels", "sample_rate", "sample_length", "overlap")
            if members
        }
        return {**values, **common, "members": members}

    @model_validator(mode="after")
    def _check_weights(self) -> Self:
        for target in self.targets:
            if not any(member.weight(target) for member in self.members):
                raise ValueError(f"no member has a weight above 0 for {target}")
        return self

    def written(self, values: dict[str, Any]) -> dict[str, Any]:
        """All but what follows from the members."""
        kept = ("format_version", "family", "net", "targets", "method", "members")
        return {name: values[name] for name in kept if name in values}

    def linked_weights(self) -> dict[str, LinkedWeights]:
        """Members whose weights lie elsewhere, by the part of the ensemble that they are."""
        return {f"models.{index}": member.link for index, member in enumerate(self.members) if member.link}

    def restricted(self, targets: tuple[str, ...]) -> tuple[Self, list[int]]:
        """Settings for some of the targets, and the places of the members that they need."""
        places = [index for index, member in enumerate(self.members) if any(map(member.weight, targets))]
        members = [
            self.members[place].model_copy(
                update={"weights": {t: w for t, w in self.members[place].weights.items() if t in targets}}
            )
            for place in places
        ]
        values = {"targets": targets, "method": self.method, "members": members}
        return type(self).model_validate(values), places
