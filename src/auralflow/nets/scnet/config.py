"""Settings of SCNet."""

from typing import Literal, Self

from pydantic import Field, model_validator

from auralflow.config import ModelConfig

__all__ = ["LARGE", "XL", "XL_IHF", "SCNetConfig"]

MAP_TARGETS = ("drums", "bass", "other", "vocals")


class SCNetConfig(ModelConfig):
    """Settings of SCNet; the defaults are those of the small model."""

    family: Literal["scnet"] = Field(default="scnet", description="Family of nets.")
    net: Literal["SCNet", "SCNetLarge", "SCNetXL", "SCNetXLIHF"] = Field(
        default="SCNet", description="Architecture."
    )
    targets: tuple[str, ...] = Field(default=MAP_TARGETS, min_length=1, description="Sources to estimate.")
    num_channels: int = Field(default=2, ge=1, le=8, description="Number of audio channels.")
    sample_length: float = Field(default=11, gt=0, le=600, description="Length of an audio chunk in seconds.")
    overlap: float = Field(
        default=0.75, ge=0, lt=1, description="Default fraction of a chunk that overlaps the next one."
    )
    standardized: bool = Field(
        default=False,
        description="Standardise a song to mean 0 and standard deviation 1 before separating it.",
    )
    num_fft: int = Field(
        default=4096,
        ge=64,
        le=65536,
        multiple_of=2,
        description="Length of the Fourier transform in samples.",
    )
    hop_length: int = Field(
        default=1024, ge=1, le=32768, description="Samples between frames, at most half the transform."
    )
    stage_channels: tuple[int, ...] = Field(
        default=(32, 64, 128),
        min_length=1,
        max_length=8,
        description="Number of channels after each stage of the encoder.",
    )
    band_shares: tuple[float, float, float] = Field(
        default=(0.175, 0.392, 0.433),
        description="Fraction of the frequencies in each band, from low to high.",
    )
    band_strides: tuple[int, int, int] = Field(
        default=(1, 4, 16), description="Frequency compression of each band."
    )
    band_kernels: tuple[int, int, int] = Field(
        default=(3, 4, 16), description="Kernel height of the convolution in each band."
    )
    conv_depths: tuple[int, int, int] = Field(
        default=(3, 2, 1), description="Number of residual blocks in each band."
    )
    compress: int = Field(
        default=4,
        ge=1,
        description="Factor by which the residual blocks reduce the number of channels inside.",
    )
    conv_kernel: int = Field(
        default=3, ge=1, le=63, description="Kernel width of the residual convolutions in frames."
    )
    num_dual_paths: int = Field(default=6, ge=0, le=64, description="Number of dual-path recurrent layers.")
    expand: int = Field(default=1, ge=1, le=8, description="Number of LSTM features per channel.")

    @model_validator(mode="after")
    def _check_bands(self) -> Self:
        if 2 * self.hop_length > self.num_fft:
            raise ValueError(f"`hop_length` is {self.hop_length}: at most half of `num_fft` ({self.num_fft})")
        if abs(sum(self.band_shares) - 1) > 1e-3 or min(self.band_shares) <= 0:
            raise ValueError(f"`band_shares` are {self.band_shares}: must be above 0 and sum to 1")
        if min(self.band_strides) < 1 or min(self.conv_depths) < 0:
            raise ValueError("`band_strides` must be at least 1, `conv_depths` at least 0")
        if any(k < s for k, s in zip(self.band_kernels, self.band_strides, strict=True)):
            raise ValueError("`band_kernels` must not be smaller than `band_strides`")
        if min(self.stage_channels) < self.compress:
            raise ValueError(f"`stage_channels` must be at least `compress` ({self.compress})")
        if self.num_dual_paths % 2:
            raise ValueError(f"`num_dual_paths` is {self.num_dual_paths}: must be even")
        if not self.conv_kernel % 2:
            raise ValueError(f"`conv_kernel` is {self.conv_kernel}: must be odd")
        return self


LARGE = {"stage_channels": (64, 128, 256), "band_shares": (0.225, 0.372, 0.403)}
XL = {"stage_channels": (64, 128, 256), "band_shares": (0.23, 0.37, 0.40), "num_dual_paths": 8}
XL_IHF = XL | {"band_strides": (1, 4, 4), "band_kernels": (3, 4, 4), "conv_depths": (3, 3, 3)}
