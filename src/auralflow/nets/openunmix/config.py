"""Settings of Open-Unmix."""

from typing import Literal, Self

from pydantic import Field, model_validator

from auralflow.config import SOURCES, ModelConfig

__all__ = ["OpenUnmixConfig"]


class OpenUnmixConfig(ModelConfig):
    """Settings of an Open-Unmix: one recurrent net for each target, and a Wiener filter for all of them.

    The defaults are those of the published umx and umxhq; umxl has a hidden size of 1024.
    """

    family: Literal["openunmix"] = Field(default="openunmix", description="Family of nets.")
    net: Literal["OpenUnmix"] = Field(default="OpenUnmix", description="Architecture.")
    targets: tuple[str, ...] = Field(default=SOURCES, min_length=1, description="Sources to estimate.")
    num_channels: int = Field(default=2, ge=1, le=8, description="Number of audio channels.")
    sample_length: float = Field(default=6, gt=0, le=600, description="Length of an audio chunk in seconds.")
    overlap: float = Field(
        default=0, ge=0, lt=1, description="Default fraction of a chunk that overlaps the next one."
    )
    hidden_size: int = Field(
        default=512,
        ge=2,
        le=16384,
        multiple_of=2,
        description="Number of features of the dense and recurrent layers.",
    )
    num_layers: int = Field(default=3, ge=1, le=16, description="Number of LSTM layers.")
    unidirectional: bool = Field(default=False, description="Read the song in forward direction only.")
    bandwidth: int = Field(
        default=16000,
        ge=1,
        description="Upper frequency limit of the input in hertz; the nets estimate all bins.",
    )
    num_fft: int = Field(
        default=4096,
        ge=64,
        le=65536,
        multiple_of=2,
        description="Length of the Fourier transform in samples.",
    )
    hop_length: int = Field(
        default=1024, ge=1, le=32768, description="Hop length in samples, at most half the transform."
    )
    separation_length: float = Field(
        default=30, gt=0, le=3600, description="Length in seconds of the chunks for separating a song."
    )
    separation_context: float = Field(
        default=1,
        ge=0,
        le=600,
        description="Seconds of context before and after such a chunk that the nets also process.",
    )
    wiener: int = Field(
        default=1,
        ge=0,
        le=16,
        description="Iterations of the model's Wiener filter for separating a song; 0: none.",
    )
    wiener_frames: int = Field(
        default=300, ge=1, description="Number of frames that the Wiener filter processes together."
    )
    wiener_residual: bool = Field(
        default=False,
        description="Let the Wiener filter estimate the residual separately instead of distributing it.",
    )

    @model_validator(mode="after")
    def _check_transform(self) -> Self:
        if 2 * self.hop_length > self.num_fft:
            raise ValueError(
                f"`hop_length` is {self.hop_length}: at most half of `num_fft` ({self.num_fft // 2})"
            )
        return self

    @property
    def num_bins(self) -> int:
        """Number of frequency bins."""
        return self.num_fft // 2 + 1

    @property
    def num_bins_read(self) -> int:
        """Number of frequency bins within the bandwidth."""
        return min(self.num_bins, self.bandwidth * self.num_fft // self.sample_rate + 1)
