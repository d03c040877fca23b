"""Settings of Demucs: hybrid with and without a transformer, and in the time domain only."""

from typing import Literal, Self

from pydantic import Field, model_validator

from auralflow.config import ModelConfig

__all__ = ["DEMUCS_TARGETS", "DemucsConfig", "HDemucsConfig", "HTDemucsConfig", "HybridDemucsConfig"]

DEMUCS_TARGETS = ("drums", "bass", "other", "vocals")


class HybridDemucsConfig(ModelConfig):
    """Settings common to both hybrid nets."""

    family: Literal["htdemucs"] = Field(default="htdemucs", description="Family of nets.")
    targets: tuple[str, ...] = Field(default=DEMUCS_TARGETS, min_length=1, description="Sources to estimate.")
    num_channels: int = Field(default=2, ge=1, le=8, description="Number of audio channels.")
    standardized: bool = Field(
        default=True, description="Standardise each song to mean 0 and standard deviation 1."
    )
    num_hidden_channels: int = Field(
        default=48, ge=4, le=512, multiple_of=4, description="Number of channels of the first layer."
    )
    depth: int = Field(default=4, ge=1, le=6, description="Number of layers of encoder and decoder.")
    num_fft: Literal[4096] = Field(default=4096, description="Length of the Fourier transform in samples.")
    edges: Literal["reflect", "zeros"] = Field(
        default="reflect", description="Padding of the transform at the ends of the signal."
    )
    branches: Literal["encoder", "both"] = Field(
        default="both", description="Whether only the encoder has residual branches, or the decoder too."
    )
    branch_compress: float = Field(
        default=8, ge=1, le=64, description="Factor by which residual branches reduce the number of channels."
    )
    branch_depth: int = Field(
        default=2, ge=1, le=8, description="Number of convolutions in a residual branch."
    )
    deep_from: int = Field(
        default=4,
        ge=0,
        le=6,
        description="Index of the first layer with norms, and with an LSTM and attention in its branch.",
    )

    @model_validator(mode="after")
    def _check_branches(self) -> Self:
        if self.num_hidden_channels < self.branch_compress:
            raise ValueError(
                f"`branch_compress` is {self.branch_compress:g}: at most `num_hidden_channels` "
                f"({self.num_hidden_channels})"
            )
        return self


class HTDemucsConfig(HybridDemucsConfig):
    """Settings of a Hybrid Transformer Demucs. The defaults are those of the published htdemucs."""

    net: Literal["HTDemucs"] = Field(default="HTDemucs", description="Architecture.")
    sample_length: float = Field(
        default=7.8, gt=0, le=600, description="Length of an audio chunk in seconds; shorter ones are padded."
    )
    transformer_depth: int = Field(default=5, ge=1, le=32, description="Number of transformer layers.")
    transformer_channels: int = Field(
        default=512,
        ge=0,
        le=4096,
        description="Number of features of the transformer; 0: as many as the last layer of the encoder.",
    )
    transformer_heads: int = Field(default=8, ge=1, le=64, description="Number of attention heads.")
    transformer_hidden_scale: float = Field(
        default=4,
        gt=0,
        le=16,
        description="Width of the transformer's feed-forward nets, relative to its features.",
    )
    dropout_p: float = Field(default=0, ge=0, lt=1, description="Probability of dropout in the transformer.")

    @model_validator(mode="after")
    def _check_transformer(self) -> Self:
        width = self.transformer_channels or self.num_hidden_channels * 2 ** (self.depth - 1)
        if width % (4 * self.transformer_heads):
            raise ValueError(
                f"`transformer_channels` is {width}: must be a multiple of 4 times `transformer_heads`"
            )
        if self.depth > 4:
            raise ValueError(f"`depth` is {self.depth}: at most 4 with a transformer")
        return self


class HDemucsConfig(HybridDemucsConfig):
    """Settings of a Hybrid Demucs without a transformer. The defaults are those of hdemucs_mmi."""

    net: Literal["HDemucs"] = Field(default="HDemucs", description="Architecture.")
    sample_length: float = Field(default=44, gt=0, le=600, description="Length of an audio chunk in seconds.")
    depth: int = Field(default=6, ge=1, le=6, description="Number of layers of encoder and decoder.")
    branches: Literal["encoder", "both"] = Field(
        default="encoder", description="Whether only the encoder has residual branches, or the decoder too."
    )
    branch_compress: float = Field(
        default=4, ge=1, le=64, description="Factor by which residual branches reduce the number of channels."
    )


class DemucsConfig(ModelConfig):
    """Settings of a Demucs in the time domain only. The defaults are those of version 3."""

    family: Literal["htdemucs"] = Field(default="htdemucs", description="Family of nets.")
    net: Literal["Demucs"] = Field(default="Demucs", description="Architecture.")
    targets: tuple[str, ...] = Field(default=DEMUCS_TARGETS, min_length=1, description="Sources to estimate.")
    num_channels: int = Field(default=2, ge=1, le=8, description="Number of audio channels.")
    sample_length: float = Field(default=40, gt=0, le=600, description="Length of an audio chunk in seconds.")
    standardized: bool = Field(
        default=True, description="Standardise each song to mean 0 and standard deviation 1."
    )
    num_hidden_channels: int = Field(
        default=64, ge=4, le=512, multiple_of=4, description="Number of channels of the first layer."
    )
    depth: int = Field(default=6, ge=1, le=8, description="Number of layers of encoder and decoder.")
    doubled: bool = Field(default=True, description="Run the layers at twice the sample rate.")
    levelled: bool = Field(
        default=True, description="Standardise each chunk to mean 0 and standard deviation 1 within the net."
    )
    activation: Literal["gelu", "relu"] = Field(default="gelu", description="Activation of the layers.")
    context: int = Field(
        default=1, ge=0, le=8, description="Steps of context on either side when the decoder mixes channels."
    )
    recurrence_depth: int = Field(
        default=0, ge=0, le=8, description="Number of LSTM layers between encoder and decoder; 0: none."
    )
    branches: Literal["none", "encoder", "both"] = Field(
        default="encoder", description="Where to use residual branches."
    )
    branch_compress: float = Field(
        default=4, ge=1, le=64, description="Factor by which residual branches reduce the number of channels."
    )
    branch_depth: int = Field(
        default=2, ge=1, le=8, description="Number of convolutions in a residual branch."
    )
    norm_from: int = Field(default=4, ge=0, le=8, description="Index of the first layer with norms.")
    recurrent_from: int = Field(
        default=4, ge=0, le=8, description="Index of the first layer with an LSTM in its residual branch."
    )
    attentive_from: int = Field(
        default=4, ge=0, le=8, description="Index of the first layer with attention in its residual branch."
    )

    @model_validator(mode="after")
    def _check_branches(self) -> Self:
        if self.branches != "none" and self.num_hidden_channels < self.branch_compress:
            raise ValueError(
                f"`branch_compress` is {self.branch_compress:g}: at most `num_hidden_channels` "
                f"({self.num_hidden_channels})"
            )
        return self
