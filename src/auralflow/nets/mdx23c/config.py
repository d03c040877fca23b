"""Settings of MDX23C."""

from typing import Literal

from pydantic import Field

from auralflow.nets.tfctdf_config import TFCTDFConfig

__all__ = ["MDX23CConfig"]


class MDX23CConfig(TFCTDFConfig):
    """Settings of an MDX23C, a TFC-TDF net, version 3."""

    family: Literal["mdx23c"] = Field(default="mdx23c", description="Family of nets.")
    net: Literal["MDX23C"] = Field(default="MDX23C", description="Architecture.")
    overlap: float = Field(
        default=0.75, ge=0, lt=1, description="Default fraction of a chunk that overlaps the next one."
    )
    standardized: bool = Field(
        default=False, description="Standardise each song to mean 0 and standard deviation 1."
    )
    num_subbands: int = Field(
        default=4, ge=1, le=64, description="Number of frequency bands that are folded into channels."
    )
    num_scales: int = Field(
        default=5, ge=1, le=8, description="Number of times that time and frequency are halved."
    )
    num_blocks: int = Field(default=2, ge=1, le=8, description="Number of blocks at each scale.")
    num_hidden_channels: int = Field(
        default=128, ge=1, le=1024, description="Number of channels at the first scale."
    )
    growth: int = Field(
        default=128, ge=0, le=1024, description="Number of channels that each further scale adds."
    )

    @property
    def bin_multiple(self) -> int:
        """The number of bins must be a multiple of this."""
        return int(self.num_subbands * 2**self.num_scales)
