"""Settings of what makes, checks, prepares and changes data."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, create_model

from auralflow.config.base import Settings
from auralflow.effects.augmentations import augmentation_options

__all__ = ["AugmentConfig", "ChangeConfig", "CheckConfig", "ImportConfig", "PrepareConfig", "SynthConfig"]


class SynthConfig(Settings):
    """Settings of `auralflow synth`."""

    tracks: int = Field(default=10, ge=1, description="Number of songs.")
    seed: int = Field(default=0, ge=0, description="Seed of the songs.")
    seconds: float = Field(default=30, gt=0, le=3600, description="Length of a song in seconds.")
    sample_rate: int = Field(default=44100, ge=8000, le=192000, description="Sample rate in hertz.")
    midi: Path | None = Field(
        default=None, description="Folder of MIDI files that are played instead of built-in compositions."
    )
    voices: Path | None = Field(
        default=None, description="Folder of recorded voices, spoken or sung, that sing the melodies."
    )
    samples: Path | None = Field(
        default=None, description="Folder of recorded notes and strokes that play most parts but the voice."
    )
    soundfont: tuple[Path, ...] = Field(
        default=(), description="General MIDI soundfonts that play many parts but the voice."
    )
    grooves: Path | None = Field(
        default=None,
        description="Folder or ZIP file of drum performances as MIDI that play the drums of most songs.",
    )
    num_workers: int = Field(
        default=1, ge=1, description="Processes that make songs at the same time, at most one a core."
    )


_changes: dict[str, Any] = augmentation_options()
ChangeConfig = create_model(
    "ChangeConfig",
    __base__=Settings,
    __module__=__name__,
    __doc__="How stems are changed at random in training, as the augmentations state it themselves.",
    **_changes,
)


class AugmentConfig(ChangeConfig):
    """How training chunks are remixed and changed; validation chunks never are."""

    remix: float = Field(
        default=1,
        ge=0,
        le=1,
        description="Share of chunks mixed from stems of different tracks, level-matched.",
    )
    remix_level: float = Field(
        default=-22,
        ge=-60,
        le=0,
        description="RMS in dBFS that the stems of a remix are brought to before the gain.",
    )
    silence_threshold: float = Field(
        default=-50, ge=-120, le=0, description="RMS in dBFS up to which a stem counts as silent."
    )
    keep_silence: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Probability that a silent stem is taken instead of skipped; 1: always.",
    )
    over_mixture: float = Field(
        default=0,
        ge=0,
        le=1,
        description="Share of the remixes that lay a voice over an instrumental recording: a mixture whose "
        "vocals are silent.",
    )
    over_mixture_voiceless: float = Field(
        default=0.2, ge=0, le=1, description="Share of those that have no voice at all."
    )
    produce: float = Field(
        default=0,
        ge=0,
        le=1,
        description="Probability that a voice of a remix is produced as on a record: takes, harmonies, "
        "choirs, compression, saturation, echoes, rooms, drawn anew for every chunk.",
    )
    master: float = Field(
        default=0,
        ge=0,
        le=1,
        description="Probability that a remix is compressed as a whole, with one gain for all stems.",
    )
    lossy: float = Field(
        default=0,
        ge=0,
        le=1,
        description="Probability that the mixture of a chunk is coded as MP3 or Ogg Vorbis, at some 60 to "
        "200 kbit/s; its targets are not.",
    )
    time_shift: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Probability that the stems of a chunk that is not remixed are moved apart in time.",
    )
    time_shift_range: float = Field(
        default=1, ge=0, le=60, description="Largest move of a stem in seconds, to either side."
    )
    repitch: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="Probability that a stem of a remix has another pitch and tempo, if the dataset is "
        "a cache prepared with variants.",
    )


class CheckConfig(Settings):
    """Settings of `auralflow data check`."""

    save: Path | None = Field(default=None, description="JSON file for the report.")
    silence_threshold: float = Field(
        default=-60, ge=-120, le=0, description="Peak in dBFS up to which a whole stem counts as silent."
    )
    num_workers: int = Field(default=8, ge=1, description="Tracks read at the same time, at most one a core.")


class PrepareConfig(Settings):
    """Settings of `auralflow data prepare`."""

    sample_rate: int = Field(
        default=44100, ge=1000, le=384000, description="Sample rate of the cache in hertz."
    )
    sample_type: Literal["int16", "float32"] = Field(
        default="int16", description="Type of the stored samples; float32 takes twice the space."
    )
    variants: int = Field(
        default=0, ge=0, le=32, description="Copies of each training track with another pitch and tempo."
    )
    pitch_range: float = Field(
        default=2, ge=0, le=12, description="Largest change of pitch in semitones, up and down."
    )
    tempo_range: float = Field(default=12, ge=0, le=50, description="Largest change of tempo in percent.")
    seed: int = Field(default=0, ge=0, description="Seed of the variants.")
    verify: bool = Field(default=False, description="Read what is already prepared and compare its checksum.")
    num_workers: int = Field(
        default=8, ge=1, description="Tracks prepared at the same time, at most one a core."
    )


class ImportConfig(Settings):
    """Settings of `auralflow data import`."""

    layout: Literal["auto", "musdb18", "musdb18hq", "mapping"] = Field(
        default="auto", description="What the source is; auto looks at its files."
    )
    mapping: Path | None = Field(
        default=None,
        description="YAML file that tells which files make which stem, for any other collection.",
    )
    sample_type: Literal["pcm_16", "pcm_24", "float"] = Field(
        default="pcm_16", description="Encoding of stems that are decoded or summed; WAV files."
    )
    validation: bool = Field(
        default=True,
        description="Put the 14 tracks that are the custom for MUSDB18 into valid instead of train.",
    )
