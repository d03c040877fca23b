"""Settings of the U-Nets."""

from typing import Any, Literal, Self, get_args

from pydantic import Field, model_validator

from auralflow.config import ModelConfig

__all__ = ["NETS", "MaskActivation", "NetName", "RecurrentNetConfig", "SpectrogramNetConfig"]

NetName = Literal["SpectrogramNetSimple", "SpectrogramNetLSTM", "SpectrogramNetVAE"]
NETS: tuple[NetName, ...] = get_args(NetName)
"""The nets, from the smallest to the largest."""

MaskActivation = Literal[
    "sigmoid", "relu", "leaky_relu", "hardtanh", "tanh", "softmax", "prelu", "selu", "elu"
]


class SpectrogramNetConfig(ModelConfig):
    """Settings of a U-Net on magnitude spectrograms."""

    net: NetName = Field(default="SpectrogramNetSimple", description="Architecture.")
    net_version: Literal[1, 2] = Field(
        default=1,
        description="Version of the net: 1, the first; 2, faster, with bands folded into channels and dense "
        "layers over frequency.",
    )
    num_hidden_channels: int = Field(
        default=16,
        ge=1,
        le=256,
        description="Number of channels of the first level; doubles with each level down.",
    )
    dropout_p: float = Field(
        default=0.4, ge=0, lt=1, description="Probability of dropout around the bottleneck."
    )
    leak_factor: float = Field(
        default=0,
        ge=0,
        le=1,
        description="Negative slope of the mask activation leaky_relu; unused by the others.",
    )
    normalize_input: bool = Field(
        default=False, description="Learn to centre and scale each frequency bin of the input."
    )
    normalize_output: bool = Field(
        default=False, description="Learn to centre and scale each frequency bin of the output."
    )
    mask_act_fn: MaskActivation = Field(
        default="sigmoid", description="Activation of the mask, whose output is clamped to [0, 1]."
    )
    num_fft: int = Field(
        default=1024,
        ge=64,
        le=65536,
        multiple_of=2,
        description="Length of the Fourier transform in samples.",
    )
    window_size: int = Field(
        default=1024, ge=16, le=65536, description="Length of the window in samples, at most --num-fft."
    )
    hop_length: int = Field(
        default=512, ge=1, le=32768, description="Samples between frames, at most half the window."
    )

    @model_validator(mode="after")
    def _check_transform(self) -> Self:
        if self.window_size > self.num_fft:
            raise ValueError(f"`window_size` is {self.window_size}: at most `num_fft` ({self.num_fft})")
        if 2 * self.hop_length > self.window_size:
            raise ValueError(
                f"`hop_length` is {self.hop_length}: at most half of `window_size` ({self.window_size // 2})"
            )
        if self.chunk_samples < self.num_fft:
            raise ValueError(
                f"`sample_length` is {self.sample_length:g} s: at least `num_fft` ({self.num_fft} samples)"
            )
        if self.mask_act_fn == "softmax" and len(self.targets) == 1:
            raise ValueError(
                "`mask_act_fn` softmax with one target gives a mask of ones: choose several targets"
            )
        return self

    def written(self, values: dict[str, Any]) -> dict[str, Any]:
        """Values without the family, its overlap and version 1, the defaults of files without them."""
        kept = {name: value for name, value in values.items() if name not in ("family", "overlap")}
        if self.net_version == 1:
            del kept["net_version"]
        if self.overlap != SpectrogramNetConfig.model_fields["overlap"].default:
            kept["overlap"] = self.overlap
        # Journals contain hashes of this; the order is that of existing files.
        first = ("format_version", "net", "targets", "num_channels", "num_hidden_channels")
        return {name: kept[name] for name in (*first, *kept) if name in kept}

    @property
    def num_bins(self) -> int:
        """Number of frequency bins."""
        return self.num_fft // 2 + 1

    @property
    def num_frames(self) -> int:
        """Number of frames in a chunk."""
        return -(-self.chunk_samples // self.hop_length) + 1


class RecurrentNetConfig(SpectrogramNetConfig):
    """Settings of a U-Net with a recurrent bottleneck."""

    net: NetName = Field(default="SpectrogramNetLSTM", description="Architecture.")
    recurrent_depth: int = Field(default=3, ge=1, le=16, description="Number of LSTM layers.")
    hidden_size: int = Field(
        default=1024,
        ge=2,
        le=16384,
        multiple_of=2,
        description="Number of LSTM features, both directions together.",
    )
    input_axis: Literal[0, 1] = Field(
        default=1,
        description="Axis of the sequence. 0: over time, with channels x frequency as features; "
        "1: over frequency, with channels x time as features, which fixes the chunk's length.",
    )
