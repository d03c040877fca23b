"""Who sings: a built-in voice or a recorded one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from auralflow.effects.signals import Signal
from auralflow.synth.players.voice import Timbre, draw_timbre, sing
from auralflow.synth.score.melody import Syllable

__all__ = ["Singer", "built_in_singer"]


class Singer(Protocol):
    """A voice that sings melodies."""

    @property
    def floor(self) -> int:
        """Lowest MIDI pitch that is comfortable; the highest is 20 semitones above."""

    def sing(
        self, syllables: Sequence[Syllable], samples: int, sample_rate: int, rng: np.random.Generator
    ) -> Signal:
        """Sing a melody.

        Args:
            syllables: The melody with its text, in order of time.
            samples: Length N of the song.
            sample_rate: In hertz.
            rng: Source of the randomness.

        Returns:
            The dry voice [N], at an RMS of about one where it sounds.
        """


@dataclass(frozen=True, slots=True)
class _BuiltIn:
    floor: int
    timbre: Timbre

    def sing(
        self, syllables: Sequence[Syllable], samples: int, sample_rate: int, rng: np.random.Generator
    ) -> Signal:
        return sing(list(syllables), self.timbre, samples, sample_rate, rng)


def built_in_singer(rng: np.random.Generator) -> Singer:
    """Draw a synthesised voice, high or low.

    Example:
        >>> 43 <= built_in_singer(np.random.default_rng(0)).floor < 60
        True
    """
    high = bool(rng.random() < 0.5)
    floor = int(rng.integers(55, 60) if high else rng.integers(43, 49))
    return _BuiltIn(floor, draw_timbre(rng, high=high))
