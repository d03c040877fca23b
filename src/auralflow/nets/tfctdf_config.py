"""Settings shared by both versions of the TFC-TDF nets."""

from typing import Self

from pydantic import Field, model_validator

from auralflow.config import ModelConfig

__all__ = ["TFCTDFConfig"]


class TFCTDFConfig(ModelConfig):
    """Settings of all TFC-TDF nets, which repeatedly halve a spectrogram without its highest bins."""

    num_channels: int = Field(default=2, ge=1, le=8, description="Number of audio channels.")
    sample_length: float = Field(
        default=261120 / 44100, gt=0, le=600, description="Length of an audio chunk in seconds."
    )
    hop_length: int = Field(
        default=1024, ge=1, le=32768, description="Samples between frames, at most half the transform."
    )
    num_fft: int = Field(
        default=8192,
        ge=64,
        le=65536,
        multiple_of=2,
        description="Length of the Fourier transform in samples.",
    )
    num_bins: int = Field(
        default=4096, ge=1, le=32769, description="Number of input frequency bins, counted from the lowest."
    )
    bottleneck: int = Field(
        default=4,
        ge=1,
        le=64,
        description="Factor by which the layers across frequency reduce the number of features inside.",
    )

    @property
    def bin_multiple(self) -> int:
        """The number of bins must be a multiple of this."""
        raise NotImplementedError

    @model_validator(mode="after")
    def _check_transform(self) -> Self:
        if 2 * self.hop_length > self.num_fft:
            raise ValueError(f"`hop_length` is {self.hop_length}: at most half of `num_fft` ({self.num_fft})")
        multiple = self.bin_multiple
        if self.num_bins > self.num_fft // 2 + 1 or self.num_bins % multiple:
            raise ValueError(
                f"`num_bins` is {self.num_bins}: at most {self.num_fft // 2 + 1}, "
                f"and a multiple of {multiple}"
            )
        if self.num_bins // multiple < self.bottleneck:
            raise ValueError(f"`bottleneck` is {self.bottleneck}: at most {self.num_bins // multiple}")
        return self
