"""Settings of a model."""

from typing import Literal, Self, get_args

from pydantic import Field, field_validator, model_validator

from auralflow.config.base import Settings, suggestion
from auralflow.errors import SettingsError

__all__ = [
    "FORMAT_VERSION",
    "NETS",
    "RECURRENT_NETS",
    "SOURCES",
    "MaskActivation",
    "ModelConfig",
    "NetName",
    "RecurrentModelConfig",
    "model_config_type",
]

NetName = Literal["SpectrogramNetSimple", "SpectrogramNetLSTM", "SpectrogramNetVAE"]
NETS: tuple[NetName, ...] = get_args(NetName)
RECURRENT_NETS: tuple[NetName, ...] = ("SpectrogramNetLSTM", "SpectrogramNetVAE")

SOURCES = ("vocals", "drums", "bass", "other")
"""The four sources of MUSDB18, in the order in which targets are stored."""

RESERVED_TARGETS = ("mixture", "original", "residual")

MaskActivation = Literal[
    "sigmoid", "relu", "leaky_relu", "hardtanh", "tanh", "softmax", "prelu", "selu", "elu"
]

FORMAT_VERSION = 1
"""Version of ``model.json``; another one is refused."""


class ModelConfig(Settings):
    """Settings of a model: what `auralflow config` writes to ``model.json``."""

    format_version: Literal[1] = Field(default=1, description="Version of this file's format.")
    net: NetName = Field(default="SpectrogramNetSimple", description="Architecture.")
    targets: tuple[str, ...] = Field(
        default=("vocals",), min_length=1, description="Sources to be estimated."
    )
    num_channels: int = Field(default=1, ge=1, le=8, description="Number of audio channels.")
    num_hidden_channels: int = Field(
        default=16,
        ge=1,
        le=256,
        description="Channels of the first level; each level down has twice as many.",
    )
    sample_length: float = Field(default=3, gt=0, le=600, description="Length of an audio chunk in seconds.")
    sample_rate: int = Field(default=44100, ge=1000, le=384000, description="Sample rate in hertz.")
    dropout_p: float = Field(
        default=0.4, ge=0, lt=1, description="Probability of dropout around the bottleneck."
    )
    leak_factor: float = Field(
        default=0,
        ge=0,
        le=1,
        description="Negative slope of the leaky_relu mask activation; acts only there.",
    )
    normalize_input: bool = Field(
        default=False, description="Learn to centre and scale each frequency bin of the input."
    )
    normalize_output: bool = Field(
        default=False, description="Learn to centre and scale each frequency bin of the output."
    )
    mask_act_fn: MaskActivation = Field(
        default="sigmoid", description="Activation of the mask, which is then clamped to [0, 1]."
    )
    num_fft: int = Field(
        default=1024, ge=64, le=65536, multiple_of=2, description="Length of the Fourier transform."
    )
    window_size: int = Field(
        default=1024, ge=16, le=65536, description="Length of the window, at most --num-fft."
    )
    hop_length: int = Field(
        default=512, ge=1, le=32768, description="Samples between frames, at most half the window."
    )

    @field_validator("targets")
    @classmethod
    def _check_targets(cls, targets: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(targets)) != len(targets):
            raise ValueError("holds a target twice")
        for target in targets:
            plain = target.replace("_", "").replace("-", "").replace(" ", "")
            if not plain.isalnum() or target in RESERVED_TARGETS:
                raise ValueError(f"holds {target!r}, which cannot be the name of a stem's file")
        return targets

    @model_validator(mode="after")
    def _check_transform(self) -> Self:
        if self.window_size > self.num_fft:
            raise ValueError(f"--window-size is {self.window_size}: at most --num-fft ({self.num_fft})")
        if 2 * self.hop_length > self.window_size:
            raise ValueError(
                f"--hop-length is {self.hop_length}: at most half of --window-size ({self.window_size // 2})"
            )
        if self.chunk_samples < self.num_fft:
            raise ValueError(
                f"--sample-length is {self.sample_length:g} s: at least --num-fft ({self.num_fft} samples)"
            )
        if self.mask_act_fn == "softmax" and len(self.targets) == 1:
            raise ValueError(
                "--mask-act-fn softmax over one target is a mask of ones: choose several targets"
            )
        return self

    @property
    def chunk_samples(self) -> int:
        """Length of a chunk in samples."""
        return round(self.sample_length * self.sample_rate)

    @property
    def num_bins(self) -> int:
        """Number of frequency bins."""
        return self.num_fft // 2 + 1

    @property
    def num_frames(self) -> int:
        """Number of frames in a chunk."""
        return -(-self.chunk_samples // self.hop_length) + 1


class RecurrentModelConfig(ModelConfig):
    """Settings of a model with a recurrent bottleneck."""

    net: NetName = Field(default="SpectrogramNetLSTM", description="Architecture.")
    recurrent_depth: int = Field(default=3, ge=1, le=16, description="Number of LSTM layers.")
    hidden_size: int = Field(
        default=1024,
        ge=2,
        le=16384,
        multiple_of=2,
        description="Features of the LSTM, both directions together.",
    )
    input_axis: Literal[0, 1] = Field(
        default=1,
        description="Axis of the sequence. 0: over time, with channels x frequency as features; "
        "1: over frequency, with channels x time as features, which fixes the chunk's length.",
    )


def model_config_type(net: str) -> type[ModelConfig]:
    """The settings class of a net.

    Args:
        net: One of `NETS`.

    Raises:
        SettingsError: If there is no such net.

    Example:
        >>> model_config_type("SpectrogramNetVAE").__name__
        'RecurrentModelConfig'
    """
    if net not in NETS:
        raise SettingsError(f"unknown net {net!r}{suggestion(net, NETS)}", expected=", ".join(NETS))
    return RecurrentModelConfig if net in RECURRENT_NETS else ModelConfig
