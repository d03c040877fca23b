"""The card of a pretrained model: its net, weights, training data and scores."""

import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, SerializeAsAny, field_validator, model_validator

from auralflow.config import ModelConfig, Settings, parse_settings, read_settings
from auralflow.errors import ModelError, SettingsError
from auralflow.nets.families import all_nets, parse_model_config

__all__ = [
    "CARD_FILE",
    "MODEL_FILE",
    "WEIGHTS_FILE",
    "DataPart",
    "ModelCard",
    "ScoreTable",
    "TargetScore",
    "TrackScore",
    "TrainingRecord",
]

CARD_FILE = "card.json"
MODEL_FILE = "model.json"
WEIGHTS_FILE = "model.safetensors"


class DataPart(Settings):
    """One part of a model's training data."""

    name: str = Field(min_length=1, description="Name or description.")
    licence: str = Field(min_length=1, description="Licence of the material.")
    minutes: float = Field(ge=0, description="Minutes of audio; 0 for MIDI files.")
    credit: str = Field("", description="Whom to credit, as the licence or courtesy requires.")
    source: str = Field("", description="Where it is available.")


class TrainingRecord(Settings):
    """How a model was trained."""

    hours: float = Field(ge=0, description="Duration of the training in hours.")
    chunks: int = Field(ge=0, description="Number of training chunks, including repeats.")
    epochs: int = Field(ge=0, description="Number of epochs.")
    seed: int = Field(ge=0, description="Random seed of weights and chunks.")
    machine: str = Field(min_length=1, description="The hardware it was trained on.")
    auralflow: str = Field(min_length=1, description="Version of auralflow that trained it.")
    start: str = Field("", description="Model whose weights it started from. Empty: random weights.")
    settings: dict[str, Any] = Field(description="Content of trainer.json.")


class TargetScore(Settings):
    """Scores of one target in one track, in dB; None if a stem is silent."""

    si_sdr: float | None = Field(None, description="SI-SDR of the estimate.")
    si_sdr_improvement: float | None = Field(None, description="SI-SDR minus that of the mixture.")
    ceiling: float | None = Field(None, description="SI-SDR improvement of the ideal ratio mask, an oracle.")
    museval_sdr: float | None = Field(None, description="SDR of museval 4, median of 1-s frames.")
    museval_floor: float | None = Field(None, description="SDR of the mixture, likewise.")
    museval_ceiling: float | None = Field(None, description="SDR of the ideal ratio mask, likewise.")


class TrackScore(Settings):
    """Scores of one track."""

    track: str = Field(min_length=1, description="Name of the track.")
    known_artist: bool = Field(description="Whether the training data include other songs by its artist.")
    targets: dict[str, TargetScore] = Field(description="Scores by target.")


class ScoreTable(Settings):
    """Scores on one split of a dataset."""

    dataset: str = Field(min_length=1, description="Description of the dataset.")
    subset: Literal["valid", "test"] = Field(description="Split of the dataset.")
    command: str = Field(min_length=1, description="The command that prints these scores.")
    tracks: tuple[TrackScore, ...] = Field(description="Scores of each track.")

    def mean(
        self,
        target: str,
        *,
        known_artist: bool,
        value: Literal["si_sdr", "si_sdr_improvement", "ceiling"] = "si_sdr_improvement",
    ) -> float | None:
        """Average a score over the tracks that have it.

        Args:
            target: The target.
            known_artist: Whether to use the tracks by artists in the training data, or all others.
            value: Which score. Default: the SI-SDR improvement.

        Returns:
            The mean in dB, None if no track has the score.

        Example:
            >>> scores = [TargetScore(si_sdr_improvement=value) for value in (2.0, 4.0, None)]
            >>> tracks = [{"track": "a", "known_artist": False, "targets": {"bass": s}} for s in scores]
            >>> table = {"dataset": "d", "subset": "test", "command": "c", "tracks": tracks}
            >>> ScoreTable.model_validate(table).mean("bass", known_artist=False)
            3.0
        """
        known = self._known(target, value, known_artist=known_artist)
        return math.fsum(known) / len(known) if known else None

    def median(
        self,
        target: str,
        *,
        known_artist: bool,
        value: Literal["museval_sdr", "museval_floor", "museval_ceiling"] = "museval_sdr",
    ) -> float | None:
        """Median of a score over the tracks that have it, following museval.

        Args:
            target: The target.
            known_artist: Whether to use the tracks by artists in the training data, or all others.
            value: Which score. Default: the SDR of the estimate.

        Returns:
            The median in dB, None if no track has the score.
        """
        known = self._known(target, value, known_artist=known_artist)
        return statistics.median(known) if known else None

    def _known(self, target: str, value: str, *, known_artist: bool) -> list[float]:
        found = [
            getattr(track.targets[target], value)
            for track in self.tracks
            if track.known_artist == known_artist and target in track.targets
        ]
        return [score for score in found if score is not None]


class ModelCard(Settings):
    """Everything known about a pretrained model: the content of its ``card.json``."""

    format_version: Literal[1] = Field(1, description="Version of this file's format.")
    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$", description="Name that commands accept.")
    file: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*\.safetensors$",
        description="File name of the weights on mirrors and in the cache; new weights get a new name.",
    )
    url: str = Field("", pattern=r"^(https://.+)?$", description="URL of the weights.")
    size: int = Field(gt=0, description="Size of the weights in bytes.")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the weights.")
    licence: str = Field(min_length=1, description="Licence of the weights.")
    parameters: int = Field(gt=0, description="Number of trainable parameters.")
    settings: SerializeAsAny[ModelConfig] = Field(description="Content of model.json.")
    data: tuple[DataPart, ...] = Field(description="Training data.")
    training: TrainingRecord = Field(description="How it was trained.")
    scores: tuple[ScoreTable, ...] = Field((), description="All scores.")
    weaknesses: tuple[str, ...] = Field((), description="Known weaknesses.")

    @field_validator("settings", mode="before")
    @classmethod
    def _of_its_net(cls, settings: Any) -> Any:
        if isinstance(settings, Mapping):
            return parse_model_config(settings, source="settings")
        return settings

    @model_validator(mode="after")
    def _carries_the_name_of_its_net(self) -> Self:
        if self.name != self.settings.net and any(self.name == net.name for _, net in all_nets()):
            raise ValueError(f"is the card of {self.name}, but describes a {self.settings.net}")
        return self

    @property
    def net(self) -> str:
        """Name of its net."""
        return self.settings.net

    @property
    def targets(self) -> tuple[str, ...]:
        """Its targets."""
        return self.settings.targets

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read a card.

        Args:
            path: A ``card.json``.

        Returns:
            The card.

        Raises:
            NotFoundError: If the file does not exist.
            ModelError: If it is not a valid card.
        """
        path = Path(path)
        try:
            return parse_settings(cls, read_settings(path), source=str(path))
        except SettingsError as error:
            raise ModelError(f"'{path}' is not a valid model card: {error}") from None

    def restricted(self, targets: Sequence[str], *, size: int, sha256: str) -> Self:
        """Derive the card for a copy of the model with only some of its targets.

        Args:
            targets: The remaining targets, in order.
            size: Size of the remaining weights in bytes.
            sha256: SHA-256 of the remaining weights.

        Returns:
            The new card.
        """
        scores = [
            table.model_copy(
                update={"tracks": tuple(_restricted_track(track, targets) for track in table.tracks)}
            )
            for table in self.scores
        ]
        settings = self.settings.model_copy(update={"targets": tuple(targets)})
        return self.model_copy(
            update={"settings": settings, "scores": tuple(scores), "size": size, "sha256": sha256, "url": ""}
        )


def _restricted_track(track: TrackScore, targets: Sequence[str]) -> TrackScore:
    kept = {target: track.targets[target] for target in targets if target in track.targets}
    return track.model_copy(update={"targets": kept})
