"""Settings of Spleeter."""

from typing import Literal, Self

from pydantic import Field, model_validator

from auralflow.config import ModelConfig

__all__ = ["SpleeterConfig"]


class SpleeterConfig(ModelConfig):
    """Settings of a Spleeter: one U-Net for each target, which share the mixture out among them.

    The defaults are those of the published model of 2 stems; its models of 4 and 5 stems have the activation
    ``elu``, and that of 5 the mask activation ``softmax``.
    """

    family: Literal["spleeter"] = Field(default="spleeter", description="Family of nets.")
    net: Literal["Spleeter"] = Field(default="Spleeter", description="Architecture.")
    targets: tuple[str, ...] = Field(
        default=("vocals", "accompaniment"), min_length=1, description="Sources to be estimated."
    )
    num_channels: int = Field(default=2, ge=1, le=8, description="Number of audio channels.")
    sample_length: float = Field(
        default=11.7957, gt=0, le=600, description="Length of an audio chunk in seconds."
    )
    overlap: float = Field(
        default=0, ge=0, lt=1, description="Share of a chunk that the next one covers again by default."
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
        description="How a net's output becomes a gain: alone, or against those of the others.",
    )
    num_fft: int = Field(
        default=4096,
        ge=64,
        le=65536,
        multiple_of=4,
        description="Length of the Fourier transform and its window, four times the distance of the frames.",
    )
    num_bins_read: int = Field(
        default=1024,
        ge=64,
        multiple_of=64,
        description="Frequency bins that the nets see, from the lowest: 1024 is 11 kHz, 1536 is 16 kHz.",
    )
    segment_frames: int = Field(
        default=512, ge=64, le=8192, multiple_of=64, description="Frames that the nets see at once."
    )
    mask_extension: Literal["zeros", "average"] = Field(
        default="zeros",
        description="Mask of the bins above: zeros, or the mean over the bins below.",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.targets) == 1:
            raise ValueError(
                f"a Spleeter of {self.targets[0]} alone would give it the whole mixture: choose several"
            )
        if self.num_bins_read > self.num_fft // 2:
            raise ValueError(
                f"--num-bins-read is {self.num_bins_read}: at most half of --num-fft ({self.num_fft // 2})"
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
