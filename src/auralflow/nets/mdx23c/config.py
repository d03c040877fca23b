"""Settings of MDX23C."""

from typing import Literal

from pydantic import Field

from auralflow.nets.tfctdf_config import TFCTDFConfig

__all__ = ["MDX23CConfig"]


class MDX23CConfig(TFCTDFConfig):
    """Settings of an MDX23C, a TFC-TDF of the third version."""

    family: Literal["mdx23c"] = Field(default="mdx23c", description="Family of nets.")
    net: Literal["MDX23C"] = Field(default="MDX23C", description="Architecture.")
    overlap: float = Field(
        default=0.75, ge=0, lt=1, description="Share of a chunk that the next one covers again by default."
    )
    standardized: bool = Field(
        default=False, description="Bring a song to mean 0 and standard deviation 1 before it is separated."
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

    @property
    def bin_multiple(self) -> int:
        """What the number of bins is a multiple of."""
        return int(self.num_subbands * 2**self.num_scales)
