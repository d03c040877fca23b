"""Random changes of stems in training. To add one, write a class and list it in the table below.

An instance contains the parameters of one drawn change. Its class defines the options, how many random
numbers it draws, what they mean, and how to process audio. All changes are linear. numpy is only imported
when a change is drawn, so that the settings can be built from this module.

Shape letters: ``C`` channel, ``N`` sample.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from auralflow.effects.filters import Band

__all__ = [
    "AUGMENTATIONS",
    "Augmentation",
    "ChannelSwap",
    "Equalizer",
    "Gain",
    "LowPass",
    "SignFlip",
    "augmentation_options",
]

LOWEST_BAND = 60.0
HIGHEST_SHARE = 0.4
"""Filters stay below this fraction of the sample rate; above it the bilinear transform distorts biquads."""


def _probability(default: float, description: str) -> Any:
    return Field(default=default, ge=0, le=1, description=description)


@dataclass(frozen=True)
class Augmentation:
    """Base class of all changes, which does nothing."""

    name: ClassVar[str]
    """Name of the option with its probability."""
    options: ClassVar[Mapping[str, tuple[type, Any]]]
    """Options by name: type, and default, bounds and description; the probability comes first."""
    what: ClassVar[str]
    """What it does, for the documentation."""
    amount: ClassVar[str] = ""
    """By how much, for the documentation; ``{name}`` is replaced by an option and its default."""
    always_drawn: ClassVar[bool] = False
    """Whether it draws its random numbers even if it is off, as earlier versions did."""

    @classmethod
    def count(cls, settings: Any) -> int:
        """Number of random numbers it draws, besides the one that decides whether it is applied."""
        return 0

    @classmethod
    def drawn(cls, settings: Any, numbers: Sequence[float], sample_rate: int) -> Self:
        """Create a change from random numbers from 0 to 1."""
        return cls()

    def sections(self, sample_rate: int) -> list[NDArray[np.float64]]:
        """Biquads ``[6]`` to filter with."""
        return []

    @property
    def factor(self) -> float:
        """Factor for all samples."""
        return 1.0

    def applied(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        """Apply everything that is neither a filter nor a factor to audio ``[C, N]``."""
        return audio


@dataclass(frozen=True)
class Gain(Augmentation):
    """A gain in dB."""

    decibels: float = 0.0

    name = "gain"
    options: ClassVar = {
        "gain": (float, _probability(1, "Probability that a stem gets a random gain.")),
        "gain_range": (
            float,
            Field(default=6, ge=0, le=40, description="Maximum random gain in dB, up and down."),
        ),
    }
    what = "gain"
    amount = "up to {gain_range} dB, up or down"
    always_drawn = True

    @classmethod
    def count(cls, settings: Any) -> int:
        """One: the gain."""
        return 1

    @classmethod
    def drawn(cls, settings: Any, numbers: Sequence[float], sample_rate: int) -> Self:
        """Uniform within the range."""
        return cls(settings.gain_range * (2 * numbers[0] - 1))

    @property
    def factor(self) -> float:
        """The gain as a factor."""
        return float(10 ** (self.decibels / 20))


@dataclass(frozen=True)
class ChannelSwap(Augmentation):
    """The channels in reverse order."""

    name = "channel_swap"
    options: ClassVar = {
        "channel_swap": (float, _probability(0.5, "Probability that the channels of a stem are swapped.")),
    }
    what = "left and right exchanged"
    always_drawn = True

    def applied(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        """The channels in reverse order."""
        return audio[::-1] if len(audio) > 1 else audio


@dataclass(frozen=True)
class SignFlip(Augmentation):
    """Inverted polarity."""

    name = "sign_flip"
    options: ClassVar = {
        "sign_flip": (float, _probability(0.5, "Probability that a stem's sign is flipped."))
    }
    what = "sign"
    always_drawn = True

    @property
    def factor(self) -> float:
        """-1."""
        return -1.0


@dataclass(frozen=True)
class Equalizer(Augmentation):
    """An equaliser with peak filters."""

    bands: tuple[Band, ...] = ()

    name = "equalizer"
    options: ClassVar = {
        "equalizer": (float, _probability(0.3, "Probability that a stem is equalised at random.")),
        "equalizer_bands": (
            int,
            Field(default=3, ge=1, le=8, description="Number of bands of the equaliser."),
        ),
        "equalizer_range": (
            float,
            Field(default=6, ge=0, le=24, description="Maximum gain of a band in dB, up and down."),
        ),
    }
    what = "equaliser: bells from 60 Hz to 0.4 of the rate, quality 0.5 to 2"
    amount = "{equalizer_bands} of up to {equalizer_range} dB"
    always_drawn = True

    @classmethod
    def count(cls, settings: Any) -> int:
        """Three for each band: frequency, gain, quality."""
        return 3 * int(settings.equalizer_bands)

    @classmethod
    def drawn(cls, settings: Any, numbers: Sequence[float], sample_rate: int) -> Self:
        """Frequencies uniform in pitch, gains uniform in dB, qualities uniform in ratio."""
        from auralflow.effects.filters import Band

        top = HIGHEST_SHARE * sample_rate
        return cls(
            tuple(
                Band(
                    frequency=_between(LOWEST_BAND, top, place),
                    gain=settings.equalizer_range * (2 * height - 1),
                    quality=_between(0.5, 2.0, width),
                )
                for place, height, width in zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True)
            )
        )

    def sections(self, sample_rate: int) -> list[NDArray[np.float64]]:
        """One biquad for each band."""
        from auralflow.effects.filters import peak_section

        return [peak_section(band, sample_rate) for band in self.bands]


@dataclass(frozen=True)
class LowPass(Augmentation):
    """A low-pass of 24 dB per octave, with its cut-off frequency in hertz."""

    frequency: float = 20000.0

    name = "low_pass"
    options: ClassVar = {
        "low_pass": (float, _probability(0.05, "Probability that a stem is low-pass filtered.")),
        "low_pass_from": (
            float,
            Field(
                default=5000, ge=100, description="Lowest cut-off frequency of the random low-pass in hertz."
            ),
        ),
    }
    what = "low-pass, 24 dB an octave"
    amount = "from {low_pass_from} Hz to 0.4 of the rate"
    always_drawn = True

    @classmethod
    def count(cls, settings: Any) -> int:
        """One: the cut-off."""
        return 1

    @classmethod
    def drawn(cls, settings: Any, numbers: Sequence[float], sample_rate: int) -> Self:
        """Uniform in pitch."""
        top = HIGHEST_SHARE * sample_rate
        return cls(_between(min(settings.low_pass_from, top), top, numbers[0]))

    def sections(self, sample_rate: int) -> list[NDArray[np.float64]]:
        """Two biquads."""
        from auralflow.effects.filters import low_pass_sections

        return low_pass_sections(self.frequency, sample_rate)


def _between(low: float, high: float, share: float) -> float:
    """Interpolate between two positive numbers on a logarithmic scale."""
    return low * math.exp(share * math.log(high / low))


AUGMENTATIONS: tuple[type[Augmentation], ...] = (Gain, ChannelSwap, SignFlip, Equalizer, LowPass)
"""In the order of the random draws and of the filters."""


def augmentation_options() -> dict[str, tuple[Any, Any]]:
    """The options of all augmentations by name: type, and default, bounds and description.

    Example:
        >>> list(augmentation_options())[:3]
        ['gain', 'gain_range', 'channel_swap']
    """
    return {name: option for kind in AUGMENTATIONS for name, option in kind.options.items()}
