"""Settings of MDX-Net."""

from typing import Literal

from pydantic import Field

from auralflow.nets.tfctdf_config import TFCTDFConfig

__all__ = ["MDXNetConfig"]


class MDXNetConfig(TFCTDFConfig):
    """Settings of an MDX-Net, a TFC-TDF net, version 2, for one target."""

    family: Literal["mdxnet"] = Field(default="mdxnet", description="Family of nets.")
    net: Literal["MDXNet"] = Field(default="MDXNet", description="Architecture.")
    targets: tuple[str, ...] = Field(
        default=("vocals",), min_length=1, max_length=1, description="The source to estimate."
    )
    num_fft: int = Field(
        default=6144,
        ge=64,
        le=65536,
        multiple_of=2,
        description="Length of the Fourier transform in samples.",
    )
    num_bins: int = Field(
        default=3072, ge=1, le=32769, description="Number of frequency bins of the net, from the lowest."
    )
    bottleneck: int = Field(
        default=8, ge=1, le=64, description="Factor by which layers across frequency reduce the features."
    )
    num_stages: int = Field(
        default=5, ge=1, le=8, description="Number of times that time and frequency are halved."
    )
    num_convolutions: int = Field(default=3, ge=1, le=8, description="Number of convolutions at each stage.")
    growth: int = Field(
        default=48,
        ge=1,
        le=512,
        description="Number of channels of the first stage, which each further stage adds again.",
    )
    silent_bins: int = Field(
        default=3, ge=0, le=64, description="Number of lowest frequency bins that are hidden from the net."
    )
    compensate: float = Field(
        default=1, gt=0, le=2, description="Gain applied to the estimate, to compensate for a training bias."
    )

    @property
    def bin_multiple(self) -> int:
        """The number of bins must be a multiple of this."""
        return int(2**self.num_stages)
