"""Settings of BS-RoFormer and Mel-Band RoFormer."""

from typing import Literal, Self

from pydantic import Field, model_validator

from auralflow.config import ModelConfig

__all__ = ["BAND_SIZES", "BSRoformerConfig", "MelBandRoformerConfig", "RoformerConfig"]

BAND_SIZES = (*[2] * 24, *[4] * 12, *[12] * 8, *[24] * 8, *[48] * 8, 128, 129)
"""Bins per band of BS-RoFormer for a transform of 2048 samples. Source: W.-T. Lu et al., ICASSP 2024."""


class RoformerConfig(ModelConfig):
    """Settings shared by both RoFormers."""

    family: Literal["roformer"] = Field(default="roformer", description="Family of nets.")
    num_channels: int = Field(default=2, ge=1, le=8, description="Number of audio channels.")
    sample_length: float = Field(default=8, gt=0, le=600, description="Length of an audio chunk in seconds.")
    overlap: float = Field(
        default=0.5, ge=0, lt=1, description="Default fraction of a chunk that overlaps the next one."
    )
    standardized: bool = Field(
        default=False,
        description="Standardise a song to mean 0 and standard deviation 1 before separating it.",
    )
    num_fft: int = Field(
        default=2048,
        ge=64,
        le=65536,
        multiple_of=2,
        description="Length of the Fourier transform in samples.",
    )
    window_size: int = Field(
        default=2048, ge=16, le=65536, description="Length of the window in samples, at most --num-fft."
    )
    hop_length: int = Field(
        default=441, ge=1, le=32768, description="Samples between frames, at most half the window."
    )
    dim: int = Field(default=384, ge=2, le=4096, description="Number of features per band and frame.")
    depth: int = Field(
        default=6,
        ge=1,
        le=64,
        description="Number of blocks, each of a transformer over time and one over bands.",
    )
    time_depth: int = Field(
        default=1, ge=1, le=16, description="Number of layers of each transformer over time."
    )
    freq_depth: int = Field(
        default=1, ge=1, le=16, description="Number of layers of each transformer over bands."
    )
    heads: int = Field(default=8, ge=1, le=64, description="Number of attention heads.")
    dim_head: int = Field(default=64, ge=2, le=512, multiple_of=2, description="Number of features per head.")
    mask_hidden: int = Field(
        default=1536, ge=1, le=65536, description="Width of the mask estimators' hidden layers."
    )
    mask_depth: int = Field(
        default=1, ge=0, le=8, description="Number of the mask estimators' hidden layers."
    )
    zero_dc: bool = Field(
        default=True,
        description="Set the lowest frequency bin of the estimates to zero, removing any constant offset.",
    )
    summed_blocks: bool = Field(
        default=False, description="Add the outputs of all earlier blocks to the input of each block."
    )
    dropout_p: float = Field(default=0, ge=0, lt=1, description="Probability of dropout in the transformers.")

    @model_validator(mode="after")
    def _check_transform(self) -> Self:
        if self.window_size > self.num_fft:
            raise ValueError(f"`window_size` is {self.window_size}: at most `num_fft` ({self.num_fft})")
        if 2 * self.hop_length > self.window_size:
            raise ValueError(
                f"`hop_length` is {self.hop_length}: at most half of `window_size` ({self.window_size // 2})"
            )
        return self

    @property
    def num_bins(self) -> int:
        """Number of frequency bins."""
        return self.num_fft // 2 + 1


class BSRoformerConfig(RoformerConfig):
    """Settings of BS-RoFormer, whose bands are adjacent."""

    net: Literal["BSRoformer"] = Field(default="BSRoformer", description="Architecture.")
    band_sizes: tuple[int, ...] = Field(
        default=BAND_SIZES, min_length=1, max_length=512, description="Number of frequency bins in each band."
    )

    @model_validator(mode="after")
    def _check_bands(self) -> Self:
        if min(self.band_sizes) < 1 or sum(self.band_sizes) != self.num_bins:
            raise ValueError(
                f"`band_sizes` sum to {sum(self.band_sizes)}: must be the {self.num_bins} bins of `num_fft`"
            )
        return self


class MelBandRoformerConfig(RoformerConfig):
    """Settings of Mel-Band RoFormer, whose bands overlap and are evenly spaced on the mel scale."""

    net: Literal["MelBandRoformer"] = Field(default="MelBandRoformer", description="Architecture.")
    num_bands: int = Field(default=60, ge=1, le=512, description="Number of bands.")
    mask_depth: int = Field(
        default=2, ge=0, le=8, description="Number of the mask estimators' hidden layers."
    )
