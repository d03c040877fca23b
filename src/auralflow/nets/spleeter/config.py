"""Settings of Spleeter."""

from typing import Literal, Self

from pydantic import Field, model_validator

from auralflow.config import ModelConfig

__all__ = ["SpleeterConfig"]


class SpleeterConfig(ModelConfig):
    """Settings of Spleeter: one U-Net per target, with masks that sum to one.

    The defaults are those of the published model with 2 stems. The models with 4 and 5 stems use the
    activation ``elu``, and the one with 5 the mask activation ``softmax``.
    """

    family: Literal["spleeter"] = Field(default="spleeter", description="Family of nets.")
    net: Literal["Spleeter"] = Field(default="Spleeter", description="Architecture.")
    targets: tuple[str, ...] = Field(
        default=("vocals", "accompaniment"), min_length=1, description="Sources to estimate."
    )
    num_channels: int = Field(default=2, ge=1, le=8, description="Number of audio channels.")
    sample_length: float = Field(
        default=11.7957, gt=0, le=600, description="Length of an audio chunk in seconds."
    )
    overlap: float = Field(
        default=0, ge=0, lt=1, description="Default fraction of a chunk that overlaps the next one."
    )
    num_hidden_channels: int = Field(
        default=16,
        ge=1,
        le=256,
        description="Channels of the first level; each level down has twice as many.",
    )
    activation: Literal["leaky_relu", "elu"] = Field(
        default="leaky_relu", description="Activation between the layers; leaky_relu is ReLU on the way up."
    )
    mask_act_fn: Literal["sigmoid", "softmax"] = Field(
        default="sigmoid",
        description="Activation that turns outputs of the nets into gains: per target or over all.",
    )
    num_fft: int = Field(
        default=4096,
        ge=64,
        le=65536,
        multiple_of=4,
        description="Length of the Fourier transform and its window in samples, four times the hop length.",
    )
    num_bins_read: int = Field(
        default=1024,
        ge=64,
        multiple_of=64,
        description="Number of input frequency bins, from the lowest: 1024 is 11 kHz, 1536 is 16 kHz.",
    )
    segment_frames: int = Field(
        default=512, ge=64, le=8192, multiple_of=64, description="Number of frames per segment."
    )
    mask_extension: Literal["zeros", "average"] = Field(
        default="zeros",
        description="Mask of the bins above these: zeros, or the mean over the bins below.",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.targets) == 1:
            raise ValueError(
                f"a Spleeter with {self.targets[0]} alone would return the entire mixture: "
                "choose several targets"
            )
        if self.num_bins_read > self.num_fft // 2:
            raise ValueError(
                f"`num_bins_read` is {self.num_bins_read}: at most half of `num_fft` ({self.num_fft // 2})"
            )
        return self

    @property
    def hop_length(self) -> int:
        """Samples between frames."""
        return self.num_fft // 4

    @property
    def num_bins(self) -> int:
        """Number of frequency bins."""
        return self.num_fft // 2 + 1
