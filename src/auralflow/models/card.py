"""The card of a pretrained model: what it is, where its weights are, what it was made of, what it scores."""

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
    """One part of what a model was trained on."""

    name: str = Field(min_length=1, description="What it is.")
    licence: str = Field(min_length=1, description="Licence of the material.")
    minutes: float = Field(ge=0, description="Minutes of audio; of MIDI files, none.")
    credit: str = Field("", description="Whom the licence, or courtesy, asks to name.")
    source: str = Field("", description="Where it can be had.")


class TrainingRecord(Settings):
    """How a model was trained."""

    hours: float = Field(ge=0, description="Hours that the training took.")
    chunks: int = Field(ge=0, description="Training chunks seen, repeats counted.")
    epochs: int = Field(ge=0, description="Epochs.")
    seed: int = Field(ge=0, description="Seed of weights and chunks.")
    machine: str = Field(min_length=1, description="What it was trained on.")
    auralflow: str = Field(min_length=1, description="Version of auralflow that trained it.")
    start: str = Field("", description="Whose weights it started from. Empty: random ones.")
    settings: dict[str, Any] = Field(description="Content of trainer.json.")


class TargetScore(Settings):
    """Scores of one target in one track, in dB; None where a stem is silent."""

    si_sdr: float | None = Field(None, description="SI-SDR of the estimate.")
    si_sdr_improvement: float | None = Field(None, description="SI-SDR above that of the mixture.")
    ceiling: float | None = Field(None, description="SI-SDR improvement of the ideal ratio mask, an oracle.")
    museval_sdr: float | None = Field(None, description="SDR of museval 4, median over 1-s frames.")
    museval_floor: float | None = Field(None, description="The same of the mixture.")
    museval_ceiling: float | None = Field(None, description="The same of the ideal ratio mask.")


class TrackScore(Settings):
    """Scores of one track."""

    track: str = Field(min_length=1, description="Name of the track.")
    known_artist: bool = Field(description="Whether other songs of its artist were trained on.")
    targets: dict[str, TargetScore] = Field(description="Scores by target.")


class ScoreTable(Settings):
    """Scores on a part of a dataset."""

    dataset: str = Field(min_length=1, description="What was scored, in words.")
    subset: Literal["valid", "test"] = Field(description="Part of the dataset.")
    command: str = Field(min_length=1, description="The command that prints these scores.")
    tracks: tuple[TrackScore, ...] = Field(description="Scores of each track.")

    def mean(
        self,
        target: str,
        *,
        known_artist: bool,
        value: Literal["si_sdr", "si_sdr_improvement", "ceiling"] = "si_sdr_improvement",
    ) -> float | None:
        """Average a score over the tracks that have it; None if none has.

        Args:
            target: The target.
            known_artist: Whether to take the tracks of artists that were trained on, or all others.
            value: Which score.

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
        """Median of a score over the tracks that have it, as museval takes it; None if none has.

        Args:
            target: The target.
            known_artist: Whether to take the tracks of artists that were trained on, or all others.
            value: Which score.
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
    """Everything that is known about a pretrained model: the content of its ``card.json``."""

    format_version: Literal[1] = Field(1, description="Version of this file's format.")
    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$", description="Name that commands accept.")
    file: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*\.safetensors$",
        description="Name of the weights on mirrors and in the cache, another one for other weights.",
    )
    url: str = Field("", pattern=r"^(https://.+)?$", description="Where the weights can be downloaded.")
    size: int = Field(gt=0, description="Size of the weights in bytes.")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the weights.")
    licence: str = Field(min_length=1, description="Licence of the weights.")
    parameters: int = Field(gt=0, description="Number of trainable parameters.")
    settings: SerializeAsAny[ModelConfig] = Field(description="Content of model.json.")
    data: tuple[DataPart, ...] = Field(description="What it was trained on.")
    training: TrainingRecord = Field(description="How it was trained.")
    scores: tuple[ScoreTable, ...] = Field((), description="All that it scored.")
    weaknesses: tuple[str, ...] = Field((), description="What it is known to do badly.")

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
        """Its architecture."""
        return self.settings.net

    @property
    def targets(self) -> tuple[str, ...]:
        """What it estimates."""
        return self.settings.targets

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read a card.

        Args:
            path: A ``card.json``.

        Raises:
            NotFoundError: If there is no such file.
            ModelError: If it is no card.
        """
        path = Path(path)
        try:
            return parse_settings(cls, read_settings(path), source=str(path))
        except SettingsError as error:
            raise ModelError(f"'{path}' is no card of a model: {error}") from None

    def restricted(self, targets: Sequence[str], *, size: int, sha256: str) -> Self:
        """The card of a model that was cut down to some targets.

        Args:
            targets: What is left, in its order.
            size: Size of its weights in bytes.
            sha256: Their SHA-256.
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
