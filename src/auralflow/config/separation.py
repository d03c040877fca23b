"""Settings of a separation."""

import re
import string
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from auralflow.audio.formats import FORMATS, STEM_FORMATS
from auralflow.config.base import DEVICE_PATTERN, Settings, split_words

__all__ = ["AudioFormat", "EngineConfig", "SeparateConfig", "StemConfig"]

if TYPE_CHECKING:
    AudioFormat = str
else:
    AudioFormat = Literal[STEM_FORMATS]


class EngineConfig(Settings):
    """How a `Separator` estimates targets from a signal: its keyword arguments."""

    targets: tuple[str, ...] | None = Field(
        default=None, description="Targets to estimate, as in vocals,bass. Default: all."
    )
    two_stems: str | None = Field(
        default=None,
        description="Estimate this target and everything else, which sum to the original: vocals gives "
        "vocals and instrumental (a cappella and karaoke), drums gives drums and no_drums.",
    )
    overlap: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="Fraction of a chunk that overlaps the next one. Default: the model's, usually 0.25.",
    )
    chunk: float | None = Field(
        default=None,
        gt=0,
        le=600,
        description="Length of a chunk in seconds, for nets that take any length; the overlap in seconds is "
        "unchanged. Default: the model's.",
    )
    window: Literal["published", "cross_fade"] = Field(
        default="published",
        description="How the estimates of overlapping chunks are combined: as the model was published and "
        "scored, or with auralflow's linear cross-fades, which skip chunks that cover nothing new.",
    )
    shifts: int = Field(
        default=1, ge=1, le=32, description="Number of passes to average, each with shifted chunks."
    )
    wiener: int | None = Field(
        default=None,
        ge=0,
        le=16,
        description="Iterations of multichannel Wiener filtering. Default: the model's, usually 0.",
    )
    phase: Literal["mixture", "griffin_lim"] = Field(
        default="mixture",
        description="Phase of the targets: the mixture's, or refined with Griffin-Lim.",
    )
    consistent: bool = Field(
        default=False,
        description="Distribute the residual over the targets, so that they sum to the original.",
    )
    batch_size: int | None = Field(
        default=None, ge=1, description="Number of chunks per batch. Default: depends on the device."
    )
    device: str = Field(default="auto", pattern=DEVICE_PATTERN, description="auto, cpu, cuda, cuda:N or mps.")
    backend: Literal["torch", "onnx"] = Field(
        default="torch",
        description="Library that runs the net; onnx runs on the CPU and needs the extra onnx.",
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto",
        description="Number format that the net computes in; auto picks bfloat16 if a short measurement "
        "shows it to be faster on this machine and the model is known to lose little quality.",
    )

    @model_validator(mode="after")
    def _check_two_stems(self) -> Self:
        if self.two_stems and self.targets:
            raise ValueError(
                "`two_stems` and `targets` exclude each other: two stems are one target and everything else"
            )
        return self

    @model_validator(mode="after")
    def _check_precision(self) -> Self:
        if self.precision == "bfloat16" and self.backend == "onnx":
            raise ValueError("`precision` bfloat16 needs `backend` torch: the exported graph is in float32")
        return self

    def identity(self) -> dict[str, Any]:
        """The settings that determine the targets, as JSON values, without those that only affect speed.

        Example:
            >>> EngineConfig(batch_size=3).identity() == EngineConfig(device="cpu").identity()
            True
        """
        fast = {"batch_size", "device", "backend"}
        # Keeps journals valid that are older than these settings.
        later = {"two_stems": None, "window": "published"}
        absent = {name for name, usual in later.items() if getattr(self, name) == usual}
        return self.model_dump(mode="json", include=set(EngineConfig.model_fields) - fast - absent)

    @field_validator("targets", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return split_words(value)


_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')
"""Characters that some operating system does not allow in a file name."""


def _check_pattern(pattern: str) -> None:
    """Reject a pattern that is malformed, gives all stems of a song the same name, or leaves the folder."""
    try:
        parts = list(string.Formatter().parse(pattern))
    except ValueError as error:
        raise ValueError(f"not a pattern: {error}") from None
    fields = [(field, form, conversion) for _, field, form, conversion in parts if field is not None]
    if any(field not in (("track", "", None), ("stem", "", None)) for field in fields):
        raise ValueError("only {track} and {stem} may appear in braces")
    if ("stem", "", None) not in fields:
        raise ValueError("{stem} is missing: all stems of a song would have the same name")
    text = "".join(literal for literal, *_ in parts)
    if _FORBIDDEN.search(text) or pattern.startswith(".") or len(text) > 100:
        raise ValueError("must be valid in a file name: no slashes or similar, no leading dot")


class StemConfig(Settings):
    """Which files to write for a song, and how."""

    residual: bool = Field(
        default=False, description="Also write the residual: the original minus the targets."
    )
    layout: Literal["tree", "flat"] = Field(
        default="tree",
        description="Write one folder per song, mirroring the input folders, or all files into one folder.",
    )
    name: str | None = Field(
        default=None,
        description="Pattern for file names, with {track} and {stem}. Default: {stem}, or {track} - {stem} "
        "with --layout flat.",
    )
    original: bool = Field(default=True, description="Also write the original, as it was separated.")
    start: float = Field(default=0, ge=0, description="Skip this many seconds at the beginning.")
    duration: float | None = Field(
        default=None, gt=0, description="Separate only this many seconds. Default: to the end."
    )
    format: AudioFormat = Field(default="wav", description="Audio format of the files.")
    subtype: str | None = Field(
        default=None,
        description="Sample format, such as PCM_16, PCM_24 or FLOAT. Default: the bit depth of the input.",
    )
    bitrate: int | None = Field(
        default=None,
        description="Bit rate of a lossy format in kbit/s, such as 192. Default: depends on the format.",
    )
    clip: Literal["gain", "error", "float"] = Field(
        default="gain",
        description="If a stem exceeds full scale: lower all files of the song by the same gain, fail, or "
        "write the song as float.",
    )

    @field_validator("subtype")
    @classmethod
    def _upper(cls, subtype: str | None) -> str | None:
        return subtype.upper().replace("-", "_") if subtype else None

    @field_validator("bitrate", mode="before")
    @classmethod
    def _without_unit(cls, bitrate: Any) -> Any:
        return bitrate.lower().removesuffix("k") if isinstance(bitrate, str) else bitrate

    @property
    def name_pattern(self) -> str:
        """The pattern for file names, without the extension."""
        return self.name or ("{track} - {stem}" if self.layout == "flat" else "{stem}")

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str | None) -> str | None:
        if name is not None:
            _check_pattern(name)
        return name

    @model_validator(mode="after")
    def _check_layout(self) -> Self:
        if self.layout == "flat" and "{track}" not in self.name_pattern:
            raise ValueError("`layout` flat needs {track} in `name`: all files share one folder")
        return self

    @model_validator(mode="after")
    def _check_bitrate(self) -> Self:
        known = FORMATS[self.format].bitrates
        if self.bitrate is None or self.bitrate in known:
            return self
        if not known:
            raise ValueError(f"`bitrate` is for lossy formats: {self.format} is lossless")
        most = f"{known[0]} to {known[-1]}" if isinstance(known, range) else ", ".join(map(str, known))
        raise ValueError(f"`bitrate` is {self.bitrate}: {self.format} allows {most}")

    def file_identity(self) -> dict[str, Any]:
        """The settings that determine the files, as JSON values; newer settings only if they were changed.

        Example:
            >>> StemConfig().file_identity() == StemConfig(original=False).file_identity()
            False
        """
        values = self.model_dump(mode="json", include=set(StemConfig.model_fields))
        # Songs finished before a setting was introduced stay finished.
        later = {"original": True, "bitrate": None, "layout": "tree", "name": None}
        return {name: value for name, value in values.items() if name not in later or value != later[name]}

    @model_validator(mode="after")
    def _check_clip(self) -> Self:
        if self.clip == "float" and FORMATS[self.format].natural_subtype("FLOAT") != "FLOAT":
            raise ValueError(f"`clip` float needs `format` wav: {self.format} has no float samples")
        return self


class SeparateConfig(StemConfig, EngineConfig):
    """Settings of `auralflow separate`."""

    save: Path = Field(default=Path(), description="Write to separated_audio/ in this folder.")
    from_file: str | None = Field(
        default=None,
        description="Also separate the songs listed in this file, one per line or separated by NUL; - reads "
        "standard input.",
        json_schema_extra={"parameter": {"allow_leading_hyphen": True}},
    )
    shard: str | None = Field(
        default=None,
        description="Separate one shard of the songs, as in 3/10, for machines that do not share a disk.",
    )
    only_failed: bool = Field(
        default=False, description="Separate only the songs listed in failed.txt in the output folder."
    )
    accept_failed: bool = Field(
        default=False, description="Exit with code 0 even if songs failed, or if there are none."
    )
    jobs: int = Field(default=1, ge=1, le=256, description="Number of songs to separate in parallel.")
    executor: Literal["local", "ray"] = Field(
        default="local",
        description="Where to separate: on this machine, or as tasks on a Ray cluster (extra ray).",
    )
    address: str | None = Field(
        default=None,
        description="Address of the Ray cluster. Default: start a temporary one on this machine.",
    )

    @model_validator(mode="before")
    @classmethod
    def _take_former_name(cls, values: Any) -> Any:
        """Accept ``engine``, the former name of ``executor``."""
        if isinstance(values, dict) and "engine" in values and "executor" not in values:
            return {("executor" if name == "engine" else name): value for name, value in values.items()}
        return values

    @field_validator("shard")
    @classmethod
    def _check_shard(cls, shard: str | None) -> str | None:
        if shard is not None:
            match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", shard)
            if not match or not 1 <= int(match[1]) <= int(match[2]):
                raise ValueError("must be of the form INDEX/COUNT, such as 1/10 to 10/10")
        return shard

    @property
    def share(self) -> tuple[int, int] | None:
        """Index of the shard, counted from 1, and the number of shards; None for all songs."""
        if self.shard is None:
            return None
        number, count = self.shard.split("/")
        return int(number), int(count)

    @model_validator(mode="after")
    def _check_residual(self) -> Self:
        if self.two_stems and self.residual:
            raise ValueError(
                "`residual` would be silent with `two_stems`, whose stems sum to the original: leave it out"
            )
        return self

    @model_validator(mode="after")
    def _check_executor(self) -> Self:
        if self.address and self.executor == "local":
            raise ValueError("`address` needs `executor` ray: otherwise nothing is sent anywhere")
        if self.jobs > 1 and self.executor == "ray":
            raise ValueError("`jobs` needs `executor` local: a cluster runs as many songs as it has cores")
        return self
