"""Settings of an ensemble."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from auralflow.config.base import Settings, split_words

__all__ = ["METHOD_ALIASES", "EnsembleOptions", "Method"]

Method = Literal["mean", "median", "mean_magnitude", "median_magnitude", "min_magnitude", "max_magnitude"]

METHOD_ALIASES: Mapping[str, str] = {
    "avg_wave": "mean",
    "avg_fft": "mean",
    "median_wave": "median",
    "median_fft": "median_magnitude",
    "min_fft": "min_magnitude",
    "max_fft": "max_magnitude",
}
"""Other programs' names for the methods. A transform is linear: averaging spectra is averaging waveforms."""


class EnsembleOptions(Settings):
    """Settings of `auralflow ensemble`."""

    save: Path = Field(default=Path("my_ensemble"), description="Folder of the ensemble.")
    weights: tuple[str, ...] = Field(
        default=(),
        description="Weights of the models, in order: 2,1,1 for all targets, vocals=2,1,1 for one; may be "
        "repeated. Default: equal weights.",
    )
    method: Method | None = Field(
        default=None,
        description="How to combine the estimates: mean or median of the samples; mean or median of the "
        "magnitudes, with the phase of the mean; or, for each bin, the estimate with the smallest or largest "
        "magnitude. Default: mean, or the method of an ensemble that is rebuilt.",
    )
    targets: tuple[str, ...] = Field(
        default=(),
        description="Targets of the ensemble, as in vocals,bass. Default: the targets of all models.",
    )
    fit: Path | None = Field(
        default=None,
        description="Dataset on which to fit the weights of the mean: those that minimise the error.",
    )
    subset: Literal["train", "valid", "test"] = Field(default="valid", description="Split of that dataset.")

    @field_validator("targets", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return split_words(value)

    @field_validator("method", mode="before")
    @classmethod
    def _take_other_names(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        word = value.replace("-", "_")
        return METHOD_ALIASES.get(word, value)
