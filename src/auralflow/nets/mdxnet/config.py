"""Settings of MDX-Net."""

from typing import Literal, Self

from pydantic import Field, model_validator

from auralflow.config import ModelConfig

__all__ = ["MDXNetConfig"]


class MDXNetConfig(ModelConfig):
    """Settings of an MDX-Net, a TFC-TDF of the second version for one target."""

    family: Literal["mdxnet"] = Field(default="mdxnet", description="Family of nets.")
    net: Literal["MDXNet"] = Field(default="MDXNet", description="Architecture.")
    targets: tuple[str, ...] = Field(
        default=("vocals",), min_length=1, max_length=1, description="The source to be estimated."
    )
    num_channels: int = Field(default=2, ge=1, le=8, description="Number of audio channels.")
    sample_length: float = Field(
        default=261120 / 44100, gt=0, le=600, description="Length of an audio chunk in seconds."
    )
    overlap: float = Field(
        default=0.25, ge=0, lt=1, description="Share of a chunk that the next one covers again by default."
    )
    num_fft: int = Field(
        default=6144, ge=64, le=65536, multiple_of=2, description="Length of the Fourier transform."
    )
    hop_length: int = Field(
        default=1024, ge=1, le=32768, description="Samples between frames, at most half the transform."
    )
    num_bins: int = Field(
        default=3072, ge=1, le=32769, description="Frequency bins that the net reads, from the lowest."
    )
    num_stages: int = Field(default=5, ge=1, le=8, description="Times that time and frequency are halved.")
    num_convolutions: int = Field(default=3, ge=1, le=8, description="Convolutions at each stage.")
    growth: int = Field(
        default=48, ge=1, le=512, description="Feature channels of the first stage, and more in each other."
    )
    bottleneck: int = Field(
        default=8, ge=1, le=64, description="How many times fewer features the layers across frequency have."
    )
    silent_bins: int = Field(
        default=3, ge=0, le=64, description="Lowest frequency bins that the net does not get to see."
    )
    compensate: float = Field(
        default=1, gt=0, le=2, description="Gain of the estimate, which makes up for a bias of the training."
    )

    @model_validator(mode="after")
    def _check_transform(self) -> Self:
        if 2 * self.hop_length > self.num_fft:
            raise ValueError(f"--hop-length is {self.hop_length}: at most half of --num-fft ({self.num_fft})")
        multiple = 2**self.num_stages
        if self.num_bins > self.num_fft // 2 + 1 or self.num_bins % multiple:
            raise ValueError(
                f"--num-bins is {self.num_bins}: at most {self.num_fft // 2 + 1}, "
                f"and a multiple of {multiple}"
            )
        if self.num_bins // multiple < self.bottleneck:
            raise ValueError(f"--bottleneck is {self.bottleneck}: at most {self.num_bins // multiple}")
        return self
