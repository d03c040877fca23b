"""Settings of MDX-Net."""

from typing import Literal

from pydantic import Field

from auralflow.nets.tfctdf_config import TFCTDFConfig

__all__ = ["MDXNetConfig"]


class MDXNetConfig(TFCTDFConfig):
    """Settings of an MDX-Net, a TFC-TDF of the second version for one target."""

    family: Literal["mdxnet"] = Field(default="mdxnet", description="Family of nets.")
    net: Literal["MDXNet"] = Field(default="MDXNet", description="Architecture.")
    targets: tuple[str, ...] = Field(
        default=("vocals",), min_length=1, max_length=1, description="The source to be estimated."
    )
    num_fft: int = Field(
        default=6144, ge=64, le=65536, multiple_of=2, description="Length of the Fourier transform."
    )
    num_bins: int = Field(
        default=3072, ge=1, le=32769, description="Frequency bins that the net reads, from the lowest."
    )
    bottleneck: int = Field(
        default=8, ge=1, le=64, description="How many times fewer features the layers across frequency have."
    )
    num_stages: int = Field(default=5, ge=1, le=8, description="Times that time and frequency are halved.")
    num_convolutions: int = Field(default=3, ge=1, le=8, description="Convolutions at each stage.")
    growth: int = Field(
        default=48, ge=1, le=512, description="Feature channels of the first stage, and more in each other."
    )
    silent_bins: int = Field(
        default=3, ge=0, le=64, description="Lowest frequency bins that the net does not get to see."
    )
    compensate: float = Field(
        default=1, gt=0, le=2, description="Gain of the estimate, which makes up for a bias of the training."
    )

    @property
    def bin_multiple(self) -> int:
        """What the number of bins is a multiple of."""
        return int(2**self.num_stages)
