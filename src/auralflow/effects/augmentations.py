"""Random changes of a stem in training: a new one is a class here, and a line of the table below.

An instance is a change that was drawn, as plain data. Its class states the options, how many random numbers
it takes, what comes of them, and what is done to audio. All that is done is linear: the sum of changed stems
is the changed sum, if all are changed alike. Loads no numpy until a change is drawn, so that settings can be
taken from here.

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
"""Filters stay below this share of the sample rate: above it a biquad's shape is bent by the mapping."""


def _probability(default: float, description: str) -> Any:
    return Field(default=default, ge=0, le=1, description=description)


@dataclass(frozen=True)
class Augmentation:
    """Base of all changes: one that does nothing."""

    name: ClassVar[str]
    """The option of its probability."""
    options: ClassVar[Mapping[str, tuple[type, Any]]]
    """By name, type, and default, bounds and description; that of the probability first."""
    what: ClassVar[str]
    """What it does, for tables."""
    amount: ClassVar[str] = ""
    """How much, for tables; ``{name}`` stands for an option and its default."""
    always_drawn: ClassVar[bool] = False
    """Whether it takes its random numbers even if it is off: so chunks of earlier versions stay the same."""

    @classmethod
    def count(cls, settings: Any) -> int:
        """How many random numbers it takes, beside the one that decides whether it happens."""
        return 0

    @classmethod
    def drawn(cls, settings: Any, numbers: Sequence[float], sample_rate: int) -> Self:
        """What comes of random numbers from 0 to 1."""
        return cls()

    def sections(self, sample_rate: int) -> list[NDArray[np.float64]]:
        """Biquads ``[6]`` to filter with."""
        return []

    @property
    def factor(self) -> float:
        """What samples are multiplied with."""
        return 1.0

    def applied(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        """Audio ``[C, N]`` after everything that is neither a filter nor a factor."""
        return audio


@dataclass(frozen=True)
class Gain(Augmentation):
    """Another level, in dB."""

    decibels: float = 0.0

    name = "gain"
    options: ClassVar = {
        "gain": (float, _probability(1, "Probability that a stem gets a random gain.")),
        "gain_range": (
            float,
            Field(default=6, ge=0, le=40, description="Largest random gain in dB, up and down."),
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
        """Evenly within the range."""
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
        "channel_swap": (float, _probability(0.5, "Probability that a stem's left and right are exchanged."))
    }
    what = "left and right exchanged"
    always_drawn = True

    def applied(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        """The channels in reverse order."""
        return audio[::-1] if len(audio) > 1 else audio


@dataclass(frozen=True)
class SignFlip(Augmentation):
    """The opposite polarity."""

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
    """Bells of an equaliser."""

    bands: tuple[Band, ...] = ()

    name = "equalizer"
    options: ClassVar = {
        "equalizer": (float, _probability(0.3, "Probability that a stem is equalised at random.")),
        "equalizer_bands": (int, Field(default=3, ge=1, le=8, description="Bands of the random equaliser.")),
        "equalizer_range": (
            float,
            Field(default=6, ge=0, le=24, description="Largest gain of a band in dB, up and down."),
        ),
    }
    what = "equaliser: bells from 60 Hz to 0.4 of the rate, quality 0.5 to 2"
    amount = "{equalizer_bands} of up to {equalizer_range} dB"
    always_drawn = True

    @classmethod
    def count(cls, settings: Any) -> int:
        """Three for each band: place, height, width."""
        return 3 * int(settings.equalizer_bands)

    @classmethod
    def drawn(cls, settings: Any, numbers: Sequence[float], sample_rate: int) -> Self:
        """Places evenly in pitch, heights in decibels, widths in ratio."""
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
        """One biquad for each bell."""
        from auralflow.effects.filters import peak_section

        return [peak_section(band, sample_rate) for band in self.bands]


@dataclass(frozen=True)
class LowPass(Augmentation):
    """A low-pass of 24 dB an octave, by its cut-off frequency in hertz."""

    frequency: float = 20000.0

    name = "low_pass"
    options: ClassVar = {
        "low_pass": (float, _probability(0.05, "Probability that a stem loses its highest frequencies.")),
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
        """Evenly in pitch."""
        top = HIGHEST_SHARE * sample_rate
        return cls(_between(min(settings.low_pass_from, top), top, numbers[0]))

    def sections(self, sample_rate: int) -> list[NDArray[np.float64]]:
        """Two biquads."""
        from auralflow.effects.filters import low_pass_sections

        return low_pass_sections(self.frequency, sample_rate)


def _between(low: float, high: float, share: float) -> float:
    """Between two positive numbers on a logarithmic scale, as pitch is heard."""
    return low * math.exp(share * math.log(high / low))


AUGMENTATIONS: tuple[type[Augmentation], ...] = (Gain, ChannelSwap, SignFlip, Equalizer, LowPass)
"""In the order in which chance is asked, and filters are applied."""


def augmentation_options() -> dict[str, tuple[Any, Any]]:
    """The options of all augmentations by name: type, and default, bounds and description.

    Example:
        >>> list(augmentation_options())[:3]
        ['gain', 'gain_range', 'channel_swap']
    """
    return {name: option for kind in AUGMENTATIONS for name, option in kind.options.items()}
