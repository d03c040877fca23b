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
    """How a `Separator` turns a signal into targets: its keyword arguments."""

    targets: tuple[str, ...] | None = Field(
        default=None, description="Targets to be written, as in vocals,bass. Default: all that the model has."
    )
    two_stems: str | None = Field(
        default=None,
        description="Write two stems that sum to the original: this target and all the rest. vocals gives "
        "vocals and instrumental (karaoke and a cappella), drums gives drums and no_drums.",
    )
    overlap: float | None = Field(
        default=None,
        ge=0,
        lt=1,
        description="Share of a chunk that the next one covers again. Default: the model's own, mostly 0.25.",
    )
    chunk: float | None = Field(
        default=None,
        gt=0,
        le=600,
        description="Seconds that the net sees at once, for nets of any length; the overlap stays as long as "
        "it is for the model's own chunks. Default: the model's own.",
    )
    window: Literal["published", "cross_fade"] = Field(
        default="published",
        description="How the estimates of chunks that overlap become one: as the model is published and "
        "scored, or by auralflow's own linear fades, for which no chunk starts that covers nothing new.",
    )
    shifts: int = Field(
        default=1, ge=1, le=32, description="Average over this many passes, each with its chunks elsewhere."
    )
    wiener: int | None = Field(
        default=None,
        ge=0,
        le=16,
        description="Iterations of multichannel Wiener filtering. Default: the model's own, mostly 0.",
    )
    phase: Literal["mixture", "griffin_lim"] = Field(
        default="mixture",
        description="Phase of the targets: the mixture's, or moved to fit by Griffin and Lim.",
    )
    consistent: bool = Field(
        default=False, description="Share out what is left over, so that the targets sum to the original."
    )
    batch_size: int | None = Field(
        default=None, ge=1, description="Chunks that the net sees at once. Default: what suits the device."
    )
    device: str = Field(default="auto", pattern=DEVICE_PATTERN, description="auto, cpu, cuda, cuda:N or mps.")
    backend: Literal["torch", "onnx"] = Field(
        default="torch", description="What runs the net; onnx, on the CPU, needs the extra onnx."
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto",
        description="Numbers that the net computes with; auto takes bfloat16 where a short measurement finds "
        "it faster here, and the model has been shown to lose little by it.",
    )

    @model_validator(mode="after")
    def _check_two_stems(self) -> Self:
        if self.two_stems and self.targets:
            raise ValueError(
                "--two-stems and --targets exclude each other: two stems are a target and the rest"
            )
        return self

    @model_validator(mode="after")
    def _check_precision(self) -> Self:
        if self.precision == "bfloat16" and self.backend == "onnx":
            raise ValueError("--precision bfloat16 is for --backend torch: the exported graph is in float32")
        return self

    def identity(self) -> dict[str, Any]:
        """The settings that decide what the targets are, as JSON values: not those that only make it fast.

        Example:
            >>> EngineConfig(batch_size=3).identity() == EngineConfig(device="cpu").identity()
            True
        """
        fast = {"batch_size", "device", "backend"}
        # Journals from before there were these settings stay valid.
        later = {"two_stems": None, "window": "published"}
        absent = {name for name, usual in later.items() if getattr(self, name) == usual}
        return self.model_dump(mode="json", include=set(EngineConfig.model_fields) - fast - absent)

    @field_validator("targets", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return split_words(value)


_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')
"""What a name may not hold on one system or another."""


def _check_pattern(pattern: str) -> None:
    """Refuse a pattern that is none, gives all stems of a song one name, or leads to another folder."""
    try:
        parts = list(string.Formatter().parse(pattern))
    except ValueError as error:
        raise ValueError(f"not a pattern: {error}") from None
    fields = [(field, form, conversion) for _, field, form, conversion in parts if field is not None]
    if any(field not in (("track", "", None), ("stem", "", None)) for field in fields):
        raise ValueError("only {track} and {stem} may stand in braces")
    if ("stem", "", None) not in fields:
        raise ValueError("{stem} is missing: all stems of a song would have one name")
    text = "".join(literal for literal, *_ in parts)
    if _FORBIDDEN.search(text) or pattern.startswith(".") or len(text) > 100:
        raise ValueError("must be part of a file's name: no slash and the like, no dot in front")


class StemConfig(Settings):
    """What is written of a song."""

    residual: bool = Field(
        default=False, description="Write the residual too: the original minus the targets."
    )
    layout: Literal["tree", "flat"] = Field(
        default="tree",
        description="Write a folder for each song, in the tree of the folders they come from, or all files "
        "into one folder.",
    )
    name: str | None = Field(
        default=None,
        description="Name files by this pattern of {track} and {stem}. Default: {stem}, or {track} - {stem} "
        "with --layout flat.",
    )
    original: bool = Field(default=True, description="Write the original too, as it was separated.")
    start: float = Field(default=0, ge=0, description="Leave out the first seconds.")
    duration: float | None = Field(
        default=None, gt=0, description="Separate this many seconds only, from the start on. Default: all."
    )
    format: AudioFormat = Field(default="wav", description="Format of the files.")
    subtype: str | None = Field(
        default=None,
        description="Encoding in the format, such as PCM_16, PCM_24 or FLOAT. Default: the input's depth.",
    )
    bitrate: int | None = Field(
        default=None,
        description="Kilobits per second of a lossy format, such as 192. Default: the format's own choice.",
    )
    clip: Literal["gain", "error", "float"] = Field(
        default="gain",
        description="When a stem exceeds full scale: lower all files of the song by one gain, fail, or "
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
        """The pattern of the files' names, without their ending."""
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
            raise ValueError("--layout flat needs {track} in --name: all files lie in one folder")
        return self

    @model_validator(mode="after")
    def _check_bitrate(self) -> Self:
        known = FORMATS[self.format].bitrates
        if self.bitrate is None or self.bitrate in known:
            return self
        if not known:
            raise ValueError(f"--bitrate is for lossy formats: {self.format} keeps every bit")
        most = f"{known[0]} to {known[-1]}" if isinstance(known, range) else ", ".join(map(str, known))
        raise ValueError(f"--bitrate is {self.bitrate}: {self.format} has {most}")

    def file_identity(self) -> dict[str, Any]:
        """The settings that decide what the files are, as JSON values; those of later versions where used.

        Example:
            >>> StemConfig().file_identity() == StemConfig(original=False).file_identity()
            False
        """
        values = self.model_dump(mode="json", include=set(StemConfig.model_fields))
        # What was finished before there was a setting stays finished.
        later = {"original": True, "bitrate": None, "layout": "tree", "name": None}
        return {name: value for name, value in values.items() if name not in later or value != later[name]}

    @model_validator(mode="after")
    def _check_clip(self) -> Self:
        if self.clip == "float" and FORMATS[self.format].natural_subtype("FLOAT") != "FLOAT":
            raise ValueError(f"--clip float needs --format wav: {self.format} has no float form")
        return self


class SeparateConfig(StemConfig, EngineConfig):
    """Settings of `auralflow separate`."""

    save: Path = Field(
        default=Path(),
        description="Write to separated_audio/ in this folder.",
        json_schema_extra={"parameter": {"alias": "-o"}},
    )
    from_file: str | None = Field(
        default=None,
        description="Separate the songs that this file lists, too: one a line, or separated by NUL. - reads "
        "standard input.",
        json_schema_extra={"parameter": {"allow_leading_hyphen": True}},
    )
    shard: str | None = Field(
        default=None,
        description="Separate one share of the songs, as in 3/10: for machines without a common disk.",
    )
    only_failed: bool = Field(
        default=False, description="Separate only the songs that failed.txt in the output folder lists."
    )
    accept_failed: bool = Field(default=False, description="Exit with 0 although songs failed.")
    jobs: int = Field(default=1, ge=1, le=256, description="Songs that are separated at the same time.")
    executor: Literal["local", "ray"] = Field(
        default="local",
        description="Where songs are separated: here, or as tasks on a Ray cluster (extra ray).",
    )
    address: str | None = Field(
        default=None, description="Address of the Ray cluster. Default: one on this machine, for this run."
    )

    @model_validator(mode="before")
    @classmethod
    def _take_former_name(cls, values: Any) -> Any:
        """``engine``, as ``executor`` was called before, is still understood."""
        if isinstance(values, dict) and "engine" in values and "executor" not in values:
            return {("executor" if name == "engine" else name): value for name, value in values.items()}
        return values

    @field_validator("shard")
    @classmethod
    def _check_shard(cls, shard: str | None) -> str | None:
        if shard is not None:
            match = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", shard)
            if not match or not 1 <= int(match[1]) <= int(match[2]):
                raise ValueError("must be a share and their number, from 1/10 to 10/10")
        return shard

    @property
    def share(self) -> tuple[int, int] | None:
        """Number of the share of the songs, and how many shares there are; None for all songs."""
        if self.shard is None:
            return None
        number, count = self.shard.split("/")
        return int(number), int(count)

    @model_validator(mode="after")
    def _check_residual(self) -> Self:
        if self.two_stems and self.residual:
            raise ValueError(
                "--residual is silence with --two-stems, which sum to the original: leave it out"
            )
        return self

    @model_validator(mode="after")
    def _check_executor(self) -> Self:
        if self.address and self.executor == "local":
            raise ValueError("--address is for --executor ray: without it, nothing is sent anywhere")
        if self.jobs > 1 and self.executor == "ray":
            raise ValueError("--jobs is for --executor local: a cluster runs as many songs as it has cores")
        return self
