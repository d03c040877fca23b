"""Settings of an evaluation."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, create_model

from auralflow.config.base import Settings
from auralflow.config.separation import EngineConfig
from auralflow.metrics.table import OPTIONS

__all__ = ["EvaluateConfig", "ScoreConfig"]

_options: dict[str, Any] = {
    option.name: (bool, Field(default=False, description=option.description)) for option in OPTIONS.values()
}
ScoreConfig = create_model(
    "ScoreConfig",
    __base__=Settings,
    __module__=__name__,
    __doc__="Which scores to compute beyond the usual ones, as the metrics state it themselves.",
    **_options,
)


class EvaluateConfig(ScoreConfig, EngineConfig):
    """Settings of `auralflow evaluate`; models separate with those of the engine."""

    subset: Literal["train", "valid", "test"] = Field(
        default="test", description="Part of the dataset to score."
    )
    save: Path | None = Field(
        default=None,
        description="Folder of the report, or a JSON file for the scores alone (a name in .json).",
    )
    estimates: tuple[Path, ...] = Field(
        default=(),
        description="Folder of stems, or of museval's scores, of another separator; may be repeated.",
    )
    fit_weights: bool = Field(
        default=False,
        description="Find the weights of each ensemble that leave the least error on valid/, and score it "
        "with them too.",
    )
    bounds: bool = Field(default=True, description="Score the mixture itself and ideal masks (oracles) too.")
    jobs: int = Field(default=1, ge=1, description="Tracks at once.")
