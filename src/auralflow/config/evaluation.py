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
    __doc__="Which scores to compute besides the usual ones; the options come from the table of metrics.",
    **_options,
)


class EvaluateConfig(ScoreConfig, EngineConfig):
    """Settings of `auralflow evaluate`, including those with which the models separate."""

    subset: Literal["train", "valid", "test"] = Field(
        default="test", description="Split of the dataset to score."
    )
    save: Path | None = Field(
        default=None,
        description="Folder for the report, or a file name ending in .json for the scores alone.",
    )
    estimates: tuple[Path, ...] = Field(
        default=(),
        description="Folder of another separator's stems, or of its museval scores; may be repeated.",
    )
    fit_weights: bool = Field(
        default=False,
        description="Fit the weights of each ensemble to minimise the error on valid/, and also score it "
        "with these weights.",
    )
    bounds: bool = Field(default=True, description="Also score the mixture itself and ideal masks (oracles).")
    jobs: int = Field(default=1, ge=1, description="Number of tracks to score in parallel.")
