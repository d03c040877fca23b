"""Settings of an ensemble: the settings and weights of its members."""

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
        description="Relative weight of the model for each target; 0 for targets that are not listed."
    )
    model: SerializeAsAny[ModelConfig] = Field(description="Settings of the model.")
    link: LinkedWeights | None = Field(
        default=None, description="Location of its weights file. Default: stored with the ensemble."
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
                raise ValueError(f"the weight for {target} is {weight:g}, but weights must not be negative")
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
        """Its weight for a target."""
        return self.weights.get(target, 0.0)


class EnsembleConfig(ModelConfig):
    """Settings of an ensemble. Sample rate, channels, chunk and overlap are the maximum over its members."""

    family: Literal["bag"] = Field(default="bag", description="Family of nets.")
    net: Literal["Ensemble"] = Field(default="Ensemble", description="Architecture.")
    method: Method = Field(default="mean", description="How to combine the members' estimates.")
    members: tuple[MemberConfig, ...] = Field(
        min_length=1, max_length=MAX_MEMBERS, description="The members."
    )

    @model_validator(mode="before")
    @classmethod
    def _follow_members(cls, values: Any) -> Any:
        """Derive the settings common to all models from the members."""
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
        """All settings except those derived from the members."""
        kept = ("format_version", "family", "net", "targets", "method", "members")
        return {name: values[name] for name in kept if name in values}

    def linked_weights(self) -> dict[str, LinkedWeights]:
        """Links of members whose weights are stored elsewhere, by their name within the ensemble."""
        return {f"models.{index}": member.link for index, member in enumerate(self.members) if member.link}

    def restricted(self, targets: tuple[str, ...]) -> tuple[Self, list[int]]:
        """Settings for some of the targets, and the indices of the members they need."""
        places = [index for index, member in enumerate(self.members) if any(map(member.weight, targets))]
        members = [
            self.members[place].model_copy(
                update={"weights": {t: w for t, w in self.members[place].weights.items() if t in targets}}
            )
            for place in places
        ]
        values = {"targets": targets, "method": self.method, "members": members}
        return type(self).model_validate(values), places
