"""Every setting of auralflow: its type, default, bounds and help. Loads no torch.

One schema serves three faces: the options of the command line, the JSON files in a model folder and the
keyword arguments in Python. Settings are frozen, and an unknown key is an error with a suggestion.

Example:
    >>> ModelConfig(net="SpectrogramNetSimple", targets=("vocals",)).hop_length
    512
    >>> parse_settings(SeparateConfig, {"overlop": 0.5}, source="settings.json")
    Traceback (most recent call last):
    auralflow.errors.SettingsError: settings.json: unknown setting 'overlop'. Did you mean 'overlap'?
"""

import difflib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, Self, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from auralflow.errors import NotFoundError, SettingsError

__all__ = [
    "NETS",
    "RECURRENT_NETS",
    "SOURCES",
    "EvaluateConfig",
    "ModelConfig",
    "NetName",
    "RecurrentModelConfig",
    "SeparateConfig",
    "Settings",
    "SynthConfig",
    "TrainConfig",
    "model_config_type",
    "option_name",
    "parse_settings",
    "read_settings",
    "settings_error",
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
CriterionName = Literal["component", "kl_div", "l1", "l2", "mask", "si_sdr", "rmse", "complex_l1"]

FORMAT_VERSION = 1
"""Version of ``model.json``; a higher one than this is refused."""

DEVICE_PATTERN = r"^(auto|cpu|mps|cuda(:\d+)?)$"


class Settings(BaseModel):
    """Base of all settings: frozen, strict about unknown keys, ``-`` accepted for ``_`` in choices."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _accept_hyphens(cls, value: Any, info: Any) -> Any:
        choices = get_args(cls.model_fields[info.field_name].annotation)
        if isinstance(value, str) and value not in choices and value.replace("-", "_") in choices:
            return value.replace("-", "_")
        return value


class ModelConfig(Settings):
    """Settings of a model: what `auralflow config` writes to ``model.json``."""

    format_version: Literal[1] = Field(1, description="Version of this file's format.")
    net: NetName = Field("SpectrogramNetSimple", description="Architecture.")
    targets: tuple[str, ...] = Field(("vocals",), min_length=1, description="Sources to be estimated.")
    num_channels: int = Field(1, ge=1, le=8, description="Number of audio channels.")
    num_hidden_channels: int = Field(
        16, ge=1, le=256, description="Channels of the first level; each level down has twice as many."
    )
    sample_length: float = Field(3, gt=0, le=600, description="Length of an audio chunk in seconds.")
    sample_rate: int = Field(44100, ge=1000, le=384000, description="Sample rate in hertz.")
    dropout_p: float = Field(0.4, ge=0, lt=1, description="Probability of dropout around the bottleneck.")
    leak_factor: float = Field(
        0, ge=0, le=1, description="Negative slope of the leaky_relu mask activation; acts only there."
    )
    normalize_input: bool = Field(
        False, description="Learn to centre and scale each frequency bin of the input."
    )
    normalize_output: bool = Field(
        False, description="Learn to centre and scale each frequency bin of the output."
    )
    mask_act_fn: MaskActivation = Field(
        "sigmoid", description="Activation of the mask, which is then clamped to [0, 1]."
    )
    num_fft: int = Field(1024, ge=64, le=65536, multiple_of=2, description="Length of the Fourier transform.")
    window_size: int = Field(1024, ge=16, le=65536, description="Length of the window, at most --num-fft.")
    hop_length: int = Field(
        512, ge=1, le=32768, description="Samples between frames, at most half the window."
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
                f"--sample-length is {self.sample_length:g} s: at least one --num-fft ({self.num_fft} samples)"
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

    net: NetName = Field("SpectrogramNetLSTM", description="Architecture.")
    recurrent_depth: int = Field(3, ge=1, le=16, description="Number of LSTM layers.")
    hidden_size: int = Field(
        1024, ge=2, le=16384, multiple_of=2, description="Features of the LSTM, both directions together."
    )
    input_axis: Literal[0, 1] = Field(
        1,
        description="Axis of the sequence. 0: over time, with channels x frequency as features; "
        "1: over frequency, with channels x time as features, which fixes the chunk's length.",
    )

    @field_validator("input_axis", mode="before")
    @classmethod
    def _accept_digits(cls, value: Any) -> Any:
        return int(value) if value in ("0", "1") else value


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


class TrainConfig(Settings):
    """Settings of a training run: ``trainer.json``."""

    max_tracks: int = Field(80, ge=1, description="Number of tracks that chunks are drawn from.")
    max_samples: int = Field(10000, ge=1, description="Number of training chunks in an epoch.")
    valid_samples: int = Field(200, ge=1, description="Number of fixed validation chunks, at most.")
    batch_size: int = Field(32, ge=1, description="Chunks in a batch, per process.")
    num_workers: int = Field(8, ge=0, description="Worker processes that read chunks, at most one a core.")
    persistent_workers: bool = Field(False, description="Keep the workers alive between epochs.")
    pin_memory: bool = Field(False, description="Pin batches in memory for faster copies to a GPU.")
    pre_fetch: int = Field(4, ge=1, description="Batches that each worker reads ahead.")
    max_epochs: int = Field(100, ge=1, description="Number of epochs to train for.")
    lr: float = Field(0.01, gt=0, description="Learning rate.")
    lr_lstm: float = Field(0.00001, gt=0, description="Learning rate of the LSTM layers.")
    weight_decay: float = Field(0.01, ge=0, description="Weight decay of AdamW.")
    warmup_steps: int = Field(0, ge=0, description="Steps over which the learning rate rises from nearly 0.")
    ema_decay: float = Field(
        0,
        ge=0,
        lt=1,
        description="Decay of a moving average of the weights, which is then what is kept; 0: off.",
    )
    criterion: CriterionName = Field("si_sdr", description="Loss criterion.")
    construction_loss: Literal["l1", "l2"] = Field("l2", description="Construction loss of kl_div.")
    kl_weight: float = Field(
        0.001, ge=0, description="Weight of a VAE's KL term, which is added to any criterion."
    )
    alpha: float = Field(0.2, ge=0, description="Weight of the first term of component: the target.")
    beta: float = Field(0.8, ge=0, description="Weight of the second term of component: the residual.")
    gamma: float = Field(0, ge=0, description="Weight of the third term of component: the residual's shape.")
    reduction: Literal["mean", "sum"] = Field("mean", description="Whether the loss is averaged or summed.")
    best_perm: bool = Field(
        False, description="With si_sdr, score the permutation of the targets with the smallest loss."
    )
    use_amp: bool = Field(False, description="Mixed precision, where CUDA is available.")
    scale_grad: bool = Field(
        False, description="Scale gradients in mixed precision, where CUDA is available."
    )
    init_scale: float = Field(65536, gt=0, description="Initial scale of the gradients.")
    clip_grad: bool = Field(False, description="Clip gradients.")
    max_grad_norm: float = Field(1000, gt=0, description="Largest 2-norm of all gradients, if clipped.")
    stop_patience: int = Field(
        5, ge=1, description="Epochs without improvement before the learning rate drops: a plateau."
    )
    max_plateaus: int = Field(5, ge=1, description="Plateaus before training stops.")
    min_delta: float = Field(0.01, ge=0, description="Smallest drop of the validation loss that counts.")
    remix: float = Field(
        1, ge=0, le=1, description="Share of chunks mixed from stems of different tracks, level-matched."
    )
    seed: int = Field(0, ge=0, description="Seed of weights and chunks.")
    silent: bool = Field(False, description="Do not report checkpoints.")


class SeparateConfig(Settings):
    """Settings of `auralflow separate`."""

    residual: bool = Field(False, description="Write residual.wav too: the original minus the targets.")
    duration: float | None = Field(None, gt=0, description="Separate the first seconds only. Default: all.")
    save: Path = Field(Path(), description="Folder in which separated_audio/ is made.")
    overlap: float = Field(0.25, ge=0, lt=1, description="Share of a chunk that the next one covers again.")
    batch_size: int = Field(4, ge=1, description="Chunks that the net sees at once.")
    device: str = Field("auto", pattern=DEVICE_PATTERN, description="auto, cpu, cuda, cuda:N or mps.")


class EvaluateConfig(Settings):
    """Settings of `auralflow evaluate`."""

    subset: Literal["train", "valid", "test"] = Field("test", description="Part of the dataset to score.")
    save: Path | None = Field(None, description="JSON file for the scores.")
    overlap: float = Field(0.25, ge=0, lt=1, description="Share of a chunk that the next one covers again.")
    batch_size: int = Field(4, ge=1, description="Chunks that the net sees at once.")
    device: str = Field("auto", pattern=DEVICE_PATTERN, description="auto, cpu, cuda, cuda:N or mps.")


class SynthConfig(Settings):
    """Settings of `auralflow synth`."""

    tracks: int = Field(10, ge=1, description="Number of songs.")
    seed: int = Field(0, ge=0, description="Seed of the songs.")
    seconds: float = Field(30, gt=0, le=3600, description="Length of a song in seconds.")
    sample_rate: int = Field(44100, ge=8000, le=192000, description="Sample rate in hertz.")


AnySettings = TypeVar("AnySettings", bound=Settings)


def option_name(field: str) -> str:
    """The option of the command line for a field: ``num_fft`` to ``--num-fft``."""
    return "--" + field.replace("_", "-")


def suggestion(word: str, known: tuple[str, ...] | list[str]) -> str:
    """Return ``" (did you mean …?)"`` for a word that is nearly a known one, else an empty string."""
    close = difflib.get_close_matches(word, known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def settings_error(
    error: ValidationError, fields: list[str], *, source: str = "", name: Callable[[str], str] = str
) -> SettingsError:
    """Turn pydantic's several lines into one line that names the setting as the user wrote it.

    Args:
        error: What pydantic raised.
        fields: Names of the known settings, for suggestions.
        source: File that the settings come from, if any.
        name: How a field is written there: `option_name` for the command line.
    """
    first = error.errors()[0]
    prefix = f"{source}: " if source else ""
    field = str(first["loc"][0]) if first["loc"] else ""
    if first["type"] == "extra_forbidden":
        close = difflib.get_close_matches(field, fields, n=1)
        advice = f"Did you mean {name(close[0])!r}?" if close else f"Known: {', '.join(map(name, fields))}."
        return SettingsError(f"{prefix}unknown setting {name(field)!r}", advice=advice)
    if not field:
        # A check across settings already names them as options.
        return SettingsError(prefix + first["msg"].removeprefix("Value error, "))
    return SettingsError(f"{prefix}{name(field)} is {first['input']!r}: {_complaint(first)}")


def _complaint(detail: ErrorDetails) -> str:
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "string_pattern_mismatch":
        return "must be auto, cpu, cuda, cuda:N or mps"
    return message.replace("Input should be", "must be").replace("Field required", "is missing")


def parse_settings(kind: type[AnySettings], values: Mapping[str, Any], *, source: str = "") -> AnySettings:
    """Check values against a schema.

    Args:
        kind: The settings class.
        values: Setting names and values.
        source: File that the values come from, for messages.

    Returns:
        The checked settings.

    Raises:
        SettingsError: If a setting is unknown or out of range; one line.
    """
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        raise settings_error(error, list(kind.model_fields), source=source) from None


def read_settings(path: Path) -> dict[str, Any]:
    """Read the JSON object in a settings file.

    Raises:
        NotFoundError: If there is no such file.
        SettingsError: If it is not a JSON object.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotFoundError(f"no such file: '{path}'") from None
    except (OSError, ValueError) as error:
        raise SettingsError(f"cannot read '{path}'", found=str(error), expected="a JSON object") from None
    if not isinstance(values, dict):
        raise SettingsError(
            f"cannot use '{path}'", found=f"a JSON {type(values).__name__}", expected="a JSON object"
        )
    return values
