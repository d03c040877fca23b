"""Settings of MDX23C."""

from typing import Literal, Self

from pydantic import Field, model_validator

from auralflow.config import ModelConfig

__all__ = ["MDX23CConfig"]


class MDX23CConfig(ModelConfig):
    """Settings of an MDX23C, a TFC-TDF of the third version."""

    family: Literal["mdx23c"] = Field(default="mdx23c", description="Family of nets.")
    net: Literal["MDX23C"] = Field(default="MDX23C", description="Architecture.")
    num_channels: int = Field(default=2, ge=1, le=8, description="Number of audio channels.")
    sample_length: float = Field(
        default=261120 / 44100, gt=0, le=600, description="Length of an audio chunk in seconds."
    )
    overlap: float = Field(
        default=0.75, ge=0, lt=1, description="Share of a chunk that the next one covers again by default."
    )
    standardized: bool = Field(
        default=False, description="Bring a song to mean 0 and standard deviation 1 before it is separated."
    )
    num_fft: int = Field(
        default=8192, ge=64, le=65536, multiple_of=2, description="Length of the Fourier transform."
    )
    hop_length: int = Field(
        default=1024, ge=1, le=32768, description="Samples between frames, at most half the transform."
    )
    num_bins: int = Field(
        default=4096, ge=1, le=32769, description="Frequency bins that the net reads, from the lowest."
    )
    num_subbands: int = Field(
        default=4, ge=1, le=64, description="Parts of the spectrum that are folded into channels."
    )
    num_scales: int = Field(default=5, ge=1, le=8, description="Times that time and frequency are halved.")
    num_blocks: int = Field(default=2, ge=1, le=8, description="Blocks at each scale.")
    num_hidden_channels: int = Field(
        default=128, ge=1, le=1024, description="Feature channels at the first scale."
    )
    growth: int = Field(
        default=128, ge=0, le=1024, description="Feature channels that each scale has more than the last."
    )
    bottleneck: int = Field(
        default=4, ge=1, le=64, description="How many times fewer features the layers across frequency have."
    )

    @model_validator(mode="after")
    def _check_transform(self) -> Self:
        if 2 * self.hop_length > self.num_fft:
            raise ValueError(f"--hop-length is {self.hop_length}: at most half of --num-fft ({self.num_fft})")
        multiple = self.num_subbands * 2**self.num_scales
        if self.num_bins > self.num_fft // 2 + 1 or self.num_bins % multiple:
            raise ValueError(
                f"--num-bins is {self.num_bins}: at most {self.num_fft // 2 + 1}, "
                f"and a multiple of {multiple}"
            )
        if self.num_bins // multiple < self.bottleneck:
            raise ValueError(f"--bottleneck is {self.bottleneck}: at most {self.num_bins // multiple}")
        return self
