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
"""What other programs call the methods. A transform is linear: the mean of spectra is that of waveforms."""


class EnsembleOptions(Settings):
    """Settings of `auralflow ensemble`."""

    save: Path = Field(default=Path("my_ensemble"), description="Folder of the ensemble.")
    weights: tuple[str, ...] = Field(
        default=(),
        description="What each model counts, in their order: 2,1,1 for all targets, vocals=2,1,1 for one; "
        "may be repeated. Default: all the same.",
    )
    method: Method = Field(
        default="mean",
        description="How estimates become one: mean or median of their samples; mean or median of their "
        "magnitudes with the phase of the mean; or, bin by bin, the one of smallest or largest magnitude.",
    )
    targets: tuple[str, ...] = Field(
        default=(),
        description="Targets of the ensemble, as in vocals,bass. Default: all that any of the models has.",
    )
    fit: Path | None = Field(
        default=None,
        description="A dataset on which to find the weights of the mean that leave the least error.",
    )
    subset: Literal["train", "valid", "test"] = Field(default="valid", description="Part of that dataset.")

    @field_validator("targets", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return split_words(value)

    @field_validator("method", mode="before")
    @classmethod
    def _take_other_names(cls, value: Any) -> Any:
        word = value.replace("-", "_") if isinstance(value, str) else value
        return METHOD_ALIASES.get(word, value)
