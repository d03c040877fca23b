"""Settings of the commands that generate, check, prepare and import data, and of augmentation."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, create_model

from auralflow.config.base import Settings
from auralflow.effects.augmentations import augmentation_options

__all__ = ["AugmentConfig", "ChangeConfig", "CheckConfig", "ImportConfig", "PrepareConfig", "SynthConfig"]


class SynthConfig(Settings):
    """Settings of `auralflow synth`."""

    tracks: int = Field(default=10, ge=1, le=1_000_000, description="Number of songs.")
    seed: int = Field(default=0, ge=0, description="Seed of the songs.")
    seconds: float = Field(default=30, gt=0, le=3600, description="Length of a song in seconds.")
    sample_rate: int = Field(default=44100, ge=8000, le=192000, description="Sample rate in hertz.")
    midi: Path | None = Field(
        default=None, description="Folder of MIDI files to play instead of built-in compositions."
    )
    voices: Path | None = Field(
        default=None, description="Folder of recorded voices, spoken or sung, to sing the melodies with."
    )
    samples: Path | None = Field(
        default=None,
        description="Folder of recorded notes and drum hits, used for most parts except the vocals.",
    )
    soundfont: tuple[Path, ...] = Field(
        default=(), description="General MIDI soundfonts, used for many of the parts except the vocals."
    )
    grooves: Path | None = Field(
        default=None,
        description="Folder or ZIP file of drum performances in MIDI, used for the drums of most songs.",
    )
    num_workers: int = Field(
        default=1, ge=1, description="Number of songs to generate in parallel, at most one per core."
    )


if TYPE_CHECKING:
    _FROM_CHANGE: Any = ...

    class ChangeConfig(Settings):
        """What the class below looks like to type checkers, which do not run code."""

        gain: float = _FROM_CHANGE
        gain_range: float = _FROM_CHANGE
        channel_swap: float = _FROM_CHANGE
        sign_flip: float = _FROM_CHANGE
        equalizer: float = _FROM_CHANGE
        equalizer_bands: int = _FROM_CHANGE
        equalizer_range: float = _FROM_CHANGE
        low_pass: float = _FROM_CHANGE
        low_pass_from: float = _FROM_CHANGE

else:
    ChangeConfig = create_model(
        "ChangeConfig",
        __base__=Settings,
        __module__=__name__,
        __doc__="Random changes of single stems in training; the options come from the augmentation classes.",
        **augmentation_options(),
    )


class AugmentConfig(ChangeConfig):
    """Remixing and augmentation of training chunks; validation chunks are left alone."""

    remix: float = Field(
        default=1,
        ge=0,
        le=1,
        description="Fraction of chunks mixed from stems of different tracks, at matched levels.",
    )
    remix_level: float = Field(
        default=-22,
        ge=-60,
        le=0,
        description="RMS level in dBFS to which the stems of a remix are normalised before the random gain.",
    )
    silence_threshold: float = Field(
        default=-50, ge=-120, le=0, description="RMS level in dBFS at or below which a stem counts as silent."
    )
    keep_silence: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Probability that a silent stem is kept instead of skipped; 1: always.",
    )
    over_mixture: float = Field(
        default=0,
        ge=0,
        le=1,
        description="Fraction of remixes that add a voice to an instrumental recording: a mixture whose "
        "vocals are silent.",
    )
    over_mixture_voiceless: float = Field(
        default=0.2, ge=0, le=1, description="Fraction of those remixes without any voice."
    )
    produce: float = Field(
        default=0,
        ge=0,
        le=1,
        description="Probability that the voice in a remix gets studio production, drawn for each chunk: "
        "takes, harmonies, choirs, compression, saturation, echoes, rooms.",
    )
    master: float = Field(
        default=0,
        ge=0,
        le=1,
        description="Probability that a remix passes through a bus compressor, with one gain for all stems.",
    )
    lossy: float = Field(
        default=0,
        ge=0,
        le=1,
        description="Probability that the mixture of a chunk, but not its targets, is encoded as MP3 or Ogg "
        "Vorbis at about 60 to 200 kbit/s.",
    )
    time_shift: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Probability that the stems of a chunk that is not remixed are shifted in time, each "
        "by a different amount.",
    )
    time_shift_range: float = Field(
        default=1, ge=0, le=60, description="Largest shift of a stem in seconds, in either direction."
    )
    repitch: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="Probability that a stem of a remix is pitch-shifted and time-stretched, if the dataset "
        "is a cache prepared with variants.",
    )


class CheckConfig(Settings):
    """Settings of `auralflow data check`."""

    save: Path | None = Field(default=None, description="JSON file for the report.")
    silence_threshold: float = Field(
        default=-60,
        ge=-120,
        le=0,
        description="Peak level in dBFS at or below which an entire stem counts as silent.",
    )
    num_workers: int = Field(
        default=8, ge=1, description="Number of tracks to read in parallel, at most one per core."
    )


class PrepareConfig(Settings):
    """Settings of `auralflow data prepare`."""

    sample_rate: int = Field(
        default=44100, ge=1000, le=384000, description="Sample rate of the cache in hertz."
    )
    sample_type: Literal["int16", "float32"] = Field(
        default="int16", description="Type of the stored samples; float32 needs twice the space."
    )
    variants: int = Field(
        default=0,
        ge=0,
        le=32,
        description="Number of copies of each training track with a different pitch and tempo.",
    )
    pitch_range: float = Field(
        default=2, ge=0, le=12, description="Largest change of pitch in semitones, up and down."
    )
    tempo_range: float = Field(default=12, ge=0, le=50, description="Largest change of tempo in percent.")
    seed: int = Field(default=0, ge=0, description="Seed of the variants.")
    verify: bool = Field(
        default=False, description="Verify the checksums of tracks that are already prepared."
    )
    num_workers: int = Field(
        default=8, ge=1, description="Number of tracks to prepare in parallel, at most one per core."
    )


class ImportConfig(Settings):
    """Settings of `auralflow data import`."""

    layout: Literal["auto", "musdb18", "musdb18hq", "mapping"] = Field(
        default="auto", description="Layout of the source; auto detects it from the files."
    )
    mapping: Path | None = Field(
        default=None,
        description="YAML file that assigns files to stems, for any other collection.",
    )
    sample_type: Literal["pcm_16", "pcm_24", "float"] = Field(
        default="pcm_16", description="Sample format of the WAV files of stems that are decoded or summed."
    )
    validation: bool = Field(
        default=True,
        description="Put the 14 tracks of the usual MUSDB18 validation split into valid instead of train.",
    )
